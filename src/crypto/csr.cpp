#include "culmen/csr.hpp"

#include <algorithm>
#include <memory>
#include <optional>

#include "base/base64.hpp"
#include "base/name.hpp"
#include "crypto/ca.hpp"
#include "crypto/signed_request.hpp"
#include "crypto/subject.hpp"
#include "crypto/x509.hpp"

namespace culmen {
namespace {

using namespace crypto;

constexpr std::string_view building = "building a CSR";

struct FreeSequence {
  void operator()(ASN1_SEQUENCE_ANY* members) const noexcept { sk_ASN1_TYPE_pop_free(members, ASN1_TYPE_free); }
};
using OwnedSequence = std::unique_ptr<ASN1_SEQUENCE_ANY, FreeSequence>;

/// The first DNS name that fits: ub-common-name is 64 (RFC 5280 appendix A.1).
std::string fitting_common_name(const std::vector<Identifier>& identifiers) {
  constexpr std::size_t longest = 64;
  for (const Identifier& id : identifiers) {
    if (id.type != "dns") continue;
    const std::string name = base::canonical_dns_name(id.value).value();
    if (name.size() <= longest) return name;
  }
  return {};
}

/// id-pe-TNAuthList (RFC 8226 §9); nullopt when no identifier is one.
std::optional<OidValue> tn_auth_list_of(const std::vector<Identifier>& identifiers) {
  std::optional<OidValue> list;
  for (const Identifier& id : identifiers) {
    if (id.type != tn_auth_list_type) continue;
    if (list)
      throw Error(Errc::invalid_argument, building, "there are two TNAuthLists; one extension has room for one");
    const std::optional<Bytes> der = base::base64url_decode(id.value);
    if (!der) {
      throw Error(Errc::invalid_argument, building,
                  "the TNAuthList \"" + printable(id.value, 80) + "\" is not base64url");
    }
    static_cast<void>(Identifier::tn_auth_list(*der));  // throws unless it is one
    list.emplace(std::string(tn_auth_list_oid), *der);
  }
  return list;
}

/// RFC 8226 §8: a SEQUENCE of claims that must be there and of values they may have.
OidValue claim_constraints(const Bytes& der) {
  const unsigned char* at = der.data();
  const OwnedSequence members(d2i_ASN1_SEQUENCE_ANY(nullptr, &at, static_cast<long>(der.size())));
  forget_openssl_errors();
  if (!members || at != der.data() + der.size() || sk_ASN1_TYPE_num(members.get()) == 0)
    throw Error(Errc::invalid_argument, building, "the JWTClaimConstraints are not a SEQUENCE in DER, or are empty");
  return OidValue("1.3.6.1.5.5.7.1.27", der);
}

OwnedExtensions extensions_for(const std::vector<Identifier>& identifiers, const CsrOptions& options) {
  OwnedExtensions list(sk_X509_EXTENSION_new_null());
  if (!list) throw openssl_error(building);
  std::vector<Identifier> named;
  for (const Identifier& id : identifiers)
    if (id.type != tn_auth_list_type) named.push_back(id);
  if (!named.empty()) {
    const auto names = general_names(named, building);
    push(list, extension_of(NID_subject_alt_name, false, names.get(), building), building);
  }
  // RFC 7633 §6: the extension's value is a SEQUENCE with the INTEGER 5, status_request.
  if (options.must_staple)
    push(list, extension_of(OidValue("1.3.6.1.5.5.7.1.24", {0x30, 0x03, 0x02, 0x01, 0x05}), building), building);
  if (const std::optional<OidValue> numbers = tn_auth_list_of(identifiers))
    push(list, extension_of(*numbers, building), building);
  if (!options.jwt_claim_constraints.empty())
    push(list, extension_of(claim_constraints(options.jwt_claim_constraints), building), building);
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

Bytes csr_public_key(ByteView csr_der) { return parse_csr(csr_der).public_key_der; }

std::vector<Identifier> csr_identifiers(ByteView csr_der) {
  const Csr csr = parse_csr(csr_der);
  std::vector<Identifier> identifiers = csr.san;
  const auto name = base::canonical_dns_name(csr.common_name);
  if (name && !base::canonical_ip(csr.common_name)) {
    const Identifier id("dns", *name);
    if (std::ranges::find(identifiers, id) == identifiers.end()) identifiers.push_back(id);
  }
  for (const OidValue& extension : csr.extensions) {
    if (extension.oid == tn_auth_list_oid)
      identifiers.emplace_back(std::string(tn_auth_list_type), base::base64url_encode(extension.value));
  }
  return identifiers;
}

}  // namespace culmen
