// A certificate with its private key.
#pragma once

#include <chrono>
#include <string>

#include "culmen/bytes.hpp"
#include "culmen/certificate.hpp"
#include "culmen/private_key.hpp"

namespace culmen::blocking {

/// A certificate and its key. A plain value.
class CertificateWithKey {
 public:
  /// From PEM; the chain is leaf first. Throws Error (crypto_failed, unsupported_key_type) if either cannot be parsed.
  CertificateWithKey(std::string private_key_pem, std::string chain_pem);

  /// The private key as PEM. Secret.
  const std::string& private_key() const noexcept { return private_key_; }
  /// The private key as DER (PKCS#8). Secret.
  Bytes private_key_der() const;
  /// The chain as PEM, leaf first, in the form that servers expect.
  const std::string& certificate() const noexcept { return chain_; }
  /// The leaf as DER.
  const Bytes& certificate_der() const noexcept { return leaf_.der; }

  /// Whole days until the certificate expires, rounded down; negative once it has expired.
  long valid_days_left(std::chrono::system_clock::time_point now = std::chrono::system_clock::now()) const;

  /// Whether the private key belongs to the certificate.
  bool is_matching() const { return leaf_.matches(key_); }
  /// The leaf, parsed.
  const Certificate& api_certificate() const noexcept { return leaf_; }

 private:
  std::string private_key_;
  std::string chain_;
  PrivateKey key_;
  Certificate leaf_;
};

}  // namespace culmen::blocking
