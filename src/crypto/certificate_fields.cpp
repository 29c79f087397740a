#include "crypto/certificate_fields.hpp"

#include <openssl/asn1t.h>

namespace culmen::crypto {
namespace {

// clang-format off
ASN1_SEQUENCE(PublicKeyInfo) = {
  ASN1_SIMPLE(PublicKeyInfo, algorithm, X509_ALGOR),
  ASN1_SIMPLE(PublicKeyInfo, key, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(PublicKeyInfo)

ASN1_SEQUENCE(CertificateBody) = {
  ASN1_EXP_OPT(CertificateBody, version, ASN1_INTEGER, 0),
  ASN1_SIMPLE(CertificateBody, serial, ASN1_INTEGER),
  ASN1_SIMPLE(CertificateBody, signature, X509_ALGOR),
  ASN1_SIMPLE(CertificateBody, issuer, X509_NAME),
  ASN1_SIMPLE(CertificateBody, validity, X509_VAL),
  ASN1_SIMPLE(CertificateBody, subject, X509_NAME),
  ASN1_SIMPLE(CertificateBody, public_key, PublicKeyInfo),
  ASN1_IMP_OPT(CertificateBody, issuer_unique_id, ASN1_BIT_STRING, 1),
  ASN1_IMP_OPT(CertificateBody, subject_unique_id, ASN1_BIT_STRING, 2),
  ASN1_EXP_SEQUENCE_OF_OPT(CertificateBody, extensions, X509_EXTENSION, 3),
} static_ASN1_SEQUENCE_END(CertificateBody)

ASN1_SEQUENCE(CertificateFields) = {
  ASN1_SIMPLE(CertificateFields, body, CertificateBody),
  ASN1_SIMPLE(CertificateFields, signature_algorithm, X509_ALGOR),
  ASN1_SIMPLE(CertificateFields, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(CertificateFields)
}  // namespace
// clang-format on

namespace {

template <class T>
std::unique_ptr<T, FreeFields> read(ByteView der, const ASN1_ITEM* item, std::string_view doing) {
  return from_der<std::unique_ptr<T, FreeFields>>(
      der,
      [item](std::nullptr_t, const unsigned char** at, long length) {
        return reinterpret_cast<T*>(ASN1_item_d2i(nullptr, at, length, item));
      },
      doing);
}

}  // namespace

void free_fields(PublicKeyInfo* info) noexcept {
  ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(info), ASN1_ITEM_rptr(PublicKeyInfo));
}

void free_fields(CertificateFields* fields) noexcept {
  ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(fields), ASN1_ITEM_rptr(CertificateFields));
}

OwnedPublicKeyInfo read_public_key_info(ByteView spki, std::string_view doing) {
  return read<PublicKeyInfo>(spki, ASN1_ITEM_rptr(PublicKeyInfo), doing);
}

OwnedCertificateFields read_certificate_fields(ByteView der, std::string_view doing) {
  return read<CertificateFields>(der, ASN1_ITEM_rptr(CertificateFields), doing);
}

bool set_public_key(X509_PUBKEY* into, ByteView spki, std::string_view doing) {
  const OwnedPublicKeyInfo info = read_public_key_info(spki, doing);
  const int length = ASN1_STRING_length(info->key);
  OwnedMemory<void> bits(OPENSSL_memdup(ASN1_STRING_get0_data(info->key), static_cast<std::size_t>(length)));
  if (!bits || !X509_PUBKEY_set0_param(into, OBJ_nid2obj(NID_undef), V_ASN1_UNDEF, nullptr,
                                       static_cast<unsigned char*>(bits.get()), length))
    return false;
  static_cast<void>(bits.release());  // owned by what it is written into
  X509_ALGOR* algorithm = nullptr;
  return X509_PUBKEY_get0_param(nullptr, nullptr, nullptr, &algorithm, into) &&
         X509_ALGOR_copy(algorithm, info->algorithm);
}

Bytes to_der(const PublicKeyInfo& info, std::string_view doing) {
  return to_der(
      &info,
      [](const PublicKeyInfo* from, unsigned char** out) {
        return ASN1_item_i2d(reinterpret_cast<const ASN1_VALUE*>(from), out, ASN1_ITEM_rptr(PublicKeyInfo));
      },
      doing);
}

}  // namespace culmen::crypto
