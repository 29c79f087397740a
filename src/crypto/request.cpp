#include "crypto/request.hpp"

#include <openssl/rsa.h>

#include <algorithm>
#include <array>
#include <utility>

#include "crypto/certificate_fields.hpp"
#include "crypto/signed_request.hpp"
#include "crypto/subject.hpp"
#include "crypto/x509.hpp"

namespace culmen::crypto {
namespace {

constexpr std::string_view building = "building a CSR";
constexpr std::size_t longest_oid = 100;

using OwnedBits = Owned<ASN1_BIT_STRING, &ASN1_BIT_STRING_free>;
struct FreeUsages {
  void operator()(EXTENDED_KEY_USAGE* usages) const noexcept { EXTENDED_KEY_USAGE_free(usages); }
};
using OwnedUsages = std::unique_ptr<EXTENDED_KEY_USAGE, FreeUsages>;

/// In the order of their bits.
constexpr std::array<std::string_view, 9> key_usages = {"digitalSignature", "nonRepudiation", "keyEncipherment",
                                                        "dataEncipherment", "keyAgreement",   "keyCertSign",
                                                        "cRLSign",          "encipherOnly",   "decipherOnly"};

constexpr std::array<std::pair<std::string_view, const char*>, 6> extended_key_usages = {{
    {"serverAuth", "1.3.6.1.5.5.7.3.1"},
    {"clientAuth", "1.3.6.1.5.5.7.3.2"},
    {"codeSigning", "1.3.6.1.5.5.7.3.3"},
    {"emailProtection", "1.3.6.1.5.5.7.3.4"},
    {"timeStamping", "1.3.6.1.5.5.7.3.8"},
    {"OCSPSigning", "1.3.6.1.5.5.7.3.9"},
}};

std::string oid_of_usage(std::string_view name) {
  for (const auto& [known, oid] : extended_key_usages)
    if (known == name) return oid;
  return std::string(name);
}

OwnedGeneralName text_name(int type, const std::string& text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!plain)
    throw Error(Errc::invalid_argument, building,
                "\"" + printable(text, 80) + "\" cannot be in subjectAltName: it is not printable ASCII");
  OwnedGeneralName name(GENERAL_NAME_new());
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  if (!name || !value) {
    ASN1_IA5STRING_free(value);
    throw openssl_error(building);
  }
  GENERAL_NAME_set0_value(name.get(), type, value);
  if (!ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()))) throw openssl_error(building);
  return name;
}

OwnedExtension subject_alt_name(const std::vector<Identifier>& names) {
  std::vector<Identifier> hosts;
  for (const Identifier& id : names)
    if (id.type != "email" && id.type != "uri") hosts.push_back(id);
  const OwnedGeneralNames list = general_names(hosts, building);
  for (const Identifier& id : names) {
    if (id.type != "email" && id.type != "uri") continue;
    OwnedGeneralName name = text_name(id.type == "email" ? GEN_EMAIL : GEN_URI, id.value);
    if (sk_GENERAL_NAME_push(list.get(), name.get()) <= 0) throw openssl_error(building);
    static_cast<void>(name.release());  // the list owns it now
  }
  return extension_of(NID_subject_alt_name, false, list.get(), building);
}

OwnedExtension key_usage(const std::vector<std::string>& names) {
  const OwnedBits bits(ASN1_BIT_STRING_new());
  if (!bits) throw openssl_error(building);
  for (const std::string& name : names) {
    const auto* const found = std::ranges::find(key_usages, name);
    if (found == key_usages.end())
      throw Error(Errc::invalid_argument, building, "there is no key usage \"" + printable(name, 80) + "\"");
    if (!ASN1_BIT_STRING_set_bit(bits.get(), static_cast<int>(found - key_usages.begin()), 1))
      throw openssl_error(building);
  }
  // RFC 5280 §4.2.1.3: "When present, conforming CAs SHOULD mark this extension as critical."
  return extension_of(NID_key_usage, true, bits.get(), building);
}

OwnedExtension extended_key_usage(const std::vector<std::string>& names) {
  const OwnedUsages usages(EXTENDED_KEY_USAGE_new());
  if (!usages) throw openssl_error(building);
  for (const std::string& name : names) {
    OwnedObject usage(is_extended_key_usage(name) ? OBJ_txt2obj(oid_of_usage(name).c_str(), 1) : nullptr);
    forget_openssl_errors();
    if (!usage)
      throw Error(Errc::invalid_argument, building, "there is no extended key usage \"" + printable(name, 80) + "\"");
    if (sk_ASN1_OBJECT_push(usages.get(), usage.get()) <= 0) throw openssl_error(building);
    static_cast<void>(usage.release());  // the list owns it now
  }
  return extension_of(NID_ext_key_usage, false, usages.get(), building);
}

bool sign(X509_REQ* request, const PrivateKey& key, const RequestSignature& how) {
  const EVP_MD* digest = how.digest.empty() ? key.handle().digest() : EVP_get_digestbyname(how.digest.c_str());
  if (!how.pss) return X509_REQ_sign(request, key.handle().get(), digest) > 0;
  const OwnedMdCtx context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* settings = nullptr;
  return context && EVP_DigestSignInit(context.get(), &settings, digest, nullptr, key.handle().get()) > 0 &&
         EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) > 0 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) > 0 &&
         EVP_PKEY_CTX_set_rsa_mgf1_md(settings, digest) > 0 && X509_REQ_sign_ctx(request, context.get()) > 0;
}

}  // namespace

void push(OwnedExtensions& list, OwnedExtension extension, std::string_view doing) {
  if (sk_X509_EXTENSION_push(list.get(), extension.get()) <= 0) throw openssl_error(doing);
  static_cast<void>(extension.release());  // the list owns it now
}

Bytes signed_request(const OwnedName& subject, const OwnedExtensions& extensions, const PrivateKey& key,
                     std::string_view doing, const RequestSignature& how) {
  const OwnedReq request(X509_REQ_new());
  if (!request || !X509_REQ_set_version(request.get(), 0) || !X509_REQ_set_subject_name(request.get(), subject.get()) ||
      !set_public_key(X509_REQ_get_X509_PUBKEY(request.get()), key.handle().public_key_der(), doing) ||
      (extensions && !X509_REQ_add_extensions(request.get(), extensions.get())) || !sign(request.get(), key, how))
    throw openssl_error(doing);
  return to_der(request.get(), i2d_X509_REQ, doing);
}

Bytes build_request(const RequestContent& content, const PrivateKey& key) {
  OwnedExtensions extensions(sk_X509_EXTENSION_new_null());
  if (!extensions) throw openssl_error(building);
  if (!content.names.empty()) push(extensions, subject_alt_name(content.names), building);
  if (!content.key_usage.empty()) push(extensions, key_usage(content.key_usage), building);
  if (!content.extended_key_usage.empty()) push(extensions, extended_key_usage(content.extended_key_usage), building);
  if (sk_X509_EXTENSION_num(extensions.get()) == 0) extensions.reset();
  return signed_request(name_of(content.subject, building), extensions, key, building, content.signature);
}

bool is_key_usage(std::string_view name) noexcept { return std::ranges::find(key_usages, name) != key_usages.end(); }

bool is_extended_key_usage(std::string_view name) noexcept {
  for (const auto& known : extended_key_usages)
    if (known.first == name) return true;
  const bool numbers = std::ranges::all_of(name, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
  return numbers && name.size() >= 3 && name.size() <= longest_oid && name[0] >= '0' && name[0] <= '2' &&
         name[1] == '.' && name.back() != '.' && name.find("..") == std::string_view::npos;
}

}  // namespace culmen::crypto
