#include "crypto/certificate_fields.hpp"

#include <algorithm>
#include <array>

#include <openssl/asn1t.h>

#include "crypto/key_handle.hpp"
#include "crypto/x509.hpp"

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

ASN1_SEQUENCE_enc(RequestBody, encoding, nullptr) = {
  ASN1_SIMPLE(RequestBody, version, ASN1_INTEGER),
  ASN1_SIMPLE(RequestBody, subject, X509_NAME),
  ASN1_SIMPLE(RequestBody, public_key, PublicKeyInfo),
  ASN1_IMP_SET_OF_OPT(RequestBody, attributes, X509_ATTRIBUTE, 0),
} static_ASN1_SEQUENCE_END_ref(RequestBody, RequestBody)

ASN1_SEQUENCE(RequestFields) = {
  ASN1_SIMPLE(RequestFields, body, RequestBody),
  ASN1_SIMPLE(RequestFields, signature_algorithm, X509_ALGOR),
  ASN1_SIMPLE(RequestFields, signature, ASN1_BIT_STRING),
} static_ASN1_SEQUENCE_END(RequestFields)
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

/// RFC 5480 §2.1.1: a curve by its name, and the point.
OwnedKey read_ec_key(const PublicKeyInfo& info) {
  int type = V_ASN1_UNDEF;
  const void* parameters = nullptr;
  X509_ALGOR_get0(nullptr, &type, &parameters, info.algorithm);
  if (type != V_ASN1_OBJECT) return nullptr;
  const int curve = OBJ_obj2nid(static_cast<const ASN1_OBJECT*>(parameters));
  for (const KeyKind& kind : key_kinds()) {
    if (kind.family != KeyFamily::ec || curve != EC_curve_nist2nid(kind.group)) continue;
    // OpenSSL only reads these.
    auto* point = const_cast<unsigned char*>(ASN1_STRING_get0_data(info.key));
    const std::array<OSSL_PARAM, 3> told = {
        OSSL_PARAM_construct_utf8_string("group", const_cast<char*>(kind.group), 0),
        OSSL_PARAM_construct_octet_string("pub", point, static_cast<std::size_t>(ASN1_STRING_length(info.key))),
        OSSL_PARAM_construct_end()};
    const OwnedKeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, kind.openssl, nullptr));
    EVP_PKEY* key = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, const_cast<OSSL_PARAM*>(told.data())) != 1)
      return nullptr;
    return OwnedKey(key);
  }
  return nullptr;
}

bool is_known(const ASN1_OBJECT* algorithm) {
  // RFC 3279 §2.3.1, RFC 8410 §3, RFC 9881 §2
  static constexpr std::array<std::string_view, 6> known = {
      "1.2.840.113549.1.1.1",   "1.3.101.112", "1.3.101.113", "2.16.840.1.101.3.4.3.17", "2.16.840.1.101.3.4.3.18",
      "2.16.840.1.101.3.4.3.19"};
  return std::ranges::find(known, oid_text(algorithm)) != known.end();
}

}  // namespace

OwnedKey read_key(const PublicKeyInfo& info) {
  const ASN1_OBJECT* algorithm = nullptr;
  X509_ALGOR_get0(&algorithm, nullptr, nullptr, info.algorithm);
  OwnedKey key;
  if (OBJ_obj2nid(algorithm) == NID_X9_62_id_ecPublicKey) {
    key = read_ec_key(info);
  } else if (is_known(algorithm)) {
    const Bytes der = to_der(info, "reading a public key");
    const unsigned char* at = der.data();
    key.reset(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  }
  forget_openssl_errors();
  return key;
}

bool is_signed_by(const RequestFields& request, EVP_PKEY* key) {
  const bool good = ASN1_item_verify(ASN1_ITEM_rptr(RequestBody), request.signature_algorithm, request.signature,
                                     request.body, key) == 1;
  forget_openssl_errors();
  return good;
}

void free_fields(PublicKeyInfo* info) noexcept {
  ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(info), ASN1_ITEM_rptr(PublicKeyInfo));
}

void free_fields(CertificateFields* fields) noexcept {
  ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(fields), ASN1_ITEM_rptr(CertificateFields));
}

void free_fields(RequestFields* fields) noexcept {
  ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(fields), ASN1_ITEM_rptr(RequestFields));
}

OwnedPublicKeyInfo read_public_key_info(ByteView spki, std::string_view doing) {
  return read<PublicKeyInfo>(spki, ASN1_ITEM_rptr(PublicKeyInfo), doing);
}

OwnedCertificateFields read_certificate_fields(ByteView der, std::string_view doing) {
  return read<CertificateFields>(der, ASN1_ITEM_rptr(CertificateFields), doing);
}

OwnedRequestFields read_request_fields(ByteView der, std::string_view doing) {
  return read<RequestFields>(der, ASN1_ITEM_rptr(RequestFields), doing);
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
