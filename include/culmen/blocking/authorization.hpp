// Proving control of a name: an authorization of an order, and its challenges.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "culmen/authorization.hpp"
#include "culmen/blocking/account.hpp"

namespace culmen::blocking {

/// One way to prove control of one name. A handle, as AccountHandle is one.
class ChallengeHandle {
 public:
  /// http-01: the name of the file below http://NAME/.well-known/acme-challenge/. Safe as a file name.
  /// Throws Error (bad_response) when the CA gave none that is.
  std::string http_token() const;
  /// http-01: what the file contains, without a newline.
  std::string http_proof() const;
  /// dns-01: the value of the TXT record at _acme-challenge.NAME.
  std::string dns_proof() const;
  /// tls-alpn-01: the digest for the acmeIdentifier extension.
  std::array<std::uint8_t, 32> tls_alpn_proof() const;

  /// False once the CA has seen the proof.
  bool need_validate() const noexcept;

  /// Tells the CA that the proof is there, and waits until it has looked: every `delay`, or when the CA says, which
  /// wins. A delay below 200 ms is taken for 200 ms. Throws Error: authorization_invalid, with the CA's reasons, when
  /// it is not convinced; deadline when it is not done after `limit`, or asks to wait past it.
  void validate(std::chrono::milliseconds delay, std::chrono::seconds limit = std::chrono::seconds(120),
                CancelToken cancel = CancelToken::never()) const;

  const Challenge& api_challenge() const noexcept { return challenge_; }

  // For the rest of this face.
  ChallengeHandle(AccountHandle account, std::string authorization_url, Challenge challenge);

 private:
  std::string key_authorization() const;
  AccountHandle account_;
  std::string authorization_url_;
  Challenge challenge_;
};

/// The authorization of one name, as the CA showed it. A handle, as AccountHandle is one.
class Auth {
 public:
  /// False when the CA knows already that the name is the account's.
  bool need_challenge() const noexcept;
  /// The name, without "*." also for a wildcard.
  const std::string& domain_name() const noexcept { return authorization_.identifier.value; }

  /// The challenge of that type. Throws Error (not_offered), with the types that there are, when there is none:
  /// wildcards have no http-01. To ask first: api_auth().find_challenge("http-01").
  ChallengeHandle http_challenge() const { return challenge("http-01"); }
  ChallengeHandle dns_challenge() const { return challenge("dns-01"); }
  ChallengeHandle tls_alpn_challenge() const { return challenge("tls-alpn-01"); }

  const Authorization& api_auth() const noexcept { return authorization_; }

  // For the rest of this face.
  Auth(AccountHandle account, Authorization authorization);

 private:
  ChallengeHandle challenge(const std::string& type) const;
  AccountHandle account_;
  Authorization authorization_;
};

}  // namespace culmen::blocking
