// Random octets, digests and MACs.
#pragma once

#include <string_view>

#include "culmen/bytes.hpp"

namespace culmen::crypto {

Bytes random_bytes(std::size_t count);
Bytes sha256(ByteView data);
/// `alg` is HS256, HS384 or HS512. Throws Error (crypto_failed).
Bytes hmac(std::string_view alg, ByteView key, ByteView message);
/// Takes constant time, independent of the contents.
bool equal_secrets(ByteView a, ByteView b) noexcept;

}  // namespace culmen::crypto
