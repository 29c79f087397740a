// Certificates, requests and public keys as they are written. OpenSSL's own types decode the public key as soon as they
// are read, which takes OpenSSL 3.0 ten times as long as all the rest. Only crypto's .cpp files include this.
#pragma once

#include <string_view>

#include "crypto/openssl.hpp"

namespace culmen::crypto {

/// SubjectPublicKeyInfo (RFC 5280 §4.1).
struct PublicKeyInfo {
  X509_ALGOR* algorithm;
  ASN1_BIT_STRING* key;
};

/// TBSCertificate (RFC 5280 §4.1).
struct CertificateBody {
  ASN1_INTEGER* version;
  ASN1_INTEGER* serial;
  X509_ALGOR* signature;
  X509_NAME* issuer;
  X509_VAL* validity;
  X509_NAME* subject;
  PublicKeyInfo* public_key;
  ASN1_BIT_STRING* issuer_unique_id;
  ASN1_BIT_STRING* subject_unique_id;
  STACK_OF(X509_EXTENSION) * extensions;
};

/// Certificate (RFC 5280 §4.1).
struct CertificateFields {
  CertificateBody* body;
  X509_ALGOR* signature_algorithm;
  ASN1_BIT_STRING* signature;
};

/// CertificationRequestInfo (RFC 2986 §4.1).
struct RequestBody {
  ASN1_ENCODING encoding;  ///< As it was read, which is what was signed.
  ASN1_INTEGER* version;
  X509_NAME* subject;
  PublicKeyInfo* public_key;
  STACK_OF(X509_ATTRIBUTE) * attributes;
};

/// CertificationRequest (RFC 2986 §4.2).
struct RequestFields {
  RequestBody* body;
  X509_ALGOR* signature_algorithm;
  ASN1_BIT_STRING* signature;
};

void free_fields(PublicKeyInfo* info) noexcept;
void free_fields(CertificateFields* fields) noexcept;
void free_fields(RequestFields* fields) noexcept;
struct FreeFields {
  void operator()(auto* fields) const noexcept { free_fields(fields); }
};
using OwnedPublicKeyInfo = std::unique_ptr<PublicKeyInfo, FreeFields>;
using OwnedCertificateFields = std::unique_ptr<CertificateFields, FreeFields>;
using OwnedRequestFields = std::unique_ptr<RequestFields, FreeFields>;

/// All throw Error (crypto_failed).
OwnedPublicKeyInfo read_public_key_info(ByteView spki, std::string_view doing);
OwnedCertificateFields read_certificate_fields(ByteView der, std::string_view doing);
OwnedRequestFields read_request_fields(ByteView der, std::string_view doing);

/// The key, when it is of an algorithm and on a curve that culmen has; else, and when it is malformed, nullptr. Of an
/// RSA key the length is not checked.
OwnedKey read_key(const PublicKeyInfo& info);
/// Whether the signature is one over what was read.
bool is_signed_by(const RequestFields& request, EVP_PKEY* key);

/// Writes a SubjectPublicKeyInfo into a certificate or a request, octet for octet; false: OpenSSL failed. Its own
/// X509_set_pubkey and X509_REQ_set_pubkey write a key and then decode what they have written. Throws Error
/// (crypto_failed) when `spki` is none.
bool set_public_key(X509_PUBKEY* into, ByteView spki, std::string_view doing);

/// SubjectPublicKeyInfo in DER. Throws Error (crypto_failed).
Bytes to_der(const PublicKeyInfo& info, std::string_view doing);

}  // namespace culmen::crypto
