// An EVP_PKEY and what culmen knows of its type. Only crypto's .cpp files include this.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>

#include "crypto/openssl.hpp"

namespace culmen::crypto {

enum class KeyFamily { ec, rsa, eddsa, mldsa };

/// A row of the table of key types.
struct KeyKind {
  std::string_view name;  ///< "ec:P-256"; "rsa" for any size.
  KeyFamily family;
  std::string_view alg;  ///< The JWS algorithm it signs with.
  const char* openssl;   ///< OpenSSL's name of the key type.
  const char* group;     ///< EC only.
  const char* digest;    ///< What its signatures hash with; nullptr when that is the algorithm's own affair.
  std::size_t width;     ///< EC: octets of a coordinate. OKP, ML-DSA: octets of the public key.
};
std::span<const KeyKind> key_kinds() noexcept;
/// By name ("rsa:2048" finds "rsa"), ignoring case; nullptr if there is none.
const KeyKind* find_kind(std::string_view type) noexcept;
/// Throws Error (unsupported_key_type) that lists the names there are.
const KeyKind& require_kind(std::string_view type, std::string_view doing);
/// Throws Error (unsupported_key_type) that says what to do when this OpenSSL lacks the algorithm.
void require_available(const KeyKind& kind, std::string_view doing);
bool is_available(const KeyKind& kind) noexcept;
Error needs_newer_openssl(std::string_view type, std::string_view doing);

/// Owns a key. Immutable: OpenSSL allows any number of threads to use one EVP_PKEY through contexts of their own.
class KeyHandle {
 public:
  KeyHandle(OwnedKey key, const KeyKind& kind, std::string type)
      : key_(std::move(key)), kind_(kind), type_(std::move(type)) {}

  // OpenSSL's signing functions want a non-const pointer, though they only count references.
  EVP_PKEY* get() const noexcept { return key_.get(); }
  const KeyKind& kind() const noexcept { return kind_; }
  const std::string& type() const noexcept { return type_; }
  /// The public key as SubjectPublicKeyInfo; written once. Throws Error (crypto_failed).
  const Bytes& public_key_der() const;
  /// A context that is ready to sign. Copied from one that is made on first use: that is cheaper than readying each.
  /// Throws Error (crypto_failed).
  OwnedMdCtx signer() const;
  /// The digest for X.509 signatures; nullptr for EdDSA and ML-DSA, which take the message whole.
  const EVP_MD* digest() const noexcept { return kind_.digest ? EVP_get_digestbyname(kind_.digest) : nullptr; }

 private:
  OwnedKey key_;
  const KeyKind& kind_;
  std::string type_;
  mutable std::once_flag public_key_written_;
  mutable Bytes public_key_der_;
  mutable std::mutex signer_mutex_;  // providers do not promise that one context may be copied on two threads at once
  mutable OwnedMdCtx signer_;
};

/// The kind of a key, and its full type name; {nullptr, what OpenSSL calls it} when culmen does not know it.
struct Recognised {
  const KeyKind* kind;
  std::string type;
};
Recognised recognise(const EVP_PKEY* key);
/// Whether an RSA key is as long as culmen uses them: 2048 to 8192 bits.
bool has_usable_length(const EVP_PKEY* rsa) noexcept;

/// Checks type and size. Throws Error (crypto_failed).
std::shared_ptr<const KeyHandle> make_handle(OwnedKey key, std::string_view doing);
/// The same, and that both halves belong together.
std::shared_ptr<const KeyHandle> make_private_handle(OwnedKey key, std::string_view doing);

/// A public key of any type OpenSSL reads, from SubjectPublicKeyInfo. Throws Error (crypto_failed).
OwnedKey read_spki(ByteView spki, std::string_view doing);

}  // namespace culmen::crypto
