// Account keys.
#pragma once

#include <string>
#include <string_view>

#include "culmen/private_key.hpp"

namespace culmen {

/// The key that signs an account's requests (RFC 8555 §6.2). Copies share one immutable key. Thread-safe.
class AccountKey {
 public:
  /// No key. Using it, or a key that was moved from, throws Error (invalid_argument); thumbprint() and alg() are then
  /// empty.
  AccountKey() noexcept = default;

  /// A new key; see PrivateKey for the type names. Throws Error (unsupported_key_type, crypto_failed).
  static AccountKey generate(std::string_view type = "ec:P-256");
  /// See PrivateKey::from_pem.
  static AccountKey from_pem(std::string_view pem, const PassphraseCallback& passphrase = {});
  /// See PrivateKey::from_jwk.
  static AccountKey from_jwk(std::string_view json);

  /// Throws Error (invalid_argument) if there is no key.
  explicit AccountKey(PrivateKey key);

  /// Unencrypted PKCS#8 PEM. Secret: store it with mode 0600.
  std::string to_pem() const;
  /// base64url(SHA-256(canonical public JWK)) (RFC 7638). Computed at construction.
  const std::string& thumbprint() const noexcept;
  /// token + "." + thumbprint (RFC 8555 §8.1).
  std::string key_authorization(std::string_view token) const;
  /// The JWS algorithm, such as "ES256".
  std::string_view alg() const noexcept;
  /// The same key, for other uses.
  const PrivateKey& private_key() const noexcept;

 private:
  PrivateKey key_;
  std::string thumbprint_;
};

}  // namespace culmen
