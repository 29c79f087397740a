// DNS names and IP addresses as text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"
#include "culmen/result.hpp"

namespace culmen::base {

/// A DNS name as ACME wants it: A-labels (UTS-46, non-transitional), lower-case, no trailing dot, labels <= 63, <= 253
/// in all; a leading "*." is kept. Errors (invalid_argument) say what is wrong with it.
Result<std::string> canonical_dns_name(std::string_view name);

/// RFC 5952 text (IPv4: dotted decimal); nullopt if it is not an address.
std::optional<std::string> canonical_ip(std::string_view address);
/// 4 or 16 octets.
std::optional<Bytes> ip_octets(std::string_view address);
/// From 4 or 16 octets.
std::optional<std::string> ip_from_octets(ByteView octets);
/// "1.2.0.192.in-addr.arpa" or 32 nibbles under ip6.arpa, without a trailing dot (RFC 8738 §6).
std::optional<std::string> reverse_arpa_name(std::string_view address);

/// What RFC 8555 lets a token be: one or more of [A-Za-z0-9_-]. Safe as a file name.
bool is_token(std::string_view text) noexcept;

}  // namespace culmen::base
