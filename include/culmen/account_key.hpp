// The key that an ACME account signs its requests with.
#pragma once

#include <string>
#include <string_view>

#include "culmen/private_key.hpp"

namespace culmen {

/// An account key (RFC 8555 §6.2). Copies share one immutable key; safe to use from several threads at once.
class AccountKey {
 public:
  /// No key; see PrivateKey.
  AccountKey() noexcept = default;

  /// A new key; see PrivateKey for the type names. Throws Error (unsupported_key_type).
  static AccountKey generate(std::string_view type = "ec:P-256");
  /// See PrivateKey::from_pem.
  static AccountKey from_pem(std::string_view pem, const PassphraseCallback& passphrase = {});
  /// See PrivateKey::from_jwk.
  static AccountKey from_jwk(std::string_view json);

  explicit AccountKey(PrivateKey key);

  /// Unencrypted PKCS#8 PEM. Secret: store it with mode 0600.
  std::string to_pem() const;
  /// base64url(SHA-256(canonical public JWK)) (RFC 7638). Computed once; cannot fail.
  const std::string& thumbprint() const noexcept;
  /// token + "." + thumbprint (RFC 8555 §8.1).
  std::string key_authorization(std::string_view token) const;
  /// The JWS algorithm, as "ES256".
  std::string_view alg() const noexcept;
  /// The same key, for other uses.
  const PrivateKey& private_key() const noexcept;

 private:
  PrivateKey key_;
  std::string thumbprint_;
};

}  // namespace culmen
