// What a certificate authority does with OpenSSL: read requests, sign certificates. For the test CA, and for the
// self-signed certificates of tls-alpn-01.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "crypto/key.hpp"
#include "culmen/bytes.hpp"
#include "culmen/identifier.hpp"
#include "culmen/private_key.hpp"

namespace culmen::crypto {

/// An extension or attribute by OID: the value's DER (for an extension: the content of extnValue).
struct OidValue {
  OidValue(std::string oid_, Bytes value_, bool critical_ = false)
      : oid(std::move(oid_)), value(std::move(value_)), critical(critical_) {}
  std::string oid;
  Bytes value;
  bool critical = false;
};

/// A certificate signing request, read and its self-signature checked.
struct Csr {
  Csr() = default;
  std::string common_name;
  std::vector<std::pair<std::string, std::string>> subject;  ///< All its values in UTF-8, by OID.
  std::vector<Identifier> san;                               ///< dns and ip; dns lower-cased.
  bool other_names = false;                                  ///< subjectAltName has names of other kinds.
  std::vector<std::string> emails, uris;                     ///< Those of them.
  bool unread_names = false;                                 ///< It has names of yet other kinds.
  Bytes signature_algorithm;                                 ///< AlgorithmIdentifier.
  bool signature_ok = false;                                 ///< Never with a key that is not in `public_key`.
  Bytes public_key_der;
  std::string key_type;                 ///< As PublicKey::type(); "unknown" when it is none we know.
  std::optional<PublicKey> public_key;  ///< The same key, read; none when culmen uses no such keys.
  std::vector<OidValue> extensions;     ///< Those asked for, subjectAltName included.
  std::vector<OidValue> attributes;     ///< Others than extensionRequest; value is the first of the SET, in DER.
};
/// Throws Error (crypto_failed) when it cannot be read at all.
Csr parse_csr(ByteView der);

/// What to sign.
struct CertificateTemplate {
  CertificateTemplate() = default;
  std::string common_name;              ///< Empty: no CN (an empty subject).
  std::vector<Identifier> identifiers;  ///< subjectAltName; none: no extension.
  Bytes public_key_der;
  std::optional<PublicKey> public_key;  ///< When it is there, it counts and public_key_der need not be read.
  Bytes serial;                         ///< Big-endian, positive; empty: 16 random octets.
  std::chrono::system_clock::time_point not_before;
  std::chrono::system_clock::time_point not_after;
  bool is_ca = false;  ///< basicConstraints, keyUsage keyCertSign; else serverAuth leaf.
  bool authority_key_identifier = true;
  /// Nothing of one's own beside subjectAltName: no basic constraints, key usages, key identifiers.
  bool bare = false;
  std::vector<OidValue> extensions;  ///< Further ones.
};
/// Signs with the issuer's key; `issuer_der` empty means self-signed (issuer == subject). Throws Error (crypto_failed).
Bytes sign_certificate(const CertificateTemplate& what, const PrivateKey& issuer_key, ByteView issuer_der = {});

/// A CA's key and certificate, read once: OpenSSL takes longer to read a certificate than to sign one. Copies share it;
/// safe to sign with from several threads at once.
class Issuer {
 public:
  /// Throws Error (crypto_failed).
  Issuer(PrivateKey key, ByteView certificate_der);
  /// Throws Error (crypto_failed).
  Bytes sign(const CertificateTemplate& what) const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;
};

/// The extensions of a certificate, in order. Throws Error (crypto_failed).
std::vector<OidValue> certificate_extensions(ByteView certificate);
/// Whether issuer and subject are the same name, octet for octet. Throws Error (crypto_failed).
bool is_self_issued(ByteView certificate);

/// Whether `certificate` was signed by the key in `issuer`. Throws Error (crypto_failed) when either cannot be read.
bool is_signed_by(ByteView certificate, ByteView issuer);

}  // namespace culmen::crypto
