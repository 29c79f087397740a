// ACME accounts (RFC 8555 §7.1.2, §7.3).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/account_key.hpp"
#include "culmen/eab.hpp"

namespace culmen {

enum class AccountStatus { valid, deactivated, revoked, unknown };
std::string_view to_string(AccountStatus status) noexcept;

/// An account: its URL and the key that signs for it. A plain value.
///
/// To use an existing account, `url` and `key` are enough.
struct Account {
  /// No account, for APIs that require default construction.
  Account() = default;
  Account(std::string url_, AccountKey key_) : url(std::move(url_)), key(std::move(key_)) {}

  /// token + "." + thumbprint (RFC 8555 §8.1).
  std::string key_authorization(std::string_view token) const { return key.key_authorization(token); }
  const std::string& thumbprint() const noexcept { return key.thumbprint(); }

  std::string url;  ///< The `kid` (RFC 8555 §6.2), exactly as the server sent it.
  AccountKey key;
  AccountStatus status = AccountStatus::valid;
  std::vector<std::string> contacts;
  std::string orders;       ///< URL of the list of orders; empty if the server has none.
  std::string delegations;  ///< URL of the list of delegations (RFC 9115); empty if the server has none.
  bool created = false;     ///< True if newAccount created it (201), false if it existed (200).
  /// What newAccount or an update asked for and the CA did not do, such as keeping the contacts. One sentence each.
  std::vector<std::string> warnings;
};

/// What to send with newAccount (RFC 8555 §7.3). A plain value.
struct AccountOptions {
  AccountOptions() = default;
  std::vector<std::string> contacts;  ///< URLs such as "mailto:ops@example.com". May be empty.
  bool agree_tos = false;             ///< The user agreed to the CA's terms of service.
  std::optional<EabOptions> eab;
};

}  // namespace culmen
