// Keys, apart from any encoding in JSON.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"
#include "culmen/private_key.hpp"

namespace culmen::crypto {

/// Owns an EVP_PKEY; defined in key_handle.hpp, which only crypto's .cpp files include.
class KeyHandle;

/// The numbers of a key, as JWK names them. What a key type does not have is empty.
struct KeyParts {
  KeyParts() = default;
  std::string type;  ///< "ec:P-256", "rsa:2048", "ed25519", "ml-dsa-65", …; for rsa the size is ignored on input.
  Bytes x, y;        ///< EC: fixed width of the field. OKP: x.
  Bytes n, e;        ///< RSA, no leading zero octet.
  Bytes pub;         ///< ML-DSA.
  Bytes secret;      ///< EC and OKP: d. RSA: d. ML-DSA: the 32-byte seed. Empty in public parts.
  Bytes p, q, dp, dq, qi;  ///< RSA private.
};

/// A public key that came from outside. Copies share it, and moving copies; thread-safe.
class PublicKey {
 public:
  /// From parts; checks point on curve, sizes. Throws Error (crypto_failed, unsupported_key_type).
  static PublicKey from_parts(const KeyParts& parts);
  /// From SubjectPublicKeyInfo DER. Throws Error (crypto_failed).
  static PublicKey from_der(ByteView spki);

  KeyParts parts() const;
  const std::string& type() const noexcept;
  Bytes to_der() const;
  /// Whether `signature` over `message` is good under the JWS algorithm `alg` (ES256, …, RS256/384/512, PS256/384/512,
  /// EdDSA, ML-DSA-*). False too when alg does not fit the key, or ECDSA is not of the exact width.
  bool verify(std::string_view alg, ByteView message, ByteView signature) const;

  explicit PublicKey(std::shared_ptr<const KeyHandle> handle) noexcept;
  PublicKey(const PublicKey&) noexcept = default;
  PublicKey& operator=(const PublicKey&) noexcept = default;
  ~PublicKey() = default;
  const KeyHandle& handle() const noexcept { return *handle_; }

 private:
  std::shared_ptr<const KeyHandle> handle_;
};

KeyParts public_parts(const PrivateKey& key);
PublicKey public_key(const PrivateKey& key);
/// From parts with the secret ones. Throws Error (crypto_failed, unsupported_key_type).
PrivateKey private_key_from_parts(const KeyParts& parts);

/// ECDSA between JWS (r‖s, each `width` octets) and DER.
Bytes ecdsa_der_to_raw(ByteView der, std::size_t width);
Bytes ecdsa_raw_to_der(ByteView raw);

}  // namespace culmen::crypto
