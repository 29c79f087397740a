#include "crypto/ec_private_key.hpp"

#include <openssl/asn1t.h>
#include <openssl/pem.h>

#include "crypto/openssl.hpp"

namespace culmen::crypto {
namespace {

constexpr std::string_view writing = "writing a private key as PEM";

/// ECPrivateKey (RFC 5915 §3) without the parameters, which PKCS#8 has beside it.
struct EcPrivateKey {
  std::int32_t version;
  ASN1_OCTET_STRING* key;
  ASN1_BIT_STRING* public_key;
};

// clang-format off
ASN1_SEQUENCE(EcPrivateKey) = {
  ASN1_EMBED(EcPrivateKey, version, INT32),
  ASN1_SIMPLE(EcPrivateKey, key, ASN1_OCTET_STRING),
  ASN1_EXP_OPT(EcPrivateKey, public_key, ASN1_BIT_STRING, 1),
} static_ASN1_SEQUENCE_END(EcPrivateKey)
    // clang-format on

    struct FreeEcPrivateKey {
  void operator()(EcPrivateKey* key) const noexcept {
    if (key->key) OPENSSL_cleanse(key->key->data, static_cast<std::size_t>(key->key->length));
    ASN1_item_free(reinterpret_cast<ASN1_VALUE*>(key), ASN1_ITEM_rptr(EcPrivateKey));
  }
};

Bytes private_number(EVP_PKEY* key, std::size_t width) {
  BIGNUM* value = nullptr;
  if (!EVP_PKEY_get_bn_param(key, "priv", &value)) throw openssl_error(writing);
  const OwnedBn owner(value);
  Bytes octets(width);
  if (BN_bn2binpad(value, octets.data(), static_cast<int>(width)) < 0) throw openssl_error(writing);
  return octets;
}

}  // namespace

std::string ec_private_key_pem(const KeyHandle& key) {
  const std::unique_ptr<EcPrivateKey, FreeEcPrivateKey> content(
      reinterpret_cast<EcPrivateKey*>(ASN1_item_new(ASN1_ITEM_rptr(EcPrivateKey))));
  if (!content) throw openssl_error(writing);
  content->version = 1;
  Bytes number = private_number(key.get(), key.kind().width);
  const bool kept = ASN1_OCTET_STRING_set(content->key, number.data(), static_cast<int>(number.size()));
  OPENSSL_cleanse(number.data(), number.size());

  unsigned char* point_data = nullptr;
  const std::size_t point_length = EVP_PKEY_get1_encoded_public_key(key.get(), &point_data);
  const OwnedMemory<unsigned char> point(point_data);
  content->public_key = ASN1_BIT_STRING_new();
  if (!kept || point_length == 0 || !content->public_key ||
      !ASN1_BIT_STRING_set(content->public_key, point.get(), static_cast<int>(point_length)))
    throw openssl_error(writing);
  // Or OpenSSL would take zeros at the end for bits that are not there.
  content->public_key->flags |= ASN1_STRING_FLAG_BITS_LEFT;

  unsigned char* der = nullptr;
  const int length =
      ASN1_item_i2d(reinterpret_cast<const ASN1_VALUE*>(content.get()), &der, ASN1_ITEM_rptr(EcPrivateKey));
  OwnedMemory<unsigned char> written(der);
  const OwnedPkcs8 info(PKCS8_PRIV_KEY_INFO_new());
  if (length <= 0 || !info ||
      !PKCS8_pkey_set0(info.get(), OBJ_nid2obj(EVP_PKEY_EC), 0, V_ASN1_OBJECT,
                       OBJ_nid2obj(EC_curve_nist2nid(key.kind().group)), der, length))
    throw openssl_error(writing);
  static_cast<void>(written.release());  // owned by `info` now, which clears it
  const OwnedBio bio(BIO_new(BIO_s_secmem()));
  if (!bio || !PEM_write_bio_PKCS8_PRIV_KEY_INFO(bio.get(), info.get())) throw openssl_error(writing);
  char* text = nullptr;
  const long text_length = BIO_get_mem_data(bio.get(), &text);
  return std::string(text, static_cast<std::size_t>(text_length));
}

}  // namespace culmen::crypto
