// What is done about the account at a CA under its lease: by the manager, and by programs beside it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "culmen/account.hpp"
#include "culmen/records.hpp"
#include "culmen/session.hpp"
#include "manager/leases.hpp"

namespace culmen::manager {

/// The account of a CA as it is stored.
struct AccountRead {
  AccountRead() = default;
  std::optional<AccountRecord> record;
  Revision revision;
};
/// The errors say which key of storage is damaged, and what to do about it.
Flow<Result<AccountRead>> read_stored_account(Store& store, std::string directory);

/// An account that can be used as it is: nothing has to be asked.
bool is_usable(const AccountRecord& record);
/// The account of a record with a URL.
Result<Account> account_in(const AccountRecord& record, const std::string& directory);

/// What is wanted of account_at().
struct AccountRequest {
  AccountRequest() = default;
  /// Of an account that has to be made; empty: the key that is there, or ec:P-256. Another key that no account was made
  /// with is set aside.
  std::string key_type;
  /// Called if an account has to be made. Empty: none is made, and the error is account_does_not_exist.
  std::function<Flow<Result<AccountOptions>>()> options;
  bool ask = false;      ///< Even if it could be used as it is: the CA may have forgotten it.
  bool replace = false;  ///< Makes a new account, whatever is there.
  std::string ended;     ///< The URL of an account that is replaced if it is there; empty: none.
};

/// The account at the CA, for who holds its lease. Ends a key change that was begun. Its key is stored before the CA
/// hears of it.
Flow<Result<Account>> account_at(Store& store, std::shared_ptr<Hold> hold, engine::Session session,
                                 std::string directory, AccountRequest request);

}  // namespace culmen::manager
