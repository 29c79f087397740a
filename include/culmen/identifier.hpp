// Identifiers: DNS names, IP addresses, telephone numbers (RFC 8555 §9.7.7, RFC 8738, RFC 9448).
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"

namespace culmen {

/// An ACME identifier, `{"type": …, "value": …}`. A plain value.
///
/// The static functions return canonical values: DNS names are lower-case A-labels without a trailing dot, IPv6
/// addresses are in RFC 5952 form. Values from a server are kept as received.
struct Identifier {
  Identifier() = default;
  Identifier(std::string type, std::string value);

  /// A DNS name such as "example.com", or a wildcard such as "*.example.com". Throws Error (invalid_argument) if it is
  /// not valid.
  static Identifier dns(std::string_view name);
  /// An IPv4 or IPv6 address as text, without brackets (RFC 8738). Throws Error (invalid_argument).
  static Identifier ip(std::string_view address);
  /// A version 3 onion address (RFC 9799 §2: type "dns"). Throws Error (invalid_argument).
  static Identifier onion(std::string_view address);
  /// A list of telephone numbers and service provider codes (RFC 9448 §3): a TNAuthorizationList in DER (RFC 8226 §9).
  /// Throws Error (invalid_argument).
  static Identifier tn_auth_list(ByteView der);
  /// An IP address if `text` parses as one, otherwise a DNS name. Throws Error (invalid_argument).
  static Identifier parse(std::string_view text);

  bool is_wildcard() const noexcept;

  auto operator<=>(const Identifier&) const = default;

  std::string type;
  std::string value;
};

}  // namespace culmen
