#include "protocol/directory.hpp"

#include <utility>

#include "base/link.hpp"
#include "protocol/json_reader.hpp"

namespace culmen::protocol {

namespace {
constexpr std::string_view reading_directory = "reading the directory";

Result<std::string> endpoint(const json::object& directory, const std::string& base_url, std::string_view name) {
  const std::string text = text_member(directory, name);
  if (text.empty()) {
    return Error(Errc::bad_response, reading_directory,
                 base_url + " has no \"" + std::string(name) + "\": is that really the URL of an ACME directory?");
  }
  if (base::parse_http_url(text)) return text;
  std::optional<std::string> resolved = base::resolve_url(base_url, text);
  if (!resolved || !base::parse_http_url(*resolved)) {
    return Error(Errc::bad_response, reading_directory,
                 "\"" + std::string(name) + "\" is not a URL: " + printable(text, 100));
  }
  return std::move(*resolved);
}

std::optional<AutoRenewalMeta> read_auto_renewal(const json::object& meta) {
  const json::object* object = object_member(meta, "auto-renewal");
  if (!object) return std::nullopt;
  AutoRenewalMeta read;
  read.min_lifetime = seconds_member(*object, "min-lifetime");
  read.max_duration = seconds_member(*object, "max-duration");
  read.allow_certificate_get = flag_member(*object, "allow-certificate-get");
  return read;
}

DirectoryMeta read_meta(const json::object& meta) {
  DirectoryMeta read;
  read.terms_of_service = text_member(meta, "termsOfService");
  read.website = text_member(meta, "website");
  read.caa_identities = texts_member(meta, "caaIdentities");
  read.external_account_required = flag_member(meta, "externalAccountRequired");
  if (const json::object* profiles = object_member(meta, "profiles")) {
    for (const auto& profile : *profiles) read.profiles.emplace(profile.key(), text_member(*profiles, profile.key()));
  }
  read.auto_renewal = read_auto_renewal(meta);
  read.delegation_enabled = flag_member(meta, "delegation-enabled");
  read.allow_certificate_get = flag_member(meta, "allow-certificate-get");
  read.subdomain_auth_allowed = flag_member(meta, "subdomainAuthAllowed");
  // RFC 9799 names this member one way in its text (§6.4) and another in its registry (§8).
  read.onion_caa_required = flag_member(meta, "inBandOnionCAARequired") || flag_member(meta, "onionCAARequired");
  read.issuer_domain_names = texts_member(meta, "issuerDomainNames");
  read.account_hash_prefix = text_member(meta, "accountHashPrefix");
  return read;
}
}  // namespace

Result<Directory> parse_directory(const HttpResponse& response) {
  Result<json::object> object = parse_object(response.body, reading_directory);
  if (!object) return object.error();

  Directory directory;
  directory.url = response.url;
  directory.json = response.body;
  const std::pair<std::string_view, std::string Directory::*> required[] = {
      {"newNonce", &Directory::new_nonce},   {"newAccount", &Directory::new_account},
      {"newOrder", &Directory::new_order},   {"revokeCert", &Directory::revoke_cert},
      {"keyChange", &Directory::key_change},
  };
  for (const auto& [name, member] : required) {
    Result<std::string> url = endpoint(*object, response.url, name);
    if (!url) return url.error();
    directory.*member = std::move(*url);
  }
  const std::pair<std::string_view, std::string Directory::*> optional[] = {
      {"newAuthz", &Directory::new_authz},
      {"renewalInfo", &Directory::renewal_info},
  };
  for (const auto& [name, member] : optional) {
    if (Result<std::string> url = endpoint(*object, response.url, name)) directory.*member = std::move(*url);
  }
  if (const json::object* meta = object_member(*object, "meta")) directory.meta = read_meta(*meta);
  return directory;
}

}  // namespace culmen::protocol
