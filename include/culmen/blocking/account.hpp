// An account at a CA, and what is kept of it.
#pragma once

#include <memory>
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

/// An account, its CA and its store. A handle: copies are the same account; it keeps client and store alive. Every
/// function that asks the CA blocks, throws Error, and can be cancelled by its last parameter. Safe to use from several
/// threads at once, as far as the store is.
class AccountHandle {
 public:
  /// Places an order (order.hpp) for `primary_name` and all of `alt_names`; names may be wildcards or IP addresses.
  /// The certificate is stored under `primary_name` exactly as given.
  NewOrder new_order(const std::string& primary_name, const std::vector<std::string>& alt_names = {},
                     CancelToken cancel = CancelToken::never()) const;

  /// The certificate that is stored under that name, from the store alone. Nullopt unless certificate and key are there
  /// and belong together; throws what the store throws, and Error (crypto_failed) when what it has cannot be read.
  std::optional<CertificateWithKey> certificate(const std::string& primary_name) const;

  /// An order that was finalized, but whose certificate has not been saved: the program ended in between. The
  /// certificate may be waiting at the CA; getting it there counts against no rate limit. Nullopt when there is none.
  std::optional<CertOrder> unsaved_order(const std::string& primary_name,
                                         CancelToken cancel = CancelToken::never()) const;

  /// Revokes with the account's key. `reason` as in RFC 5280 §5.3.1: 0 to 6, 8 to 10.
  void revoke_certificate(const CertificateWithKey& certificate, std::optional<int> reason = {},
                          CancelToken cancel = CancelToken::never()) const;

  /// The key of the account as PEM. Secret.
  std::string acme_private_key_pem() const { return account_.key.to_pem(); }
  /// Whose certificates they are in the store.
  const std::string& realm() const noexcept { return realm_; }
  /// The account as the CA last showed it.
  const Account& api_account() const noexcept { return account_; }
  /// The client, for all verbs that are not here.
  const AcmeClient& client() const noexcept { return client_; }

  // For the rest of this face.
  AccountHandle(AcmeClient client, std::shared_ptr<Persist> persist, std::string realm, Account account);
  Persist& persist() const noexcept { return *persist_; }

 private:
  AcmeClient client_;
  std::shared_ptr<Persist> persist_;
  std::string realm_;
  Account account_;
};

}  // namespace culmen::blocking
