// base64url and base64 (RFC 4648).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"

namespace culmen::base {

/// base64url without padding.
std::string base64url_encode(ByteView bytes);
std::string base64url_encode(std::string_view text);
/// Strict: no padding, no white space, no characters of the other alphabet, no non-zero trailing bits.
std::optional<Bytes> base64url_decode(std::string_view text);
/// Standard alphabet with padding.
std::string base64_encode(ByteView bytes);
/// Either alphabet, padded or not, white space ignored: for what people paste.
std::optional<Bytes> base64_decode_lenient(std::string_view text);
/// Lower-case RFC 4648 base32 without padding.
std::string base32_encode_lower(ByteView bytes);
std::optional<Bytes> base32_decode(std::string_view text);

}  // namespace culmen::base
