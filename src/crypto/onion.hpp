// Ed25519 as Tor uses it, and version 3 onion addresses (rend-spec-v3).
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"
#include "culmen/private_key.hpp"

namespace culmen::crypto {

/// An Ed25519 key as RFC 8032 §5.1.5 expands it: what Tor stores. The seed cannot be had back from it.
class ExpandedKey {
 public:
  static constexpr std::size_t size = 64;
  /// From the 32 octets of a seed. Throws Error (crypto_failed).
  static ExpandedKey from_seed(ByteView seed);
  /// Of an ed25519 key. Throws Error (crypto_failed) for one of another type.
  static ExpandedKey from_private_key(const PrivateKey& key);
  /// Scalar and prefix, 64 octets. Throws Error (crypto_failed).
  static ExpandedKey from_expanded(ByteView expanded);
  ExpandedKey(const ExpandedKey&) = default;
  ExpandedKey& operator=(const ExpandedKey&) = default;
  ~ExpandedKey();

  const Bytes& public_key() const noexcept { return public_key_; }
  /// RFC 8032 §5.1.6, from step 2 on.
  Bytes sign(ByteView message) const;

 private:
  ExpandedKey() = default;
  std::array<std::uint8_t, size> secret_ = {};
  Bytes public_key_;
};

/// The 56 characters and ".onion".
std::string onion_address(ByteView public_key);
/// The public key in an onion address, with or without labels before it; nullopt when it is not of version 3, or its
/// checksum is wrong.
std::optional<Bytes> onion_public_key(std::string_view name);

}  // namespace culmen::crypto
