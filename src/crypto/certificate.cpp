#include "culmen/certificate.hpp"

#include "crypto/certificate_fields.hpp"
#include "crypto/pem.hpp"
#include "crypto/x509.hpp"

namespace culmen {
namespace {

using namespace crypto;

constexpr std::string_view reading_certificate = "reading a certificate";
constexpr std::string_view reading_chain = "reading a certificate chain";

/// An extension in OpenSSL's structure; null when it is absent.
template <class Owner>
Owner extension(const STACK_OF(X509_EXTENSION) * extensions, int nid) {
  int state = 0;
  Owner content(static_cast<typename Owner::pointer>(X509V3_get_d2i(extensions, nid, &state, nullptr)));
  constexpr int absent = -1;
  if (!content && state != absent)
    throw openssl_error(reading_certificate,
                        std::string("its ") + OBJ_nid2sn(nid) + (state == -2 ? " occurs twice" : " is malformed"));
  return content;
}

// RFC 9773 §4.1 takes "the bytes of the DER encoding of the Serial Number field of the certificate (without the tag and
// length bytes)", where BIGNUM would lose a leading 00.
Bytes serial_octets(const ASN1_INTEGER* serial) {
  const Bytes der = to_der(serial, i2d_ASN1_INTEGER, reading_certificate);
  std::size_t header = 2;
  if (der[1] & 0x80) header += der[1] & 0x7f;
  return Bytes(der.begin() + static_cast<std::ptrdiff_t>(header), der.end());
}

[[noreturn]] void fail_on(const PemBlock& block, std::string_view doing) {
  if (block.label != "CERTIFICATE")
    // RFC 8555 §9.1: a chain is certificates and nothing else; a private key from a server would be a trap.
    throw Error(Errc::crypto_failed, doing,
                "there is a block \"" + printable(block.label, 60) + "\" in it; only CERTIFICATE blocks may be");
  throw Error(Errc::crypto_failed, doing, "a CERTIFICATE block is damaged: " + block.damage);
}

}  // namespace

Certificate Certificate::from_pem(std::string_view pem) {
  for (const PemBlock& block : pem_blocks(pem)) {
    if (block.label != "CERTIFICATE") continue;
    if (!block.damage.empty()) fail_on(block, reading_certificate);
    return from_der(block.der);
  }
  throw Error(Errc::crypto_failed, reading_certificate, "there is no CERTIFICATE block in the text");
}

Certificate Certificate::from_der(ByteView der) {
  const OwnedCertificateFields fields = read_certificate_fields(der, reading_certificate);
  const CertificateBody& body = *fields->body;
  Certificate out;
  out.der.assign(der.begin(), der.end());
  if (const auto names = extension<OwnedGeneralNames>(body.extensions, NID_subject_alt_name))
    out.identifiers = read_names(names.get(), reading_certificate).identifiers;
  for (Identifier& list : tn_auth_lists(body.extensions)) out.identifiers.push_back(std::move(list));
  out.subject_common_name = common_name_of(body.subject, reading_certificate);
  out.issuer_common_name = common_name_of(body.issuer, reading_certificate);
  out.not_before = time_of(body.validity->notBefore, reading_certificate);
  out.not_after = time_of(body.validity->notAfter, reading_certificate);
  out.serial = serial_octets(body.serial);
  if (const auto akid = extension<OwnedAkid>(body.extensions, NID_authority_key_identifier); akid && akid->keyid)
    out.authority_key_identifier = octets(akid->keyid);
  out.public_key_der = to_der(*body.public_key, reading_certificate);
  return out;
}

bool Certificate::matches(const PrivateKey& key) const {
  if (public_key_der == key.public_key_der()) return true;
  // A CA may have written the same key in another way.
  const unsigned char* at = public_key_der.data();
  const OwnedKey own(d2i_PUBKEY(nullptr, &at, static_cast<long>(public_key_der.size())));
  const bool same = own && EVP_PKEY_eq(own.get(), key.handle().get()) == 1;
  forget_openssl_errors();
  return same;
}

std::vector<Certificate> read_chain(std::string_view pem) {
  std::vector<Certificate> chain;
  for (const PemBlock& block : pem_blocks(pem)) {
    if (block.label != "CERTIFICATE" || !block.damage.empty()) fail_on(block, reading_chain);
    try {
      chain.push_back(Certificate::from_der(block.der));
    } catch (const Error& error) {
      throw error.while_doing(std::string(reading_chain) + ", certificate " + std::to_string(chain.size() + 1));
    }
  }
  if (chain.empty()) throw Error(Errc::crypto_failed, reading_chain, "there is no CERTIFICATE block in it");
  return chain;
}

std::string topmost_issuer(std::string_view chain_pem) { return read_chain(chain_pem).back().issuer_common_name; }

}  // namespace culmen
