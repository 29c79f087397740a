#include "crypto/onion.hpp"

#include <algorithm>

#include <sodium.h>

#include "base/base64.hpp"
#include "crypto/key_handle.hpp"
#include "culmen/error.hpp"

namespace culmen::crypto {
namespace {

constexpr std::string_view suffix = ".onion";
constexpr std::size_t key_length = 32, checksum_length = 2, label_length = 56;
constexpr std::uint8_t version = 3;
using Wide = std::array<std::uint8_t, crypto_hash_sha512_BYTES>;
using Scalar = std::array<std::uint8_t, crypto_core_ed25519_SCALARBYTES>;

void start_sodium() {
  if (sodium_init() < 0) throw Error(Errc::crypto_failed, "starting libsodium", "it cannot be started");
}

/// SHA-512 of all parts, as a number modulo the group's order.
Scalar hash_to_scalar(std::initializer_list<ByteView> parts) {
  crypto_hash_sha512_state state;
  crypto_hash_sha512_init(&state);
  for (const ByteView part : parts) crypto_hash_sha512_update(&state, part.data(), part.size());
  Wide wide;
  crypto_hash_sha512_final(&state, wide.data());
  Scalar scalar;
  crypto_core_ed25519_scalar_reduce(scalar.data(), wide.data());
  sodium_memzero(wide.data(), wide.size());
  return scalar;
}

/// `scalar` times the base point.
Bytes point_of(const std::uint8_t* scalar, std::string_view doing) {
  Bytes point(key_length);
  if (crypto_scalarmult_ed25519_base_noclamp(point.data(), scalar) != 0)
    throw Error(Errc::crypto_failed, doing, "the secret number is one that a key cannot have");
  return point;
}

/// The first octets of SHA3-256(".onion checksum" || key || version).
Bytes checksum(ByteView public_key) {
  constexpr std::string_view start = ".onion checksum";
  Bytes input(start.begin(), start.end());
  input.insert(input.end(), public_key.begin(), public_key.end());
  input.push_back(version);
  Bytes digest(EVP_MAX_MD_SIZE);
  unsigned int length = 0;
  if (!EVP_Digest(input.data(), input.size(), digest.data(), &length, EVP_sha3_256(), nullptr))
    throw openssl_error("computing the checksum of an onion address");
  digest.resize(checksum_length);
  return digest;
}

}  // namespace

ExpandedKey ExpandedKey::from_seed(ByteView seed) {
  constexpr std::string_view doing = "reading an Ed25519 key";
  if (seed.size() != key_length) throw Error(Errc::crypto_failed, doing, "its seed does not have 32 octets");
  start_sodium();
  Wide expanded;
  crypto_hash_sha512(expanded.data(), seed.data(), seed.size());
  // RFC 8032 §5.1.5: "The lowest three bits of the first octet are cleared, the highest bit of the last octet is
  // cleared, and the second highest bit of the last octet is set."
  expanded[0] &= 248;
  expanded[31] &= 127;
  expanded[31] |= 64;
  ExpandedKey key = from_expanded(expanded);
  sodium_memzero(expanded.data(), expanded.size());
  return key;
}

ExpandedKey ExpandedKey::from_private_key(const PrivateKey& key) {
  constexpr std::string_view doing = "reading the key of an onion service";
  if (key.type() != "ed25519")
    throw Error(Errc::crypto_failed, doing, "it is of the type " + key.type() + "; onion services have ed25519");
  std::array<std::uint8_t, key_length> seed;
  std::size_t length = seed.size();
  if (EVP_PKEY_get_raw_private_key(key.handle().get(), seed.data(), &length) != 1) throw openssl_error(doing);
  ExpandedKey expanded = from_seed(ByteView(seed).first(length));
  sodium_memzero(seed.data(), seed.size());
  return expanded;
}

ExpandedKey ExpandedKey::from_expanded(ByteView expanded) {
  constexpr std::string_view doing = "reading an expanded Ed25519 key";
  if (expanded.size() != size) throw Error(Errc::crypto_failed, doing, "it does not have 64 octets");
  const bool clamped = (expanded[0] & 7) == 0 && (expanded[31] & 0xc0) == 0x40;
  if (!clamped) throw Error(Errc::crypto_failed, doing, "the bits that RFC 8032 fixes are not as they must be");
  start_sodium();
  ExpandedKey key;
  std::ranges::copy(expanded, key.secret_.begin());
  key.public_key_ = point_of(key.secret_.data(), doing);
  return key;
}

ExpandedKey::~ExpandedKey() { sodium_memzero(secret_.data(), secret_.size()); }

Bytes ExpandedKey::sign(ByteView message) const {
  const ByteView prefix = ByteView(secret_).last(key_length);
  Scalar r = hash_to_scalar({prefix, message});
  Bytes signature = point_of(r.data(), "signing with an Ed25519 key");
  const Scalar k = hash_to_scalar({signature, public_key_, message});
  Scalar s;
  crypto_core_ed25519_scalar_mul(s.data(), k.data(), secret_.data());
  crypto_core_ed25519_scalar_add(s.data(), s.data(), r.data());
  sodium_memzero(r.data(), r.size());
  signature.insert(signature.end(), s.begin(), s.end());
  return signature;
}

std::string onion_address(ByteView public_key) {
  Bytes octets(public_key.begin(), public_key.end());
  const Bytes sum = checksum(public_key);
  octets.insert(octets.end(), sum.begin(), sum.end());
  octets.push_back(version);
  return base::base32_encode_lower(octets).append(suffix);
}

std::optional<Bytes> onion_public_key(std::string_view name) {
  if (!name.ends_with(suffix)) return std::nullopt;
  std::string_view label = name.substr(0, name.size() - suffix.size());
  label.remove_prefix(label.rfind('.') + 1);  // npos + 1 is 0
  if (label.size() != label_length) return std::nullopt;
  std::optional<Bytes> octets = base::base32_decode(label);
  if (!octets || octets->size() != key_length + checksum_length + 1 || octets->back() != version) return std::nullopt;
  const Bytes sum(octets->begin() + key_length, octets->begin() + key_length + checksum_length);
  octets->resize(key_length);
  if (sum != checksum(*octets)) return std::nullopt;
  return octets;
}

}  // namespace culmen::crypto
