// The names that a tls-alpn-01 server answers for. src/listen implements the table, which holds TLS contexts.
#pragma once

#include <string>
#include <string_view>

#include "culmen/identifier.hpp"

namespace culmen::solvers {

/// The server name under which a CA asks for an identifier: the name itself, or the reverse name of an address
/// (RFC 8738 §6). Throws Error (invalid_argument) for a wildcard and for any other identifier type.
std::string alpn_server_name(const Identifier& identifier);

/// Safe to use from any thread.
class AlpnNames {
 public:
  virtual ~AlpnNames() = default;
  /// Makes a key and a challenge certificate for the identifier and shows it to clients that ask for `server_name`;
  /// replaces the previous one. Throws Error (crypto_failed).
  virtual void add(const std::string& server_name, const Identifier& identifier,
                   std::string_view key_authorization) = 0;
  virtual void remove(const std::string& server_name) = 0;
  virtual void clear() = 0;
};

}  // namespace culmen::solvers
