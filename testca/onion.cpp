#include "testca/onion.hpp"

#include <algorithm>
#include <charconv>
#include <sstream>

#include <boost/json/value.hpp>

#include "base/base64.hpp"
#include "crypto/ca.hpp"
#include "crypto/key.hpp"
#include "crypto/onion.hpp"
#include "culmen/error.hpp"
#include "testca/problem.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

constexpr std::string_view ca_nonce = "2.23.140.41", applicant_nonce = "2.23.140.42";
constexpr std::size_t min_nonce = 8;  // RFC 9799 §3.2: "at least 64 bits"
constexpr auto max_caa_lifetime = std::chrono::hours(8);

Problem incorrect_onion_csr(const std::string& why) {
  return make_problem(403, "incorrectResponse", "the CSR does not prove control of the onion service: " + why);
}

const crypto::OidValue* find_oid(const std::vector<crypto::OidValue>& values, std::string_view oid) {
  const auto found = std::ranges::find(values, oid, &crypto::OidValue::oid);
  return found == values.end() ? nullptr : &*found;
}

/// The content of a primitive of that tag with a length of at most two octets; nullopt when the DER is something else.
std::optional<Bytes> content_of(const Bytes& der, std::uint8_t tag) {
  if (der.size() < 2 || der[0] != tag) return std::nullopt;
  std::size_t start = 2, length = der[1];
  if (length == 0x81 && der.size() > 2) {
    start = 3;
    length = der[2];
  } else if (length > 127) {
    return std::nullopt;
  }
  if (der.size() != start + length) return std::nullopt;
  return Bytes(der.begin() + static_cast<std::ptrdiff_t>(start), der.end());
}

/// What both forms have in common.
std::optional<Problem> judge_signer(const crypto::Csr& csr, const Identifier& identifier) {
  if (!csr.signature_ok) return incorrect_onion_csr("its signature is wrong");
  const std::optional<Bytes> key = crypto::onion_public_key(identifier.value);
  const bool same = key && csr.public_key && csr.key_type == "ed25519" && csr.public_key->parts().x == *key;
  if (!same) return incorrect_onion_csr("its key is not the one in the address");
  return std::nullopt;
}

/// The service's own name, without labels before it.
std::string service_of(std::string_view name) {
  const std::size_t dot = name.rfind('.', name.size() - std::string_view(".onion").size() - 1);
  return std::string(dot == std::string_view::npos ? name : name.substr(dot + 1));
}

Refusal forbidden(const std::string& why) { return Refusal(403, "caa", why); }

struct CaaRecord {
  CaaRecord() = default;
  int flags = 0;
  std::string tag, value;
};

/// `caa 128 issue "ca.example; validationmethods=onion-csr-01"`
CaaRecord read_caa_line(const std::string& line) {
  std::istringstream words(line);
  CaaRecord record;
  std::string start;
  words >> start >> record.flags >> record.tag >> std::ws;
  std::getline(words, record.value);
  const bool quoted = record.value.size() >= 2 && record.value.starts_with('"') && record.value.ends_with('"');
  if (start != "caa" || record.tag.empty() || !quoted || record.flags < 0 || record.flags > 255)
    throw malformed("onionCAA has a line that is no CAA record: " + printable(line, 200));
  record.value = record.value.substr(1, record.value.size() - 2);
  return record;
}

/// RFC 8659 §4.2, RFC 8657 §4: `issuer; validationmethods=a,b`.
bool permits(std::string_view value, std::string_view issuer_domain) {
  const std::string spaced(value);
  std::istringstream parts(spaced);
  std::string part;
  bool permitted = false;
  for (int i = 0; std::getline(parts, part, ';'); ++i) {
    std::erase(part, ' ');
    if (i == 0) permitted = part == issuer_domain;
    constexpr std::string_view methods = "validationmethods=";
    if (part.starts_with(methods))
      permitted = permitted && ("," + part.substr(methods.size()) + ",").find(",onion-csr-01,") != std::string::npos;
  }
  return permitted;
}

void check_entry(const json::object& entry, const Identifier& identifier, std::string_view issuer_domain,
                 TimePoint now) {
  const std::string name = identifier.value;
  const json::value* caa = entry.if_contains("caa");
  const json::value* expiry = entry.if_contains("expiry");
  const json::value* signature = entry.if_contains("signature");
  const bool complete = caa && (caa->is_null() || caa->is_string()) && expiry && expiry->is_int64() && signature &&
                        signature->is_string();
  if (!complete) throw malformed("onionCAA of " + name + " must have \"caa\", \"expiry\" and \"signature\"");
  const TimePoint until{std::chrono::seconds(expiry->get_int64())};
  if (until <= now || until > now + max_caa_lifetime)
    throw Refusal(403, "caa", "\"expiry\" in onionCAA of " + name + " must be in the next 8 hours");
  const std::string text = caa->is_null() ? std::string() : std::string(caa->get_string());
  const std::string message = "onion-caa|" + std::to_string(expiry->get_int64()) + "|" + text;
  const std::optional<Bytes> octets = base::base64_decode_lenient(std::string(signature->get_string()));
  crypto::KeyParts parts;
  parts.type = "ed25519";
  parts.x = crypto::onion_public_key(name).value();
  if (!octets || !crypto::PublicKey::from_parts(parts).verify("EdDSA", as_bytes(message), *octets))
    throw Refusal(403, "unauthorized", "the signature of onionCAA of " + name + " is wrong");
  if (!caa->is_null()) check_caa_records(text, identifier.is_wildcard(), issuer_domain, name);
}

}  // namespace

std::optional<Problem> judge_onion_csr(ByteView der, const Identifier& identifier, ByteView nonce) {
  try {
    const crypto::Csr csr = crypto::parse_csr(der);
    if (std::optional<Problem> problem = judge_signer(csr, identifier)) return problem;
    const crypto::OidValue* theirs = find_oid(csr.attributes, ca_nonce);
    const crypto::OidValue* ours = find_oid(csr.attributes, applicant_nonce);
    if (!theirs || !ours) return incorrect_onion_csr("it lacks one of the two nonces, which are attributes");
    const std::optional<Bytes> signed_nonce = content_of(theirs->value, 0x04);
    if (!signed_nonce || !std::ranges::equal(*signed_nonce, nonce))
      return incorrect_onion_csr("its nonce is not the challenge's");
    const std::optional<Bytes> own = content_of(ours->value, 0x04);
    if (!own || own->size() < min_nonce) return incorrect_onion_csr("the applicant's nonce does not have 64 bits");
    return std::nullopt;
  } catch (const Error& error) {
    return incorrect_onion_csr(error.what());
  }
}

std::optional<Problem> judge_onion_csr_with_token(ByteView der, const Identifier& identifier,
                                                  std::string_view key_authorization) {
  try {
    const crypto::Csr csr = crypto::parse_csr(der);
    if (std::optional<Problem> problem = judge_signer(csr, identifier)) return problem;
    if (std::ranges::find(csr.san, identifier) == csr.san.end())
      return incorrect_onion_csr("the name is not in its subjectAltName");
    const crypto::OidValue* proof = find_oid(csr.extensions, ca_nonce);
    const std::optional<Bytes> text = proof ? content_of(proof->value, 0x0c) : std::nullopt;
    if (!text || !std::ranges::equal(*text, as_bytes(key_authorization)))
      return incorrect_onion_csr("it does not carry the key authorization of this challenge");
    return std::nullopt;
  } catch (const Error& error) {
    return incorrect_onion_csr(error.what());
  }
}

void check_onion_caa(const json::object* onion_caa, const std::vector<Identifier>& ordered,
                     std::string_view issuer_domain, bool required, TimePoint now) {
  for (const Identifier& identifier : ordered) {
    if (!is_onion(identifier)) continue;
    const json::value* entry = onion_caa ? onion_caa->if_contains(service_of(identifier.value)) : nullptr;
    if (!entry && onion_caa) entry = onion_caa->if_contains(identifier.value);
    if (!entry) {
      // RFC 9799 §6.4: "If an ACME server receives a finalize request without [...] then the ACME server MUST return
      // an error with the type onionCAARequired".
      if (required)
        throw Refusal(403, "onionCAARequired", "this CA wants the CAA records of " + identifier.value + " in onionCAA");
      continue;
    }
    if (!entry->is_object()) throw malformed("an entry of onionCAA is no object");
    check_entry(entry->get_object(), identifier, issuer_domain, now);
  }
}

void check_caa_records(const std::string& text, bool wildcard, std::string_view issuer_domain,
                       const std::string& name) {
  std::vector<CaaRecord> issue, issue_wild;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    CaaRecord record = read_caa_line(line);
    if (record.tag == "issue") {
      issue.push_back(record);
    } else if (record.tag == "issuewild") {
      issue_wild.push_back(record);
    } else if (record.tag != "iodef" && (record.flags & 128) != 0) {
      throw forbidden(name + " has a critical CAA record of the type " + printable(record.tag, 60) +
                      ", which this CA does not know");
    }
  }
  const std::vector<CaaRecord>& relevant = wildcard && !issue_wild.empty() ? issue_wild : issue;
  const auto permitted = [&](const CaaRecord& record) { return permits(record.value, issuer_domain); };
  if (!relevant.empty() && std::ranges::none_of(relevant, permitted))
    throw forbidden("the CAA records of " + name + " do not let " + std::string(issuer_domain) + " issue");
}

}  // namespace culmen::testca
