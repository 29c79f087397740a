// From nothing to a certificate that is kept, step by step, without an event loop: start here.
//
// docs/persistence.md shows what is kept and where. Where the CA is asked, functions block and throw Error.
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

/// A CA, and a store for what comes from it. A handle: copies are the same; it keeps client and store alive. Safe to
/// use from several threads at once, as far as the store is. Functions that ask the CA block, throw Error, and can be
/// cancelled by their last parameter.
class DirectoryHandle {
 public:
  /// Fetches the directory. `cancel` cancels this, and every later call through the handle. `persist` is copied, so a
  /// copy must be the same store. Requests that get badNonce are sent again ten times, or more often if `options` says
  /// so.
  ///
  /// Keep what comes from different CAs, and from staging, in different stores (folders) or under different realms: the
  /// certificate of one name has one place in a realm.
  template <std::derived_from<Persist> Store>
  static DirectoryHandle from_url(Store persist, DirectoryUrl url, ClientOptions options = {},
                                  CancelToken cancel = CancelToken::never()) {
    return from_url(std::shared_ptr<Persist>(std::make_shared<Store>(std::move(persist))), std::move(url),
                    std::move(options), std::move(cancel));
  }
  static DirectoryHandle from_url(std::shared_ptr<Persist> persist, DirectoryUrl url, ClientOptions options = {},
                                  CancelToken cancel = CancelToken::never());

  /// The account of that e-mail address, with the address as its contact and as its realm in the store: its key is
  /// taken from the store, or made and kept; then it is registered, or found if it was before. By calling this you
  /// agree to the CA's terms of service (api_directory().meta.terms_of_service) on behalf of the account holder.
  AccountHandle account(const std::string& email, CancelToken cancel = CancelToken::never()) const;
  /// The same with a realm of your own, and with the contacts you like, or none: URLs, as "mailto:ops@example.com".
  AccountHandle account_with_realm(const std::string& realm, std::vector<std::string> contacts = {},
                                   std::optional<EabOptions> eab = {}, CancelToken cancel = CancelToken::never()) const;
  /// The account of a key that you keep yourself: it is not stored. Certificates are, under `realm`.
  AccountHandle account_with_key(const std::string& realm, AccountKey key, AccountOptions options,
                                 CancelToken cancel = CancelToken::never()) const;

  const Directory& api_directory() const noexcept { return client_.directory(); }
  /// The client, for all verbs that are not here.
  const AcmeClient& client() const noexcept { return client_; }

 private:
  DirectoryHandle(AcmeClient client, std::shared_ptr<Persist> persist);
  AcmeClient client_;
  std::shared_ptr<Persist> persist_;
};

}  // namespace culmen::blocking
