// Every request of ACME but two: a JWS over a fresh nonce (RFC 8555 §6.2 to §6.5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culmen/engine.hpp"
#include "engine/retry.hpp"

namespace culmen::engine {

/// What to post, and whose signature it carries.
class SignedRequest {
 public:
  /// Signed for an account. An empty payload is POST-as-GET.
  SignedRequest(const Account& account, std::string url_, std::string payload_, std::string doing_)
      : key(account.key.private_key()),
        kid(account.url),
        url(std::move(url_)),
        payload(std::move(payload_)),
        doing(std::move(doing_)) {}
  /// Signed by a key that names itself (`jwk`).
  SignedRequest(PrivateKey key_, std::string url_, std::string payload_, std::string doing_)
      : key(std::move(key_)), url(std::move(url_)), payload(std::move(payload_)), doing(std::move(doing_)) {}

  PrivateKey key;
  std::string kid;  ///< Empty: `jwk`.
  std::string url;
  std::string payload;
  std::string accept = "application/json";
  /// For requests with a payload; a POST-as-GET may always be sent again.
  Repeat repeat = Repeat::never;
  std::optional<std::chrono::milliseconds> time_limit;  ///< As HttpRequest::time_limit.
  std::string doing;                                    ///< For error texts, as "creating an order".
};

/// A successful response (2xx), or the error.
///
/// Sent again as RequestRetries (retry.hpp) decides. With Repeat::never a lost response and a 5xx are reported: the
/// caller must query the outcome.
Flow<Result<HttpResponse>> signed_post(Session session, SignedRequest request);

}  // namespace culmen::engine
