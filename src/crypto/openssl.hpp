// How culmen holds OpenSSL's objects and reads its errors. Only crypto's .cpp files include this.
#pragma once

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"
#include "culmen/error.hpp"

namespace culmen::crypto {

template <auto Free>
struct FreedBy {
  void operator()(auto* p) const noexcept { Free(p); }
};
template <class T, auto Free>
using Owned = std::unique_ptr<T, FreedBy<Free>>;

using OwnedKey = Owned<EVP_PKEY, &EVP_PKEY_free>;
using OwnedKeyCtx = Owned<EVP_PKEY_CTX, &EVP_PKEY_CTX_free>;
using OwnedMdCtx = Owned<EVP_MD_CTX, &EVP_MD_CTX_free>;
using OwnedBio = Owned<BIO, &BIO_free_all>;
using OwnedBn = Owned<BIGNUM, &BN_clear_free>;
using OwnedParamBuild = Owned<OSSL_PARAM_BLD, &OSSL_PARAM_BLD_free>;
using OwnedParams = Owned<OSSL_PARAM, &OSSL_PARAM_free>;
using OwnedEcdsaSig = Owned<ECDSA_SIG, &ECDSA_SIG_free>;
using OwnedCert = Owned<X509, &X509_free>;
using OwnedReq = Owned<X509_REQ, &X509_REQ_free>;
using OwnedName = Owned<X509_NAME, &X509_NAME_free>;
using OwnedExtension = Owned<X509_EXTENSION, &X509_EXTENSION_free>;
using OwnedOctets = Owned<ASN1_OCTET_STRING, &ASN1_OCTET_STRING_free>;
using OwnedInteger = Owned<ASN1_INTEGER, &ASN1_INTEGER_free>;
using OwnedObject = Owned<ASN1_OBJECT, &ASN1_OBJECT_free>;
using OwnedGeneralName = Owned<GENERAL_NAME, &GENERAL_NAME_free>;
using OwnedAkid = Owned<AUTHORITY_KEYID, &AUTHORITY_KEYID_free>;
using OwnedPublicKey = Owned<X509_PUBKEY, &X509_PUBKEY_free>;
using OwnedPkcs8 = Owned<PKCS8_PRIV_KEY_INFO, &PKCS8_PRIV_KEY_INFO_free>;

struct FreeGeneralNames {
  void operator()(GENERAL_NAMES* names) const noexcept { GENERAL_NAMES_free(names); }
};
using OwnedGeneralNames = std::unique_ptr<GENERAL_NAMES, FreeGeneralNames>;
struct FreeExtensions {
  void operator()(STACK_OF(X509_EXTENSION) * list) const noexcept {
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  }
};
using OwnedExtensions = std::unique_ptr<STACK_OF(X509_EXTENSION), FreeExtensions>;
struct FreeOpenssl {
  void operator()(void* p) const noexcept { OPENSSL_free(p); }
};
template <class T>
using OwnedMemory = std::unique_ptr<T, FreeOpenssl>;

/// Drains OpenSSL's error queue of this thread into a crypto_failed error that says what was being done.
Error openssl_error(std::string_view doing, std::string_view detail = {});
/// Clears the error queue, after failures that are a result and not an error.
void forget_openssl_errors() noexcept;
/// As "OpenSSL 3.0.19 27 Jan 2026".
std::string openssl_version();

/// The DER of anything that has an i2d function. Throws Error (crypto_failed).
template <class T, class Encode>
Bytes to_der(const T* object, Encode encode, std::string_view doing) {
  unsigned char* out = nullptr;
  const int length = encode(object, &out);
  const OwnedMemory<unsigned char> owner(out);
  if (length <= 0) throw openssl_error(doing);
  return Bytes(out, out + length);
}

/// Reads DER that must be nothing but one object. Throws Error (crypto_failed).
template <class Owner, class Decode>
Owner from_der(ByteView der, Decode decode, std::string_view doing) {
  const unsigned char* at = der.data();
  Owner object(decode(nullptr, &at, static_cast<long>(der.size())));
  if (!object) throw openssl_error(doing);
  if (at != der.data() + der.size()) throw Error(Errc::crypto_failed, doing, "there are octets after its end");
  return object;
}

inline Bytes octets(const ASN1_STRING* text) {
  const unsigned char* data = ASN1_STRING_get0_data(text);
  return data ? Bytes(data, data + ASN1_STRING_length(text)) : Bytes();
}

}  // namespace culmen::crypto
