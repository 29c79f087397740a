// An account at a CA, with its stored certificates.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/blocking/certificate.hpp"
#include "culmen/persist.hpp"

namespace culmen::blocking {

class CertOrder;
class NewOrder;

/// An account, its CA and its store. A handle: copies are the same account. It keeps the client and the store alive.
///
/// Functions with a CancelToken send requests: they block, throw Error, and can be cancelled. Exceptions from the store
/// reach the caller. Thread-safe if the store is.
class AccountHandle {
 public:
  /// Creates an order (order.hpp) for `primary_name` and all of `alt_names`. Names may be wildcards or IP addresses.
  /// The certificate is stored under `primary_name` exactly as given. Throws Error (invalid_argument) for an invalid
  /// name.
  NewOrder new_order(const std::string& primary_name, const std::vector<std::string>& alt_names = {},
                     CancelToken cancel = CancelToken::never()) const;

  /// The certificate stored under that name; sends no request. nullopt unless certificate and key exist and match.
  /// Throws Error (crypto_failed) if the stored data cannot be parsed.
  std::optional<CertificateWithKey> certificate(const std::string& primary_name) const;

  /// An order that was finalized but whose certificate was not saved, because the program ended before that. Its
  /// certificate can still be downloaded, which does not count against rate limits. The newest, if there are several;
  /// once it is saved, the next. nullopt if there is none.
  std::optional<CertOrder> unsaved_order(const std::string& primary_name,
                                         CancelToken cancel = CancelToken::never()) const;

  /// Revokes with the account key (RFC 8555 §7.6). `reason` is 0 to 6 or 8 to 10 (RFC 5280 §5.3.1).
  void revoke_certificate(const CertificateWithKey& certificate, std::optional<int> reason = {},
                          CancelToken cancel = CancelToken::never()) const;

  /// The account key as PEM. Secret.
  std::string acme_private_key_pem() const { return account_.key.to_pem(); }
  /// The realm of the account's certificates in the store.
  const std::string& realm() const noexcept { return realm_; }
  /// The account as last returned by the CA.
  const Account& api_account() const noexcept { return account_; }
  /// The client, for functions that are not here.
  const AcmeClient& client() const noexcept { return client_; }

  // Internal.
  AccountHandle(AcmeClient client, std::shared_ptr<Persist> persist, std::string realm, Account account);
  Persist& persist() const noexcept { return *persist_; }
  std::mutex& pending_mutex() const noexcept { return *pending_mutex_; }

 private:
  AcmeClient client_;
  std::shared_ptr<Persist> persist_;
  std::string realm_;
  Account account_;
  std::shared_ptr<std::mutex> pending_mutex_;  // held while the pending orders in the store change
};

}  // namespace culmen::blocking
