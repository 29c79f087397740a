// Private keys: for accounts and for certificates.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/bytes.hpp"

namespace culmen {

namespace crypto {
class KeyHandle;
}

/// Gives the passphrase of an encrypted PEM key; called at most once a key.
using PassphraseCallback = std::function<std::string()>;

/// A private key. Copies share one immutable key: cheap to copy, safe to sign with from several threads at once.
///
/// Key types: ec:P-256 ec:P-384 ec:P-521 rsa:2048 rsa:3072 rsa:4096 ed25519 ed448 ml-dsa-44 ml-dsa-65 ml-dsa-87.
/// The ml-dsa types need OpenSSL >= 3.5 at run time.
class PrivateKey {
 public:
  /// No key, for APIs that require default construction, as std::promise does. Using it throws Error
  /// (invalid_argument); so does using a key that was moved from.
  PrivateKey() noexcept = default;
  /// Whether there is a key.
  explicit operator bool() const noexcept { return handle_ != nullptr; }

  /// A new key. Throws Error (unsupported_key_type): unknown name, or this machine's OpenSSL lacks the algorithm.
  static PrivateKey generate(std::string_view type = "ec:P-256");

  /// From PEM: PKCS#8 (also encrypted), SEC1 or PKCS#1, whatever stands around it. The first private key counts.
  /// Throws Error (crypto_failed); for an encrypted key without a callback the text says so.
  static PrivateKey from_pem(std::string_view pem, const PassphraseCallback& passphrase = {});

  /// From a private JWK (EC, RSA, OKP, AKP; RFC 7517, 7518, 8037, 9964). Throws Error (jose_failed, crypto_failed).
  static PrivateKey from_jwk(std::string_view json);

  /// Unencrypted PKCS#8 PEM, ending in a newline. Secret: store it with mode 0600.
  std::string to_pem() const;

  /// The key type, as "ec:P-256"; for an RSA key of another size as "rsa:2560". Empty when there is no key.
  const std::string& type() const noexcept;

  /// The JWS algorithm: ES256 ES384 ES512 RS256 EdDSA ML-DSA-44 ML-DSA-65 ML-DSA-87. Empty when there is no key.
  std::string_view alg() const noexcept;

  /// Signs as JWS wants it: ECDSA is r‖s of fixed width (RFC 7518 §3.4). Throws Error (crypto_failed). Thread-safe.
  Bytes sign(ByteView message) const;

  /// The public key as SubjectPublicKeyInfo DER.
  Bytes public_key_der() const;
  /// The public JWK as JSON with members in lexicographic order and no spaces: what RFC 7638 hashes.
  std::string public_jwk() const;
  /// base64url(SHA-256(public_jwk())) (RFC 7638).
  std::string thumbprint() const;

  /// Whether both have the same public key. No key is like no other.
  bool same_key_as(const PrivateKey& other) const noexcept;

  // For culmen's own rooms.
  explicit PrivateKey(std::shared_ptr<const crypto::KeyHandle> handle) noexcept;
  const crypto::KeyHandle& handle() const;

 private:
  std::shared_ptr<const crypto::KeyHandle> handle_;
};

/// Every key type name culmen knows, in the order of the documentation.
std::vector<std::string> key_type_names();
/// Whether this machine's OpenSSL can make and use keys of that type.
bool key_type_available(std::string_view type);

}  // namespace culmen
