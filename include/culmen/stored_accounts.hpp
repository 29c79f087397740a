// The accounts in a storage, one for each CA: made, changed and ended beside managers that use them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/flow.hpp"
#include "culmen/records.hpp"
#include "culmen/result.hpp"
#include "culmen/session.hpp"
#include "culmen/storage.hpp"
#include "culmen/stored_certificates.hpp"

namespace culmen {

// All functions that ask the CA do so under the lease of the account. One that finds a key change that was begun and
// not finished asks the CA first which key counts. A key that is not used any more is put under keys/unused/. If a call
// ends anywhere, no key is lost, and the same call finishes what was begun. A record or a key that is damaged is an
// error that names it, and says what to do.

/// An account as it is stored. A plain value.
struct StoredAccount {
  StoredAccount() = default;
  std::string server;  ///< The CA's part of the key, as storage_part_text() has it.
  AccountRecord record;
  std::string damage;  ///< Why it cannot be read; empty: it can.
};
Flow<Result<std::vector<StoredAccount>>> list_accounts(std::shared_ptr<Storage> storage);

/// The account at the session's CA, by its Session::directory_url(). The CA is asked only if the account's URL is not
/// known, or its key was being changed. account_does_not_exist if there is no key for it in storage, or the CA does not
/// know that key.
Flow<Result<Account>> find_stored_account(std::shared_ptr<Storage> storage, engine::Session session,
                                          LeaseOptions lease);
/// The same, but the CA is asked in any case which account the key has: what is stored of it may be wrong.
Flow<Result<Account>> recover_stored_account(std::shared_ptr<Storage> storage, engine::Session session,
                                             LeaseOptions lease);
/// The account of before, as the CA confirms, or a new one: its key is stored before the CA hears of it. If the CA has
/// forgotten the account, its key gets a new one. A key in storage that no account
/// was made with is used if it is of `key_type`, and set aside otherwise; an empty `key_type` means any, and ec:P-256
/// if there is none. `options`, which may be empty, is called on a thread that may block, only if an account has to be
/// made; what it throws is the error. `replace`: makes a new account with a new key even if there is one, such as one
/// that is deactivated or whose key is damaged.
Flow<Result<Account>> register_stored_account(std::shared_ptr<Storage> storage, engine::Session session,
                                              std::string key_type, std::function<AccountOptions()> options,
                                              bool replace, LeaseOptions lease);
/// Gives the account a new key (RFC 8555 §7.3.5), by default of ec:P-256. The new key is stored before the CA hears of
/// it. If the answer is lost, the CA is asked which key counts. A change that was begun is finished instead of another
/// one, unless its key is of another type.
Flow<Result<Account>> change_stored_account_key(std::shared_ptr<Storage> storage, engine::Session session,
                                                std::string key_type, LeaseOptions lease);
/// Deactivates the account, puts its key under keys/unused/, and returns the key of storage where it is now. The record
/// is removed. Also for one that was deactivated elsewhere.
Flow<Result<std::string>> deactivate_stored_account(std::shared_ptr<Storage> storage, engine::Session session,
                                                    LeaseOptions lease);
/// Adds an account that was made elsewhere, without asking the CA. A key in storage that no account was made with is
/// set aside; a key change that was begun with the account's key is left alone. The same account twice is no error;
/// conflict if there is another one.
Flow<Result<void>> import_account(std::shared_ptr<Storage> storage, std::string directory_url, Account account,
                                  LeaseOptions lease);

}  // namespace culmen
