// Problem documents (RFC 7807), as ACME servers send them (RFC 8555 §6.7).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culmen/identifier.hpp"

namespace culmen {

/// What a server said went wrong (RFC 8555 §6.7). A plain value; the texts are the server's own, untrusted.
struct Problem {
  Problem() = default;

  /// The full URN, as "urn:ietf:params:acme:error:badNonce"; "about:blank" when the server gave none.
  std::string type = "about:blank";
  std::string detail;
  std::string instance;                  ///< URL of the page that tells more, or empty.
  int status = 0;                        ///< HTTP status, 0 when unknown.
  std::optional<Identifier> identifier;  ///< Only in subproblems (RFC 8555 §6.7.1).
  std::vector<std::string> algorithms;   ///< With badSignatureAlgorithm (RFC 8555 §6.2).
  std::vector<Problem> subproblems;
  std::string terms_of_service;  ///< With userActionRequired: the "terms-of-service" link, or empty.

  /// "badNonce" for "urn:ietf:params:acme:error:badNonce"; the whole type otherwise.
  std::string short_type() const;
};

}  // namespace culmen
