// Every request of ACME but two: a JWS over a fresh nonce (RFC 8555 §6.2 to §6.5).
#pragma once

#include <string>
#include <string_view>

#include "culmen/engine.hpp"

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
  /// Doing it twice is the same as doing it once, so a lost answer is no reason to give up.
  bool repeatable = false;
  std::string doing;  ///< For error texts, as "creating an order".
};

/// A successful response (2xx), or the error.
///
/// badNonce is answered by sending again, Session::nonce_retries() times at most. 429 and 503 that name a time to wait
/// within SessionOptions::poll_deadline are waited out, SessionOptions::busy_retries times at most; a longer wait is
/// reported at once. A POST-as-GET whose connection broke is sent once more; other requests are not: what became of
/// them is the caller's to ask.
Flow<Result<HttpResponse>> signed_post(Session session, SignedRequest request);

/// Whether the server may have done what it was asked although this error came back: ask it before asking again.
bool outcome_unknown(const Error& error) noexcept;

}  // namespace culmen::engine
