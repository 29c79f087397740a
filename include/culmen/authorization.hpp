// Authorizations and challenges (RFC 8555 §7.1.4, §7.1.5, §8).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/identifier.hpp"
#include "culmen/problem.hpp"

namespace culmen {

enum class ChallengeStatus { pending, processing, valid, invalid, unknown };
enum class AuthorizationStatus { pending, valid, invalid, deactivated, expired, revoked, unknown };
std::string_view to_string(ChallengeStatus status) noexcept;
std::string_view to_string(AuthorizationStatus status) noexcept;

/// One way to prove control of an identifier (RFC 8555 §7.1.5). Unknown types are kept, with their JSON. A plain value.
struct Challenge {
  Challenge() = default;
  std::string type;
  std::string url;
  ChallengeStatus status = ChallengeStatus::pending;
  std::string token;  ///< Empty if the challenge has none (dns-persist-01, onion-csr-01).
  std::optional<Problem> error;
  std::optional<std::chrono::system_clock::time_point> validated;
  std::string json;  ///< The whole object as the server sent it.
};

/// An authorization as last returned by the server (RFC 8555 §7.1.4). A plain value.
struct Authorization {
  Authorization() = default;

  /// The challenge of that type, or nullptr. Points into this authorization.
  const Challenge* find_challenge(std::string_view type) const noexcept;
  /// The challenge of that type. Throws Error (not_offered) that lists the types offered.
  const Challenge& challenge(std::string_view type) const;

  std::string url;
  Identifier identifier;  ///< Without "*."; see `wildcard`.
  bool wildcard = false;
  bool subdomain_auth_allowed = false;  ///< Also valid for subdomains (RFC 9444).
  AuthorizationStatus status = AuthorizationStatus::unknown;
  std::optional<std::chrono::system_clock::time_point> expires;
  std::vector<Challenge> challenges;
  std::optional<std::chrono::seconds> retry_after;  ///< From the last response, clamped.
};

}  // namespace culmen
