// Private keys, for accounts and certificates.
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

/// Returns the passphrase of an encrypted PEM key. Called at most once per key, on the calling thread; its exceptions
/// reach the caller.
using PassphraseCallback = std::function<std::string()>;

/// A private key. Copies share one immutable key: cheap to copy, and thread-safe, including sign().
///
/// Key types: ec:P-256 ec:P-384 ec:P-521 rsa:2048 rsa:3072 rsa:4096 ed25519 ed448 ml-dsa-44 ml-dsa-65 ml-dsa-87.
/// The ml-dsa types need OpenSSL >= 3.5 at run time.
class PrivateKey {
 public:
  /// No key, for APIs that require default construction, such as std::promise. Using it, or a key that was moved from,
  /// throws Error (invalid_argument).
  PrivateKey() noexcept = default;
  /// Whether there is a key.
  explicit operator bool() const noexcept { return handle_ != nullptr; }

  /// A new key. Throws Error (unsupported_key_type) if the name is unknown or OpenSSL does not support the algorithm;
  /// (crypto_failed). RSA keys may take seconds.
  static PrivateKey generate(std::string_view type = "ec:P-256");

  /// From PEM: PKCS#8 (also encrypted), SEC1 or PKCS#1. Uses the first private key; text around it is ignored. Throws
  /// Error (crypto_failed), also for an encrypted key without a callback; (unsupported_key_type).
  static PrivateKey from_pem(std::string_view pem, const PassphraseCallback& passphrase = {});

  /// From a private JWK (EC, RSA, OKP, AKP; RFC 7517, 7518, 8037, 9964). Throws Error (jose_failed, crypto_failed).
  static PrivateKey from_jwk(std::string_view json);

  /// Unencrypted PKCS#8 PEM, ending in a newline. Secret: store it with mode 0600.
  std::string to_pem() const;

  /// The key type, such as "ec:P-256"; for RSA keys of other sizes such as "rsa:2560". Empty if there is no key.
  const std::string& type() const noexcept;

  /// The JWS algorithm: ES256 ES384 ES512 RS256 EdDSA ML-DSA-44 ML-DSA-65 ML-DSA-87. Empty if there is no key.
  std::string_view alg() const noexcept;

  /// Signs in the form of JWS: ECDSA signatures are r‖s of fixed width (RFC 7518 §3.4). Throws Error (crypto_failed).
  Bytes sign(ByteView message) const;

  /// The public key as SubjectPublicKeyInfo DER.
  Bytes public_key_der() const;
  /// The public JWK as JSON, with members in lexicographic order and no spaces: the input of RFC 7638.
  std::string public_jwk() const;
  /// base64url(SHA-256(public_jwk())) (RFC 7638).
  std::string thumbprint() const;

  /// Whether both have the same public key. False if either has none.
  bool same_key_as(const PrivateKey& other) const noexcept;

  // Internal.
  explicit PrivateKey(std::shared_ptr<const crypto::KeyHandle> handle) noexcept;
  const crypto::KeyHandle& handle() const;

 private:
  std::shared_ptr<const crypto::KeyHandle> handle_;
};

/// All key type names, in the order above.
std::vector<std::string> key_type_names();
/// Whether OpenSSL supports keys of that type. False for unknown names.
bool key_type_available(std::string_view type);

}  // namespace culmen
