#include "culmen/csr.hpp"

#include <algorithm>

#include "base/name.hpp"
#include "crypto/ca.hpp"
#include "crypto/signed_request.hpp"
#include "crypto/subject.hpp"
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

OwnedExtensions extensions_for(const std::vector<Identifier>& identifiers, const CsrOptions& options) {
  OwnedExtensions list(sk_X509_EXTENSION_new_null());
  if (!list) throw openssl_error(building);
  const auto names = general_names(identifiers, building);
  push(list, extension_of(NID_subject_alt_name, false, names.get(), building), building);
  // RFC 7633 §6: the extension's value is a SEQUENCE with the INTEGER 5, status_request.
  if (options.must_staple)
    push(list, extension_of(OidValue("1.3.6.1.5.5.7.1.24", {0x30, 0x03, 0x02, 0x01, 0x05}), building), building);
  return list;
}

}  // namespace

Bytes build_csr(const std::vector<Identifier>& identifiers, const PrivateKey& key, const CsrOptions& options) {
  if (identifiers.empty())
    throw Error(Errc::invalid_argument, building, "there are no identifiers; give at least one DNS name or IP address");
  const OwnedExtensions extensions = extensions_for(identifiers, options);
  const OwnedName subject = name_of(options.common_name ? fitting_common_name(identifiers) : std::string(), building);
  return signed_request(subject, extensions, key, building);
}

Bytes build_csr(const std::vector<std::string>& names, const PrivateKey& key, const CsrOptions& options) {
  std::vector<Identifier> identifiers;
  for (const std::string& name : names) identifiers.push_back(Identifier::parse(name));
  return build_csr(identifiers, key, options);
}

Bytes build_csr(std::initializer_list<std::string_view> names, const PrivateKey& key, const CsrOptions& options) {
  return build_csr(std::vector<std::string>(names.begin(), names.end()), key, options);
}

Bytes build_subject_only_csr(const CsrSubject& subject, const PrivateKey& key) {
  if (subject.empty())
    throw Error(Errc::invalid_argument, building, "the subject is empty; give at least one value, as the common name");
  return signed_request(name_of(subject, building), nullptr, key, building);
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
