// What is wrong with a CertificateSpec, and the ids of its certificates.
#include <algorithm>
#include <set>

#include "base/text.hpp"
#include "culmen/certificate_spec.hpp"
#include "culmen/directory.hpp"
#include "culmen/identifier.hpp"
#include "culmen/private_key.hpp"
#include "culmen/storage.hpp"
#include "manager/nearest.hpp"
#include "manager/spec_checker.hpp"

namespace culmen {

namespace {

/// Folders of certificates have their id as their name, and file systems allow 255 octets.
constexpr std::size_t longest_id = 255;
constexpr std::size_t longest_spec_text = 255;

/// Thrown and caught within this file: what is wrong, beginning with the member.
struct SpecFault {
  std::string detail;
};

[[noreturn]] void refuse_member(std::string_view member, const std::string& why) {
  throw SpecFault{std::string(member) + ": " + why};
}

std::string in_quotes(std::string_view text) { return "\"" + printable(text, 100) + "\""; }

void check_text_member(std::string_view member, const std::string& text) {
  if (text.empty()) return;
  if (text.size() > longest_spec_text) refuse_member(member, "it has more than 255 octets");
  if (printable(text, text.size()) != text) refuse_member(member, in_quotes(text) + " has control characters");
  if (base::trimmed(text) != text) refuse_member(member, in_quotes(text) + " begins or ends with a blank");
}

std::string id_of_name(const Identifier& name) {
  return name.is_wildcard() ? "_wildcard" + name.value.substr(1) : name.value;
}

std::vector<std::string> ids_of_key_types(const std::string& id, const std::vector<std::string>& key_types) {
  std::vector<std::string> ids;
  for (const std::string& key_type : key_types) {
    const std::string type = base::to_lower(key_type);
    std::string each = ids.empty() ? id : id + "@" + type.substr(0, type.find(':'));
    if (std::ranges::find(ids, each) != ids.end()) each = id + "@" + type;
    ids.push_back(std::move(each));
  }
  return ids;
}

std::vector<std::string> checked_ids(const CertificateSpec& spec, const std::vector<Identifier>& names) {
  const std::string id = spec.id.empty() ? id_of_name(names.front()) : spec.id;
  check_text_member("id", id);
  if (id.find('/') != id.npos || id.starts_with('.') || id.starts_with('-')) {
    refuse_member("id", in_quotes(id) + " has a \"/\", or begins with \".\" or \"-\"");
  }
  std::vector<std::string> ids = ids_of_key_types(id, spec.key_types);
  for (const std::string& each : ids) {
    if (storage_part(each).size() <= longest_id) continue;
    refuse_member("id", in_quotes(each) + " is too long for storage (255 octets); set a shorter \"id\"");
  }
  return ids;
}

std::vector<Identifier> checked_names(const CertificateSpec& spec) {
  if (spec.names.empty()) refuse_member("names", "there is none");
  std::vector<Identifier> names;
  for (const std::string& text : spec.names) {
    const Result<Identifier> name = result_of([&] { return Identifier::parse(text); });
    if (!name) refuse_member("names", in_quotes(text) + ": " + name.error().detail());
    if (std::ranges::find(names, *name) != names.end()) {
      refuse_member("names", in_quotes(text) + " is there twice (as " + name->value + ")");
    }
    names.push_back(*name);
  }
  return names;
}

void check_challenge_of(const CertificateSpec& spec, const std::vector<Identifier>& names) {
  check_text_member("challenge", spec.challenge);
  const bool by_dns = spec.challenge.starts_with("dns-");
  const bool by_server = spec.challenge == "http-01" || spec.challenge == "tls-alpn-01";
  for (const Identifier& name : names) {
    if (by_server && name.is_wildcard()) {
      refuse_member("challenge",
                    spec.challenge + " cannot validate the wildcard name " + name.value + "; CAs require dns-01");
    }
    if (by_dns && name.type == "ip") {
      refuse_member("challenge", spec.challenge + " cannot validate the IP address " + name.value +
                                     "; use http-01 or tls-alpn-01 (RFC 8738)");
    }
  }
}

void check_key_types(const CertificateSpec& spec, std::set<std::string>& available) {
  if (spec.key_types.empty()) refuse_member("key_types", "there is none");
  static const std::vector<std::string> known = key_type_names();
  std::set<std::string> seen;
  for (const std::string& type : spec.key_types) {
    const auto same = [&](const std::string& name) {
      return name == type || base::to_lower(name) == base::to_lower(type);
    };
    const auto found = std::ranges::find_if(known, same);
    if (found == known.end()) {
      refuse_member("key_types", in_quotes(type) + " is not a key type" + manager::suggestion(type, known));
    }
    if (!seen.insert(*found).second) refuse_member("key_types", in_quotes(type) + " is there twice");
    if (available.contains(*found)) continue;
    if (!key_type_available(type)) refuse_member("key_types", in_quotes(type) + " needs a newer version of OpenSSL");
    available.insert(*found);
  }
}

void check_cas(const CertificateSpec& spec) {
  std::set<std::string> seen;
  for (const std::string& ca : spec.cas) {
    check_text_member("cas", ca);
    const std::string url = resolve_directory_url(ca);
    if (!url.starts_with("https://") && !url.starts_with("http://")) {
      std::vector<std::string> known;
      for (const KnownCa& each : known_cas()) known.emplace_back(each.name);
      refuse_member("cas", in_quotes(ca) + " is neither a directory URL nor the short name of a CA" +
                               manager::suggestion(ca, known));
    }
    if (!seen.insert(url).second) refuse_member("cas", in_quotes(ca) + " is there twice");
  }
}

/// The ids of its certificates.
std::vector<std::string> check_members(const CertificateSpec& spec, std::set<std::string>& available_key_types) {
  const std::vector<Identifier> names = checked_names(spec);
  check_key_types(spec, available_key_types);
  std::vector<std::string> ids = checked_ids(spec, names);
  check_cas(spec);
  check_challenge_of(spec, names);
  check_text_member("profile", spec.profile);
  if (spec.profile_required && spec.profile.empty()) refuse_member("profile_required", "there is no profile");
  check_text_member("preferred_chain", spec.preferred_chain);
  if (spec.renew_before && *spec.renew_before <= std::chrono::seconds(0)) {
    refuse_member("renew_before", "it must be at least one second");
  }
  return ids;
}

}  // namespace

std::string id_of(const CertificateSpec& spec) {
  if (!spec.id.empty() || spec.names.empty()) return spec.id;
  const Result<Identifier> first = result_of([&] { return Identifier::parse(spec.names.front()); });
  return first ? id_of_name(*first) : spec.names.front();
}

std::vector<std::string> certificate_ids(const CertificateSpec& spec) {
  return ids_of_key_types(id_of(spec), spec.key_types);
}

Result<void> check_spec(const CertificateSpec& spec) {
  const Result<std::vector<std::string>> ids = manager::SpecChecker().ids(spec);
  if (!ids) return ids.error();
  return {};
}

Result<std::vector<std::string>> manager::SpecChecker::ids(const CertificateSpec& spec) {
  try {
    return check_members(spec, available_key_types_);
  } catch (const SpecFault& fault) {
    const std::string id = id_of(spec);
    return Error(Errc::invalid_argument,
                 "checking the specification of the certificate " + (id.empty() ? "without a name" : in_quotes(id)),
                 fault.detail);
  }
}

}  // namespace culmen
