// Delegation (RFC 9115), the side of the names' owner, who is the CA as well here.
#include "testca/delegation.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "base/hex.hpp"
#include "testca/acme_server.hpp"
#include "testca/json_reader.hpp"
#include "testca/object_identifiers.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

constexpr std::string_view key_usage = "2.5.29.15", extended_key_usage = "2.5.29.37";

Refusal differs(const std::string& why) {
  return Refusal(403, "badCSR", "the CSR does not follow its template: " + why);
}

// RFC 9115 §4.1, and what some servers write in the place of the two texts.
bool is_mandatory(const json::value& value) {
  return (value.is_string() && value.get_string() == "**") || (value.is_object() && value.get_object().empty());
}
bool is_optional(const json::value& value) {
  return value.is_null() || (value.is_string() && value.get_string() == "*");
}

// ---- keyTypes ----

/// What a SignatureType is as an AlgorithmIdentifier, in hexadecimal (RFC 4055 §5, RFC 5758 §3.2).
std::string algorithm_of(std::string_view signature_type) {
  struct Plain {
    std::string_view name, der;
  };
  constexpr std::array<Plain, 6> plain = {{
      {"sha256WithRSAEncryption", "300d06092a864886f70d01010b0500"},
      {"sha384WithRSAEncryption", "300d06092a864886f70d01010c0500"},
      {"sha512WithRSAEncryption", "300d06092a864886f70d01010d0500"},
      {"ecdsa-with-SHA256", "300a06082a8648ce3d040302"},
      {"ecdsa-with-SHA384", "300a06082a8648ce3d040303"},
      {"ecdsa-with-SHA512", "300a06082a8648ce3d040304"},
  }};
  for (const Plain& known : plain)
    if (known.name == signature_type) return std::string(known.der);
  struct Pss {
    std::string_view name;
    char hash;
    std::string_view salt;
  };
  constexpr std::array<Pss, 3> pss = {
      {{"sha256WithRSAandMGF1", '1', "20"}, {"sha384WithRSAandMGF1", '2', "30"}, {"sha512WithRSAandMGF1", '3', "40"}}};
  for (const Pss& known : pss) {
    if (known.name != signature_type) continue;
    const std::string hash = std::string("300d060960864801650304020") + known.hash + "0500";
    return "304106092a864886f70d01010a3034a00f" + hash + "a11c301a06092a864886f70d010108" + hash + "a203" + "0201" +
           std::string(known.salt);
  }
  return {};
}

std::string key_type_of(const json::object& allowed) {
  const std::string type = required_string(allowed, "PublicKeyType");
  if (type == "rsaEncryption") {
    const json::value* bits = allowed.if_contains("PublicKeyLength");
    return bits && bits->is_int64() ? "rsa:" + std::to_string(bits->get_int64()) : std::string();
  }
  if (type != "id-ecPublicKey") return {};
  const std::string curve = required_string(allowed, "namedCurve");
  if (curve == "secp256r1") return "ec:P-256";
  if (curve == "secp384r1") return "ec:P-384";
  return curve == "secp521r1" ? "ec:P-521" : "";
}

void check_key(const json::object& csr_template, const crypto::Csr& csr) {
  const json::value* types = csr_template.if_contains("keyTypes");
  if (!types || !types->is_array()) return;
  const std::string algorithm = base::hex_encode(csr.signature_algorithm);
  for (const json::value& allowed : types->get_array()) {
    if (!allowed.is_object() || key_type_of(allowed.get_object()) != csr.key_type) continue;
    if (algorithm_of(required_string(allowed.get_object(), "SignatureType")) == algorithm) return;
  }
  throw differs("keyTypes does not allow a key of type " + csr.key_type + " that signs like that");
}

// ---- subject ----

std::string_view member_of(std::string_view oid) {
  if (oid == "2.5.4.6") return "country";
  if (oid == "2.5.4.8") return "stateOrProvince";
  if (oid == "2.5.4.7") return "locality";
  if (oid == "2.5.4.10") return "organization";
  if (oid == "2.5.4.11") return "organizationalUnit";
  if (oid == "2.5.4.3") return "commonName";
  return oid == "1.2.840.113549.1.9.1" ? "emailAddress" : "";
}

void check_subject(const json::object& csr_template, const crypto::Csr& csr) {
  static const json::object nothing;
  const json::object* wanted = object_member(csr_template, "subject");
  if (!wanted) wanted = &nothing;
  std::set<std::string, std::less<>> seen;
  for (const auto& [oid, text] : csr.subject) {
    const std::string_view name = member_of(oid);
    const json::value* value = name.empty() ? nullptr : wanted->if_contains(name);
    if (!value) throw differs("the subject has " + (name.empty() ? oid : std::string(name)) + ", the template has not");
    if (!seen.emplace(name).second) throw differs("the subject has " + std::string(name) + " twice");
    if (text.empty()) throw differs("the subject's " + std::string(name) + " is empty");
    if (is_mandatory(*value) || is_optional(*value)) continue;
    if (!value->is_string() || text != value->get_string())
      throw differs("the subject's " + std::string(name) + " is \"" + text + "\"");
  }
  for (const auto& member : *wanted)
    if (!is_optional(member.value()) && !seen.contains(std::string_view(member.key())))
      throw differs("the subject has no " + std::string(member.key()));
}

// ---- extensions ----

/// The names of the bits of a KeyUsage, DER (RFC 5280 §4.2.1.3).
std::set<std::string> key_usages(const Bytes& der) {
  constexpr std::array<const char*, 9> names = {"digitalSignature", "nonRepudiation", "keyEncipherment",
                                                "dataEncipherment", "keyAgreement",   "keyCertSign",
                                                "cRLSign",          "encipherOnly",   "decipherOnly"};
  const bool good = der.size() >= 3 && der.size() <= 5 && der[0] == 0x03 && der[1] == der.size() - 2;
  if (!good) throw differs("its keyUsage is malformed");
  std::set<std::string> usages;
  for (std::size_t bit = 0; bit < (der.size() - 3) * 8; ++bit) {
    if (!(der[3 + bit / 8] & (0x80 >> bit % 8))) continue;
    if (bit >= names.size()) throw differs("its keyUsage has a bit without a name");
    usages.insert(names[bit]);
  }
  return usages;
}

std::string dotted(ByteView oid) {
  std::string text;
  std::uint64_t number = 0;
  for (const std::uint8_t octet : oid) {
    if (number >> 56) throw differs("its extendedKeyUsage is malformed");
    number = number << 7 | (octet & 0x7f);
    if (octet & 0x80) continue;
    if (text.empty()) {
      const std::uint64_t first = std::min<std::uint64_t>(number / 40, 2);
      text = std::to_string(first) + "." + std::to_string(number - 40 * first);
    } else {
      text += "." + std::to_string(number);
    }
    number = 0;
  }
  return text;
}

/// The OIDs of an ExtKeyUsageSyntax, DER, under the names that templates have for them.
std::set<std::string> extended_key_usages(const Bytes& der) {
  constexpr std::array<std::pair<const char*, const char*>, 6> names = {{{"1.3.6.1.5.5.7.3.1", "serverAuth"},
                                                                         {"1.3.6.1.5.5.7.3.2", "clientAuth"},
                                                                         {"1.3.6.1.5.5.7.3.3", "codeSigning"},
                                                                         {"1.3.6.1.5.5.7.3.4", "emailProtection"},
                                                                         {"1.3.6.1.5.5.7.3.8", "timeStamping"},
                                                                         {"1.3.6.1.5.5.7.3.9", "OCSPSigning"}}};
  const Refusal broken = differs("its extendedKeyUsage is malformed");
  // Of short lengths only: no template is that long.
  if (der.size() < 2 || der[0] != 0x30 || der[1] >= 0x80 || der[1] != der.size() - 2) throw broken;
  std::set<std::string> usages;
  for (std::size_t at = 2; at < der.size();) {
    const bool good =
        at + 2 < der.size() && der[at] == 0x06 && der[at + 1] < 0x80 && at + 2 + der[at + 1] <= der.size();
    if (!good) throw broken;
    std::string oid = dotted(ByteView(der).subspan(at + 2, der[at + 1]));
    for (const auto& [known, name] : names)
      if (oid == known) oid = name;
    usages.insert(oid);
    at += 2 + der[at + 1];
  }
  return usages;
}

void check_usages(const json::object& extensions, std::string_view member, const std::set<std::string>& asked) {
  const std::vector<std::string> list = string_list_member(extensions, member).value_or(std::vector<std::string>());
  if (std::set<std::string>(list.begin(), list.end()) != asked)
    throw differs("its " + std::string(member) + " is not that of the template");
}

void check_names(const json::object& wanted, std::string_view member, const std::vector<std::string>& asked) {
  std::multiset<std::string> left(asked.begin(), asked.end());
  std::size_t mandatory = 0, optional = 0;
  const json::value* list = wanted.if_contains(member);
  if (list && list->is_array()) {
    for (const json::value& value : list->get_array()) {
      if (is_mandatory(value)) {
        ++mandatory;
      } else if (is_optional(value)) {
        ++optional;
      } else {
        const std::string name = value.is_string() ? std::string(value.get_string()) : std::string();
        const auto found = left.find(name);
        if (found == left.end()) throw differs("its subjectAltName has no " + std::string(member) + " " + name);
        left.erase(found);
      }
    }
  }
  if (left.size() < mandatory) throw differs("its subjectAltName lacks a " + std::string(member));
  if (left.size() > mandatory + optional)
    throw differs("its subjectAltName has " + std::string(member) + " " + *left.begin() +
                  ", for which the template has no place");
}

void check_extensions(const json::object& csr_template, const crypto::Csr& csr) {
  static const json::object nothing;
  const json::object* extensions = object_member(csr_template, "extensions");
  if (!extensions) extensions = &nothing;
  std::set<std::string> usages, extended_usages;
  std::set<std::string> seen;
  for (const crypto::OidValue& extension : csr.extensions) {
    if (!seen.insert(extension.oid).second) throw differs("it has the extension " + extension.oid + " twice");
    if (extension.oid == key_usage)
      usages = key_usages(extension.value);
    else if (extension.oid == extended_key_usage)
      extended_usages = extended_key_usages(extension.value);
    else if (extension.oid != subject_alt_name)
      throw differs("it has the extension " + extension.oid + ", the template has not");
  }
  check_usages(*extensions, "keyUsage", usages);
  check_usages(*extensions, "extendedKeyUsage", extended_usages);

  const json::object* names = object_member(*extensions, "subjectAltName");
  if (!names) names = &nothing;
  std::vector<std::string> hosts;
  for (const Identifier& identifier : csr.san) {
    if (identifier.type != "dns") throw differs("its subjectAltName has the address " + identifier.value);
    hosts.push_back(identifier.value);
  }
  if (csr.unread_names) throw differs("its subjectAltName has names that no template has");
  check_names(*names, "DNS", hosts);
  check_names(*names, "Email", csr.emails);
  check_names(*names, "URI", csr.uris);
}

}  // namespace

void judge_delegated_csr(const json::object& csr_template, const crypto::Csr& csr) {
  if (!csr.attributes.empty()) throw differs("it has attributes beside its extensions");
  check_key(csr_template, csr);
  check_subject(csr_template, csr);
  check_extensions(csr_template, csr);
}

Reply AcmeServer::delegations(Call& call) {
  if (call.path[0] != call.account->id) throw unauthorized("this is another account");
  if (!call.is_post_as_get()) throw malformed("the list of delegations can only be read: the payload must be empty");
  const std::size_t first = first_of_page(call.query);
  const std::size_t page_size = static_cast<std::size_t>(std::max(1, options_.orders_per_page));
  const std::size_t end = std::min(options_.delegations.size(), first + page_size);
  json::array page;
  for (std::size_t i = first; i < end; ++i) page.push_back(json::value(delegation_url(i)));
  Reply reply = json_reply(200, json::object{{"delegations", std::move(page)}});
  if (end < options_.delegations.size())
    add_link(reply, account_url(*call.account) + "/delegations?cursor=" + std::to_string(end), "next");
  return reply;
}

Reply AcmeServer::delegation(Call& call) {
  if (!call.is_post_as_get()) throw malformed("a delegation can only be read: the payload must be empty");
  for (std::size_t i = 0; i < options_.delegations.size(); ++i) {
    if (delegation_url(i) != call.url) continue;
    json::object body{{"csr-template", read_object(options_.delegations[i].csr_template, "csr-template")}};
    json::object names;
    for (const auto& [theirs, ours] : options_.delegations[i].cname_map) names[theirs] = ours;
    if (!names.empty()) body["cname-map"] = std::move(names);
    return json_reply(200, body);
  }
  throw Refusal(404, "malformed", "there is no such delegation");
}

void AcmeServer::read_delegation(const json::object& request, Order& order) const {
  const bool asked = bool_member(request, "allow-certificate-get").value_or(false);
  order.allow_get = asked && options_.certificate_get && !order.star;
  const std::optional<std::string> url = string_member(request, "delegation");
  if (!url) return;
  for (std::size_t i = 0; i < options_.delegations.size(); ++i)
    if (delegation_url(i) == *url) order.delegation = i;
  if (!order.delegation) throw Refusal(403, "unknownDelegation", "there is no delegation \"" + *url + "\"");
  const json::object* renewal = object_member(request, "auto-renewal");
  const bool wanted = renewal ? bool_member(*renewal, "allow-certificate-get").value_or(false) : asked;
  // RFC 9115 §2.3.2, §2.3.3: the order of a name delegation consumer has "allow-certificate-get", and it is true.
  if (!wanted) throw malformed("an order for a delegation must have \"allow-certificate-get\"");
  if (renewal && !order.star) throw malformed("this CA does not renew by itself");
  const bool granted = order.star ? order.star->allow_get : order.allow_get;
  if (granted) return;
  order.state = OrderState::invalid;
  order.error = make_problem(403, "unauthorized", "this CA does not hand out certificates without an account");
}

}  // namespace culmen::testca
