#include "culmen/csr.hpp"

#include <algorithm>

#include "base/name.hpp"
#include "crypto/ca.hpp"
#include "crypto/certificate_fields.hpp"
#include "crypto/x509.hpp"

namespace culmen {
namespace {

using namespace crypto;

constexpr std::string_view building = "building a CSR";

/// The first DNS name that fits: ub-common-name is 64 (RFC 5280 appendix A.1).
std::string fitting_common_name(const std::vector<Identifier>& identifiers) {
  constexpr std::size_t longest = 64;
  for (const Identifier& id : identifiers) {
    if (id.type != "dns") continue;
    const std::string name = base::canonical_dns_name(id.value).value_or_throw();
    if (name.size() <= longest) return name;
  }
  return {};
}

void push(OwnedExtensions& list, OwnedExtension extension) {
  if (sk_X509_EXTENSION_push(list.get(), extension.get()) <= 0) throw openssl_error(building);
  static_cast<void>(extension.release());  // the list owns it now
}

OwnedExtensions extensions_for(const std::vector<Identifier>& identifiers, const CsrOptions& options) {
  OwnedExtensions list(sk_X509_EXTENSION_new_null());
  if (!list) throw openssl_error(building);
  const auto names = general_names(identifiers, building);
  push(list, extension_of(NID_subject_alt_name, false, names.get(), building));
  // RFC 7633 §6: the extension's value is a SEQUENCE with the INTEGER 5, status_request.
  if (options.must_staple)
    push(list, extension_of(OidValue("1.3.6.1.5.5.7.1.24", {0x30, 0x03, 0x02, 0x01, 0x05}), building));
  return list;
}

/// X509_REQ_set_pubkey would write the key and then decode what it has written.
bool set_public_key(X509_REQ* request, const PrivateKey& key) {
  const OwnedPublicKeyInfo info = read_public_key_info(key.handle().public_key_der(), building);
  const int length = ASN1_STRING_length(info->key);
  OwnedMemory<void> bits(OPENSSL_memdup(ASN1_STRING_get0_data(info->key), static_cast<std::size_t>(length)));
  X509_PUBKEY* written = X509_REQ_get_X509_PUBKEY(request);
  if (!bits || !X509_PUBKEY_set0_param(written, OBJ_nid2obj(NID_undef), V_ASN1_UNDEF, nullptr,
                                       static_cast<unsigned char*>(bits.get()), length))
    return false;
  static_cast<void>(bits.release());  // the request owns it now
  X509_ALGOR* algorithm = nullptr;
  return X509_PUBKEY_get0_param(nullptr, nullptr, nullptr, &algorithm, written) &&
         X509_ALGOR_copy(algorithm, info->algorithm);
}

}  // namespace

Bytes build_csr(const std::vector<Identifier>& identifiers, const PrivateKey& key, const CsrOptions& options) {
  if (identifiers.empty())
    throw Error(Errc::invalid_argument, building, "there are no identifiers; give at least one DNS name or IP address");
  const OwnedExtensions extensions = extensions_for(identifiers, options);
  const OwnedName subject = name_of(options.common_name ? fitting_common_name(identifiers) : std::string(), building);
  const OwnedReq request(X509_REQ_new());
  if (!request || !X509_REQ_set_version(request.get(), 0) || !X509_REQ_set_subject_name(request.get(), subject.get()) ||
      !set_public_key(request.get(), key) || !X509_REQ_add_extensions(request.get(), extensions.get()) ||
      X509_REQ_sign(request.get(), key.handle().get(), key.handle().digest()) <= 0)
    throw openssl_error(building);
  return to_der(request.get(), i2d_X509_REQ, building);
}

Bytes build_csr(const std::vector<std::string>& names, const PrivateKey& key, const CsrOptions& options) {
  std::vector<Identifier> identifiers;
  for (const std::string& name : names) identifiers.push_back(Identifier::parse(name));
  return build_csr(identifiers, key, options);
}

Bytes build_csr(std::initializer_list<std::string_view> names, const PrivateKey& key, const CsrOptions& options) {
  return build_csr(std::vector<std::string>(names.begin(), names.end()), key, options);
}

std::vector<Identifier> csr_identifiers(ByteView csr_der) {
  const Csr csr = parse_csr(csr_der);
  std::vector<Identifier> identifiers = csr.san;
  if (base::canonical_ip(csr.common_name)) return identifiers;
  if (const auto name = base::canonical_dns_name(csr.common_name)) {
    const Identifier id("dns", *name);
    if (std::ranges::find(identifiers, id) == identifiers.end()) identifiers.push_back(id);
  }
  return identifiers;
}

}  // namespace culmen
