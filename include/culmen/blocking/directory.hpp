// Issuing and storing a certificate step by step, without an event loop: start here.
//
// docs/persistence.md describes what is stored and where.
#pragma once

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "culmen/blocking/account.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/blocking/authorization.hpp"
#include "culmen/blocking/certificate.hpp"
#include "culmen/blocking/order.hpp"
#include "culmen/create_key.hpp"
#include "culmen/directory.hpp"
#include "culmen/directory_url.hpp"
#include "culmen/options.hpp"
#include "culmen/persist.hpp"

namespace culmen::blocking {

/// A CA, and a store for keys and certificates. A handle: copies are the same. It keeps the client and the store alive.
///
/// Functions with a CancelToken send requests: they block, throw Error, and can be cancelled. Exceptions from the store
/// reach the caller. Thread-safe if the store is; but creating the account of one realm on two threads at once may
/// create two accounts.
class DirectoryHandle {
 public:
  /// Fetches the directory. `cancel` cancels this call and every later call through the handle. `persist` is copied
  /// into the handle: copies must refer to the same store. Requests that get badNonce are repeated at least ten times.
  ///
  /// Use different stores (folders) or realms for different CAs, and for staging: a realm holds one certificate for
  /// each name.
  template <std::derived_from<Persist> Store>
  static DirectoryHandle from_url(Store persist, DirectoryUrl url, ClientOptions options = {},
                                  CancelToken cancel = CancelToken::never()) {
    return from_url(std::shared_ptr<Persist>(std::make_shared<Store>(std::move(persist))), std::move(url),
                    std::move(options), std::move(cancel));
  }
  /// The same with a shared store. Throws Error (invalid_argument) if `persist` is null.
  static DirectoryHandle from_url(std::shared_ptr<Persist> persist, DirectoryUrl url, ClientOptions options = {},
                                  CancelToken cancel = CancelToken::never());

  /// The account with that e-mail address as its contact and as its realm in the store. Its key is read from the store,
  /// or generated and stored; then the account is created, or looked up if it exists (RFC 8555 §7.3). By calling this
  /// you agree to the CA's terms of service (api_directory().meta.terms_of_service) on behalf of the account holder.
  /// Throws Error (invalid_argument) if `email` has no "@".
  AccountHandle account(const std::string& email, CancelToken cancel = CancelToken::never()) const;
  /// The same with another realm, and with any contacts, or none. Contacts are URLs such as "mailto:ops@example.com".
  AccountHandle account_with_realm(const std::string& realm, std::vector<std::string> contacts = {},
                                   std::optional<EabOptions> eab = {}, CancelToken cancel = CancelToken::never()) const;
  /// The account of a key that the caller stores; it is not put into the store. Certificates are, under `realm`.
  AccountHandle account_with_key(const std::string& realm, AccountKey key, AccountOptions options,
                                 CancelToken cancel = CancelToken::never()) const;

  Directory api_directory() const { return client_.directory(); }
  /// The client, for functions that are not here.
  const AcmeClient& client() const noexcept { return client_; }

 private:
  DirectoryHandle(AcmeClient client, std::shared_ptr<Persist> persist);
  AcmeClient client_;
  std::shared_ptr<Persist> persist_;
};

}  // namespace culmen::blocking
