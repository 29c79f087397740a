#include "crypto/ca.hpp"

#include <algorithm>
#include <array>

#include "crypto/certificate_fields.hpp"
#include "crypto/key_handle.hpp"
#include "crypto/random.hpp"
#include "crypto/x509.hpp"

namespace culmen::crypto {
namespace {

constexpr std::string_view reading_csr = "reading a CSR";
constexpr std::string_view signing = "signing a certificate";

/// Microsoft has its own attribute for the same purpose.
constexpr std::array<int, 2> extension_requests = {NID_ext_req, NID_ms_ext_req};

OwnedExtensions requested_extensions(const STACK_OF(X509_ATTRIBUTE) * attributes) {
  for (const int nid : extension_requests) {
    const int index = X509at_get_attr_by_NID(attributes, nid, -1);
    if (index < 0) continue;
    const ASN1_TYPE* value = X509_ATTRIBUTE_get0_type(X509at_get_attr(attributes, index), 0);
    if (!value || value->type != V_ASN1_SEQUENCE) break;
    return from_der<OwnedExtensions>(
        octets(value->value.sequence),
        [](std::nullptr_t, const unsigned char** at, long length) {
          return reinterpret_cast<STACK_OF(X509_EXTENSION)*>(
              ASN1_item_d2i(nullptr, at, length, ASN1_ITEM_rptr(X509_EXTENSIONS)));
        },
        "reading the extensions that a CSR asks for");
  }
  return nullptr;
}

void read_extensions(const STACK_OF(X509_ATTRIBUTE) * attributes, Csr& out) {
  const OwnedExtensions list = requested_extensions(attributes);
  for (int i = 0; i < sk_X509_EXTENSION_num(list.get()); ++i) {
    X509_EXTENSION* extension = sk_X509_EXTENSION_value(list.get(), i);
    const std::string oid = oid_text(X509_EXTENSION_get_object(extension));
    out.extensions.emplace_back(oid, octets(X509_EXTENSION_get_data(extension)),
                                X509_EXTENSION_get_critical(extension) != 0);
    if (oid != "2.5.29.17") continue;
    const OwnedGeneralNames names(static_cast<GENERAL_NAMES*>(X509V3_EXT_d2i(extension)));
    if (!names) throw openssl_error(reading_csr, "its subjectAltName is malformed");
    ReadNames read = read_names(names.get(), reading_csr);
    out.san.insert(out.san.end(), read.identifiers.begin(), read.identifiers.end());
    out.emails.insert(out.emails.end(), read.emails.begin(), read.emails.end());
    out.uris.insert(out.uris.end(), read.uris.begin(), read.uris.end());
    out.other_names = out.other_names || read.others;
    out.unread_names = out.unread_names || read.unread;
  }
}

void read_attributes(const STACK_OF(X509_ATTRIBUTE) * attributes, Csr& out) {
  for (int i = 0; i < X509at_get_attr_count(attributes); ++i) {
    X509_ATTRIBUTE* attribute = X509at_get_attr(attributes, i);
    const std::string oid = oid_text(X509_ATTRIBUTE_get0_object(attribute));
    if (oid == "1.2.840.113549.1.9.14") continue;  // extensionRequest
    Bytes value;
    if (const ASN1_TYPE* first = X509_ATTRIBUTE_get0_type(attribute, 0))
      value = to_der(first, i2d_ASN1_TYPE, reading_csr);
    out.attributes.emplace_back(oid, std::move(value));
  }
}

/// The key and, when it can be used, the signature: checking one with an RSA key of 16,384 bits would take long.
void read_signature(const RequestFields& request, Csr& out) {
  out.key_type = "unknown";
  OwnedKey key = read_key(*request.body->public_key);
  if (!key) return;
  const Recognised known = recognise(key.get());
  if (!known.kind) return;
  out.key_type = known.type;
  if (known.kind->family == KeyFamily::rsa && !has_usable_length(key.get())) return;
  out.signature_ok = is_signed_by(request, key.get());
  out.public_key = PublicKey(std::make_shared<KeyHandle>(std::move(key), *known.kind, known.type));
}

/// RFC 7093 §2 method 1: the leftmost 160 bits of the SHA-256 of the public key's BIT STRING.
Bytes key_identifier(const X509* cert) {
  Bytes hash = sha256(octets(X509_get0_pubkey_bitstr(cert)));
  hash.resize(20);
  return hash;
}

Bytes subject_key_identifier(const X509* cert) {
  const OwnedOctets stated(
      static_cast<ASN1_OCTET_STRING*>(X509_get_ext_d2i(cert, NID_subject_key_identifier, nullptr, nullptr)));
  return stated ? octets(stated.get()) : key_identifier(cert);
}

OwnedOctets octet_string(const Bytes& value) {
  OwnedOctets out(ASN1_OCTET_STRING_new());
  if (!out || !ASN1_OCTET_STRING_set(out.get(), value.data(), static_cast<int>(value.size())))
    throw openssl_error(signing);
  return out;
}

void add(X509* cert, const OwnedExtension& extension) {
  if (!X509_add_ext(cert, extension.get(), -1)) throw openssl_error(signing);
}

/// Extensions from OpenSSL's configuration language, as "CA:TRUE".
void add_text(X509* cert, int nid, const char* value) {
  const OwnedExtension extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
  if (!extension) throw openssl_error(signing);
  add(cert, extension);
}

void add_authority_key_identifier(X509* cert, const X509* issuer) {
  const OwnedAkid akid(AUTHORITY_KEYID_new());
  if (!akid) throw openssl_error(signing);
  akid->keyid = octet_string(subject_key_identifier(issuer)).release();
  add(cert, extension_of(NID_authority_key_identifier, false, akid.get(), signing));
}

void add_own_extensions(X509* cert, const CertificateTemplate& what, const X509* issuer,
                        const Recognised& subject_key) {
  const bool rsa = subject_key.kind && subject_key.kind->family == KeyFamily::rsa;
  add_text(cert, NID_basic_constraints, what.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  add_text(cert, NID_key_usage,
           what.is_ca ? "critical,digitalSignature,keyCertSign,cRLSign"
                      : (rsa ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature"));
  if (!what.is_ca) add_text(cert, NID_ext_key_usage, "serverAuth");
  const OwnedOctets skid = octet_string(key_identifier(cert));
  add(cert, extension_of(NID_subject_key_identifier, false, skid.get(), signing));
  if (what.authority_key_identifier) add_authority_key_identifier(cert, issuer);
}

void add_extensions(X509* cert, const CertificateTemplate& what, const X509* issuer, const Recognised& subject_key) {
  if (!what.bare) add_own_extensions(cert, what, issuer, subject_key);
  if (!what.identifiers.empty()) {
    const auto names = general_names(what.identifiers, signing);
    // RFC 5280 §4.2.1.6: "If the subject field contains an empty sequence, then the issuing CA MUST include a
    // subjectAltName extension that is marked as critical."
    add(cert, extension_of(NID_subject_alt_name, what.common_name.empty(), names.get(), signing));
  }
  for (const OidValue& extension : what.extensions) add(cert, extension_of(extension, signing));
}

void set_serial(X509* cert, const Bytes& wanted) {
  Bytes serial = wanted;
  if (serial.empty()) {
    serial = random_bytes(16);
    // Positive, and of the full length.
    serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7f) | 0x40);
  }
  if (std::ranges::all_of(serial, [](std::uint8_t octet) { return octet == 0; }))
    throw Error(Errc::crypto_failed, signing, "the serial number must be positive");
  const OwnedBn number(BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr));
  const OwnedInteger integer(number ? BN_to_ASN1_INTEGER(number.get(), nullptr) : nullptr);
  if (!integer || !X509_set_serialNumber(cert, integer.get())) throw openssl_error(signing);
}

void set_time(ASN1_TIME* time, std::chrono::system_clock::time_point value) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(value).time_since_epoch().count();
  if (!ASN1_TIME_set(time, static_cast<time_t>(seconds))) throw openssl_error(signing, "setting the validity");
}

/// `issuer` is nullptr for a self-signed certificate.
Bytes sign_as(const CertificateTemplate& what, const PrivateKey& issuer_key, const X509* issuer) {
  const OwnedKey read = what.public_key ? nullptr : read_spki(what.public_key_der, signing);
  EVP_PKEY* subject_key = what.public_key ? what.public_key->handle().get() : read.get();
  const Bytes& written = what.public_key ? what.public_key->handle().public_key_der() : what.public_key_der;
  const OwnedCert cert(X509_new());
  constexpr long version_3 = 2;
  if (!cert || !X509_set_version(cert.get(), version_3) ||
      !set_public_key(X509_get_X509_PUBKEY(cert.get()), written, signing))
    throw openssl_error(signing);
  set_serial(cert.get(), what.serial);
  set_time(X509_getm_notBefore(cert.get()), what.not_before);
  set_time(X509_getm_notAfter(cert.get()), what.not_after);
  const OwnedName subject = name_of(what.common_name, signing);
  if (!X509_set_subject_name(cert.get(), subject.get())) throw openssl_error(signing);

  const X509* issued_by = issuer ? issuer : cert.get();
  if (!X509_set_issuer_name(cert.get(), X509_get_subject_name(issued_by))) throw openssl_error(signing);
  add_extensions(cert.get(), what, issued_by, recognise(subject_key));
  if (X509_sign(cert.get(), issuer_key.handle().get(), issuer_key.handle().digest()) <= 0) throw openssl_error(signing);
  return to_der(cert.get(), i2d_X509, signing);
}

}  // namespace

Csr parse_csr(ByteView der) {
  const OwnedRequestFields request = read_request_fields(der, reading_csr);
  const RequestBody& body = *request->body;
  Csr out;
  out.common_name = common_name_of(body.subject, reading_csr);
  out.subject = name_values(body.subject, reading_csr);
  out.signature_algorithm = to_der(request->signature_algorithm, i2d_X509_ALGOR, reading_csr);
  out.public_key_der = to_der(*body.public_key, reading_csr);
  read_signature(*request, out);
  read_extensions(body.attributes, out);
  read_attributes(body.attributes, out);
  forget_openssl_errors();
  return out;
}

Bytes sign_certificate(const CertificateTemplate& what, const PrivateKey& issuer_key, ByteView issuer_der) {
  const OwnedCert issuer = issuer_der.empty() ? nullptr : read_certificate(issuer_der, signing);
  return sign_as(what, issuer_key, issuer.get());
}

struct Issuer::Data {
  Data(PrivateKey key_, OwnedCert certificate_) : key(std::move(key_)), certificate(std::move(certificate_)) {}
  PrivateKey key;
  OwnedCert certificate;
};

Issuer::Issuer(PrivateKey key, ByteView certificate_der)
    : data_(std::make_shared<Data>(std::move(key), read_certificate(certificate_der, signing))) {}

Bytes Issuer::sign(const CertificateTemplate& what) const {
  return sign_as(what, data_->key, data_->certificate.get());
}

std::vector<OidValue> certificate_extensions(ByteView certificate) {
  const OwnedCert cert = read_certificate(certificate, "reading the extensions of a certificate");
  std::vector<OidValue> out;
  for (int i = 0; i < X509_get_ext_count(cert.get()); ++i) {
    X509_EXTENSION* extension = X509_get_ext(cert.get(), i);
    out.emplace_back(oid_text(X509_EXTENSION_get_object(extension)), octets(X509_EXTENSION_get_data(extension)),
                     X509_EXTENSION_get_critical(extension) != 0);
  }
  return out;
}

bool is_self_issued(ByteView certificate) {
  constexpr std::string_view doing = "reading the names of a certificate";
  const OwnedCert cert = read_certificate(certificate, doing);
  return to_der(X509_get_subject_name(cert.get()), i2d_X509_NAME, doing) ==
         to_der(X509_get_issuer_name(cert.get()), i2d_X509_NAME, doing);
}

bool is_signed_by(ByteView certificate, ByteView issuer) {
  constexpr std::string_view doing = "checking who signed a certificate";
  const OwnedCert cert = read_certificate(certificate, doing);
  const OwnedCert by = read_certificate(issuer, doing);
  EVP_PKEY* key = X509_get0_pubkey(by.get());
  const bool good = key && X509_verify(cert.get(), key) == 1;
  forget_openssl_errors();
  return good;
}

}  // namespace culmen::crypto
