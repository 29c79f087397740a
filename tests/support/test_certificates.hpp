// Certificates for tests: a root, and leaves that are good, expired, not yet valid, or for another name.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace culmen::test {

template <auto Free>
struct FreedBy {
  void operator()(auto* pointer) const noexcept { Free(pointer); }
};
using Key = std::unique_ptr<EVP_PKEY, FreedBy<&EVP_PKEY_free>>;
using X509Handle = std::unique_ptr<X509, FreedBy<&X509_free>>;
using BioHandle = std::unique_ptr<BIO, FreedBy<&BIO_free>>;

inline void require(bool good) {
  if (!good) throw std::runtime_error("making a test certificate failed");
}

template <class Write>
std::string pem_of(Write write) {
  const BioHandle bio(BIO_new(BIO_s_mem()));
  require(write(bio.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

/// A certificate with its key.
struct Identity {
  Key key;
  X509Handle certificate;
  std::string certificate_pem() const {
    return pem_of([this](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); });
  }
  std::string key_pem() const {
    return pem_of(
        [this](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  }
};

/// `san` as "DNS:localhost,IP:127.0.0.1"; empty: a CA. `issuer` null: self-signed. Times are seconds from now.
inline Identity make_identity(const std::string& name, const std::string& san, const Identity* issuer,
                              long not_before = -3600, long not_after = 3600) {
  static long serial = 1;
  Identity made;
  made.key.reset(EVP_EC_gen("P-256"));
  made.certificate.reset(X509_new());
  X509* const x = made.certificate.get();
  require(made.key && x);
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(x), not_before);
  X509_gmtime_adj(X509_getm_notAfter(x), not_after);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(issuer ? issuer->certificate.get() : x));
  X509_set_pubkey(x, made.key.get());

  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer ? issuer->certificate.get() : x, x, nullptr, nullptr, 0);
  const auto extend = [&context, x](int what, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
    require(extension && X509_add_ext(x, extension, -1) == 1);
    X509_EXTENSION_free(extension);
  };
  extend(NID_basic_constraints, san.empty() ? "critical,CA:TRUE" : "critical,CA:FALSE");
  extend(NID_subject_key_identifier, "hash");
  if (!san.empty()) extend(NID_subject_alt_name, san);
  require(X509_sign(x, issuer ? issuer->key.get() : made.key.get(), EVP_sha256()) > 0);
  return made;
}

}  // namespace culmen::test
