// What a client may ask a certificate for (RFC 8555 §7.1.4, RFC 8738).
#include <algorithm>
#include <set>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "base/name.hpp"
#include "base/text.hpp"
#include "testca/acme_server.hpp"
#include "testca/authority_token.hpp"
#include "testca/json_reader.hpp"
#include "testca/onion.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

constexpr std::size_t max_identifiers = 100;

/// Why a DNS name will not do; empty when it will.
std::string fault_of_dns(const std::string& name) {
  if (std::ranges::any_of(name, [](unsigned char c) { return c >= 0x80; }))
    return "must be written with A-labels (punycode)";
  if (name.ends_with('.')) return "must not end in a dot";
  if (base::canonical_ip(name)) return "is an IP address: use the identifier type \"ip\"";
  auto canonical = base::canonical_dns_name(name);
  if (!canonical) return "is not a DNS name: " + canonical.error().detail();
  if (*canonical != base::to_lower(name)) return "is not in canonical form, " + *canonical;
  return {};
}

std::string fault_of_ip(const std::string& address) {
  auto canonical = base::canonical_ip(address);
  if (!canonical) return "is not an IP address";
  if (*canonical != address) return "is not in the canonical text form, " + *canonical;
  return {};
}

}  // namespace

std::optional<Identifier> AcmeServer::read_identifier(const json::value& value, std::optional<Problem>& problem) const {
  if (!value.is_object()) throw malformed("an identifier must be an object");
  Identifier identifier(required_string(value.get_object(), "type"), required_string(value.get_object(), "value"));
  auto refuse = [&](std::string_view type, const std::string& why) {
    problem = make_problem(400, type, "\"" + identifier.value + "\" " + why);
    problem->identifier = identifier;
    return std::nullopt;
  };
  if (options_.onion_type && identifier.value.ends_with(".onion")) {
    if (identifier.type != "onion") return refuse("unsupportedIdentifier", "must be of the type \"onion\" here");
    identifier.type = "dns";
  }
  if (identifier.type == "TNAuthList" && token_authority_) {
    const std::string fault = fault_of_tn_auth_list(identifier.value);
    if (!fault.empty()) return refuse("malformed", fault);
    return identifier;
  }
  if (identifier.type != "dns" && identifier.type != "ip")
    return refuse("unsupportedIdentifier",
                  "is of the type \"" + identifier.type + "\", which this CA does not support");
  std::string fault = identifier.type == "dns" ? fault_of_dns(identifier.value) : fault_of_ip(identifier.value);
  if (!fault.empty()) return refuse("malformed", fault);
  identifier.value = base::to_lower(identifier.value);
  std::string bare = identifier.value.starts_with("*.") ? identifier.value.substr(2) : identifier.value;
  const std::vector<std::string>& blocked = options_.blocked_names;
  if (std::ranges::find(blocked, bare) != blocked.end() ||
      std::ranges::find(blocked, identifier.value) != blocked.end())
    return refuse("rejectedIdentifier", "is a name this CA does not issue for");
  return identifier;
}

std::vector<Identifier> AcmeServer::read_identifiers(const json::value* list) const {
  if (!list || !list->is_array()) throw malformed("\"identifiers\" must be an array");
  const json::array& asked = list->get_array();
  if (asked.empty()) throw malformed("\"identifiers\" is empty");
  if (asked.size() > max_identifiers)
    throw malformed("more than " + std::to_string(max_identifiers) + " identifiers in one order");
  std::vector<Identifier> identifiers;
  std::set<Identifier> seen;
  std::vector<Problem> failures;
  for (const json::value& value : asked) {
    std::optional<Problem> problem;
    std::optional<Identifier> identifier = read_identifier(value, problem);
    if (!identifier)
      failures.push_back(std::move(*problem));
    else if (seen.insert(*identifier).second)
      identifiers.push_back(std::move(*identifier));
  }
  if (failures.empty()) return identifiers;
  if (asked.size() > 1) throw Refusal(combine(std::move(failures), "some identifiers are refused"));
  failures.front().identifier.reset();  // RFC 8555 §6.7.1: "identifier" stands in subproblems only
  throw Refusal(std::move(failures.front()));
}

json::object AcmeServer::identifier_json(const Identifier& identifier) const {
  const bool as_onion = options_.onion_type && is_onion(identifier);
  return {{"type", as_onion ? "onion" : identifier.type}, {"value", identifier.value}};
}

}  // namespace culmen::testca
