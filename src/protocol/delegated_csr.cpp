// CSRs that follow a template (RFC 9115 §4).
#include <algorithm>
#include <array>

#include "base/name.hpp"
#include "crypto/request.hpp"
#include "culmen/delegation.hpp"
#include "culmen/error.hpp"

namespace culmen {
namespace {

using Kind = TemplateValue::Kind;

constexpr std::string_view building = "building a CSR for a delegated name";

Error does_not_fit(std::string_view member, const std::string& why) {
  return Error(Errc::invalid_argument, building, "the template's " + std::string(member) + " " + why);
}

std::string in_quotes(std::string_view text) { return "\"" + printable(text, 260) + "\""; }

struct SignatureType {
  std::string_view name;
  std::string_view key_family;  ///< How the names of its keys begin.
  const char* digest;
  bool pss;
};
// RFC 9115 appendix A: PSS has MGF1 with the same digest, and a salt of its length.
constexpr std::array<SignatureType, 9> signature_types = {{
    {"sha256WithRSAEncryption", "rsa:", "SHA256", false},
    {"sha384WithRSAEncryption", "rsa:", "SHA384", false},
    {"sha512WithRSAEncryption", "rsa:", "SHA512", false},
    {"sha256WithRSAandMGF1", "rsa:", "SHA256", true},
    {"sha384WithRSAandMGF1", "rsa:", "SHA384", true},
    {"sha512WithRSAandMGF1", "rsa:", "SHA512", true},
    {"ecdsa-with-SHA256", "ec:", "SHA256", false},
    {"ecdsa-with-SHA384", "ec:", "SHA384", false},
    {"ecdsa-with-SHA512", "ec:", "SHA512", false},
}};

/// How to sign with `key`, which one of keyTypes must allow.
crypto::RequestSignature signature_for(const CsrTemplate& csr_template, const PrivateKey& key) {
  crypto::RequestSignature how;
  if (csr_template.key_types.empty()) return how;
  std::string allowed;
  for (const TemplateKeyType& type : csr_template.key_types) {
    const auto* const known = std::ranges::find(signature_types, type.signature_type, &SignatureType::name);
    const std::string name = type.key_type();
    const bool ours = known != signature_types.end() && name.starts_with(known->key_family);
    if (ours && name == key.type()) {
      how.digest = known->digest;
      how.pss = known->pss;
      return how;
    }
    const std::string shown = name.empty() ? type.public_key_type + " " + type.named_curve : name;
    allowed += (allowed.empty() ? "" : ", ") + shown + " (" + type.signature_type + ")";
  }
  throw does_not_fit("keyTypes", "wants " + printable(allowed, 400) + "; the key is of the type " + key.type());
}

/// The value that goes into the subject.
std::string subject_value(std::string_view member, const TemplateValue& wanted, const std::string& given) {
  switch (wanted.kind) {
    case Kind::absent:
      if (!given.empty()) throw does_not_fit(member, "is not there, so " + in_quotes(given) + " may not be in the CSR");
      return {};
    case Kind::literal:
      if (!given.empty() && given != wanted.text)
        throw does_not_fit(member, "is " + in_quotes(wanted.text) + ", not " + in_quotes(given));
      return wanted.text;
    case Kind::mandatory:
      if (given.empty()) throw does_not_fit(member, "is mandatory and for us to choose; there is no value for it");
      return given;
    case Kind::optional: return given;
  }
  return {};
}

CsrSubject subject_for(const CsrTemplate& csr_template, const CsrSubject& given) {
  struct Member {
    std::string_view path;
    TemplateValue CsrTemplate::*wanted;
    std::string CsrSubject::*value;
  };
  constexpr std::array<Member, 7> members = {{
      {"subject.country", &CsrTemplate::country, &CsrSubject::country},
      {"subject.stateOrProvince", &CsrTemplate::state, &CsrSubject::state},
      {"subject.locality", &CsrTemplate::locality, &CsrSubject::locality},
      {"subject.organization", &CsrTemplate::organization, &CsrSubject::organization},
      {"subject.organizationalUnit", &CsrTemplate::organizational_unit, &CsrSubject::organizational_unit},
      {"subject.commonName", &CsrTemplate::common_name, &CsrSubject::common_name},
      {"subject.emailAddress", &CsrTemplate::email_address, &CsrSubject::email_address},
  }};
  CsrSubject subject;
  for (const Member& member : members) {
    subject.*member.value = subject_value(member.path, csr_template.*member.wanted, given.*member.value);
  }
  return subject;
}

std::string canonical_value(const std::string& type, const std::string& value, std::string_view member) {
  if (type != "dns") return value;
  Result<std::string> name = base::canonical_dns_name(value);
  if (!name) throw does_not_fit(member, "cannot have " + in_quotes(value) + ": " + name.error().detail());
  return std::move(*name);
}

/// One list of subjectAltName, with one name per entry.
void add_names(std::string_view member, const std::string& type, const std::vector<TemplateValue>& wanted,
               const std::vector<Identifier>& identifiers, std::vector<Identifier>& names) {
  std::vector<std::string> left;
  for (const Identifier& identifier : identifiers) {
    if (identifier.type != type) continue;
    std::string name = canonical_value(type, identifier.value, member);
    if (std::ranges::find(left, name) == left.end()) left.push_back(std::move(name));
  }
  std::vector<std::string> chosen;
  std::size_t mandatory = 0, optional = 0;
  for (const TemplateValue& value : wanted) {
    if (value.kind == Kind::mandatory) ++mandatory;
    if (value.kind == Kind::optional) ++optional;
    if (value.kind != Kind::literal) continue;
    std::string name = canonical_value(type, value.text, member);
    const auto found = std::ranges::find(left, name);
    if (found != left.end())
      left.erase(found);
    else if (type == "dns" && std::ranges::find(chosen, name) == chosen.end())
      throw does_not_fit(member, "has " + in_quotes(name) + ", which is not among the identifiers");
    if (std::ranges::find(chosen, name) == chosen.end()) chosen.push_back(std::move(name));
  }
  if (left.size() < mandatory)
    throw does_not_fit(
        member, "wants " + std::to_string(mandatory) + " for us to choose; there are " + std::to_string(left.size()));
  if (left.size() > mandatory + optional) throw does_not_fit(member, "has no room for " + in_quotes(left.back()));
  for (std::vector<std::string>* part : {&chosen, &left})
    for (std::string& name : *part) names.emplace_back(type, std::move(name));
}

}  // namespace

Bytes build_delegated_csr(const CsrTemplate& csr_template, const std::vector<Identifier>& identifiers,
                          const PrivateKey& key, const CsrSubject& subject) {
  if (!csr_template.not_understood.empty()) {
    throw does_not_fit(csr_template.not_understood.front(), "is something that culmen cannot put into a CSR");
  }
  for (const Identifier& identifier : identifiers) {
    if (identifier.type == "dns" || identifier.type == "email" || identifier.type == "uri") continue;
    throw does_not_fit("extensions.subjectAltName", "has no room for " + in_quotes(identifier.value) +
                                                        ", which is of the type " + in_quotes(identifier.type));
  }
  crypto::RequestContent content;
  content.signature = signature_for(csr_template, key);
  content.subject = subject_for(csr_template, subject);
  add_names("extensions.subjectAltName.DNS", "dns", csr_template.dns, identifiers, content.names);
  add_names("extensions.subjectAltName.Email", "email", csr_template.emails, identifiers, content.names);
  add_names("extensions.subjectAltName.URI", "uri", csr_template.uris, identifiers, content.names);
  content.key_usage = csr_template.key_usage;
  content.extended_key_usage = csr_template.extended_key_usage;
  return crypto::build_request(content, key);
}

}  // namespace culmen
