// Problem documents (RFC 7807), as ACME servers send them (RFC 8555 §6.7).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "culmen/identifier.hpp"

namespace culmen {

/// A problem document (RFC 8555 §6.7). A plain value; the texts come from the server and are untrusted, see
/// printable().
struct Problem {
  Problem() = default;

  /// The full URN, such as "urn:ietf:params:acme:error:badNonce"; "about:blank" if the server sent none.
  std::string type = "about:blank";
  std::string detail;
  std::string instance;                  ///< URL of a page with more information, or empty.
  int status = 0;                        ///< HTTP status; 0 if unknown.
  std::optional<Identifier> identifier;  ///< Only in subproblems (RFC 8555 §6.7.1).
  std::vector<std::string> algorithms;   ///< With badSignatureAlgorithm (RFC 8555 §6.2).
  std::vector<Problem> subproblems;
  std::string terms_of_service;  ///< With userActionRequired: the "terms-of-service" link, or empty.

  /// "badNonce" for "urn:ietf:params:acme:error:badNonce"; the whole type otherwise.
  std::string short_type() const;
};

}  // namespace culmen
