// Authenticated encryption: AES-256-GCM.
#pragma once

#include <cstddef>
#include <optional>

#include "culmen/bytes.hpp"

namespace culmen::crypto {

inline constexpr std::size_t seal_key_size = 32;

/// A random nonce, the encrypted octets and the tag. `context` is authenticated, not kept: unseal() needs the same.
/// `key` has seal_key_size octets. Throws Error (crypto_failed).
Bytes seal(ByteView key, ByteView plain, ByteView context);
/// nullopt if the octets are not what seal() returned for that key and context. Throws Error (crypto_failed).
std::optional<Bytes> unseal(ByteView key, ByteView sealed, ByteView context);
/// How much longer a sealed text is than the plain one.
inline constexpr std::size_t seal_overhead = 12 + 16;

}  // namespace culmen::crypto
