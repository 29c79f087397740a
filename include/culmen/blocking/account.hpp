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

/// An account, its CA and its store. A handle: copies are the same account. Every function that asks the CA blocks, and
/// throws Error.
class Account {
 public:
  /// Places an order (order.hpp) for `primary_name` and all of `alt_names`; names may be wildcards or IP addresses.
  /// What comes of it is kept under `primary_name` as it stands here, whatever the CA makes of the names.
  NewOrder new_order(const std::string& primary_name, const std::vector<std::string>& alt_names = {}) const;

  /// The certificate that is kept under that name, from the store alone. Nullopt unless certificate and key are there
  /// and belong together; throws what the store throws, and Error (crypto_failed) when what it has cannot be read.
  std::optional<Certificate> certificate(const std::string& primary_name) const;

  /// An order that was finalized, but whose certificate has not been saved: the program ended in between. The
  /// certificate may be waiting at the CA; getting it there counts against no rate limit. Nullopt when there is none.
  std::optional<CertOrder> unsaved_order(const std::string& primary_name) const;

  /// Revokes with the account's key. `reason` as in RFC 5280 §5.3.1: 0 to 6, 8 to 10.
  void revoke_certificate(const Certificate& certificate, std::optional<int> reason = {}) const;

  /// The key of the account as PEM. Secret.
  std::string acme_private_key_pem() const { return account_.key.to_pem(); }
  /// Whose certificates they are in the store.
  const std::string& realm() const noexcept { return realm_; }
  /// The account as the CA last showed it.
  const culmen::Account& api_account() const noexcept { return account_; }
  /// The client, for all verbs that are not here.
  const AcmeClient& client() const noexcept { return client_; }

  // For the rest of this face.
  Account(AcmeClient client, std::shared_ptr<Persist> persist, std::string realm, culmen::Account account);
  Persist& persist() const noexcept { return *persist_; }

 private:
  AcmeClient client_;
  std::shared_ptr<Persist> persist_;
  std::string realm_;
  culmen::Account account_;
};

}  // namespace culmen::blocking
