// The authorizations of an order, and their challenges.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "culmen/authorization.hpp"
#include "culmen/blocking/account.hpp"

namespace culmen::blocking {

/// One way to prove control of a name (RFC 8555 §8). Keeps the account's client and store alive. Thread-safe.
class ChallengeHandle {
 public:
  /// http-01 (RFC 8555 §8.3): the name of the file below http://NAME/.well-known/acme-challenge/. Safe as a file name.
  /// Throws Error (bad_response) if the challenge has no valid token, as do the functions for the proofs.
  std::string http_token() const;
  /// http-01: the contents of the file, without a newline.
  std::string http_proof() const;
  /// dns-01 (RFC 8555 §8.4): the value of the TXT record at _acme-challenge.NAME.
  std::string dns_proof() const;
  /// tls-alpn-01 (RFC 8737 §3): the digest for the acmeIdentifier extension.
  std::array<std::uint8_t, 32> tls_alpn_proof() const;

  /// False if the CA has already validated the challenge.
  bool need_validate() const noexcept;

  /// Tells the CA to validate the challenge, and polls until it has: every `delay` (at least 200 ms), or as the CA's
  /// Retry-After says. Blocks. Throws Error (authorization_invalid), with the CA's reasons, if validation fails;
  /// (deadline) if it takes longer than `limit`, or Retry-After exceeds it.
  void validate(std::chrono::milliseconds delay, std::chrono::seconds limit = std::chrono::seconds(120),
                CancelToken cancel = CancelToken::never()) const;

  const Challenge& api_challenge() const noexcept { return challenge_; }

  // Internal.
  ChallengeHandle(AccountHandle account, std::string authorization_url, Challenge challenge);

 private:
  std::string key_authorization() const;
  AccountHandle account_;
  std::string authorization_url_;
  Challenge challenge_;
};

/// The authorization of one name, as returned by the CA. Keeps the account's client and store alive. Thread-safe.
class Auth {
 public:
  /// False if the authorization is already valid.
  bool need_challenge() const noexcept;
  /// The name; for a wildcard without "*.".
  const std::string& domain_name() const noexcept { return authorization_.identifier.value; }

  /// The challenge of that type. Throws Error (not_offered), which lists the types offered, if there is none; wildcards
  /// have no http-01. api_auth().find_challenge("http-01") does not throw.
  ChallengeHandle http_challenge() const { return challenge("http-01"); }
  ChallengeHandle dns_challenge() const { return challenge("dns-01"); }
  ChallengeHandle tls_alpn_challenge() const { return challenge("tls-alpn-01"); }

  const Authorization& api_auth() const noexcept { return authorization_; }

  // Internal.
  Auth(AccountHandle account, Authorization authorization);

 private:
  ChallengeHandle challenge(const std::string& type) const;
  AccountHandle account_;
  Authorization authorization_;
};

}  // namespace culmen::blocking
