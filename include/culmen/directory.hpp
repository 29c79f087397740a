// A CA's directory (RFC 8555 §7.1.1), and well-known CAs.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culmen {

/// A CA's limits for STAR orders (RFC 8739 §3.2). A plain value.
struct AutoRenewalMeta {
  AutoRenewalMeta() = default;
  std::chrono::seconds min_lifetime{0};
  std::chrono::seconds max_duration{0};
  bool allow_certificate_get = false;
};

/// The "meta" object of a directory. A plain value; members the CA does not send are empty or false.
struct DirectoryMeta {
  DirectoryMeta() = default;
  std::string terms_of_service;  ///< URL, or empty.
  std::string website;
  std::vector<std::string> caa_identities;
  bool external_account_required = false;
  std::map<std::string, std::string> profiles;  ///< Name to description.
  std::optional<AutoRenewalMeta> auto_renewal;
  bool delegation_enabled = false;
  bool allow_certificate_get = false;
  bool subdomain_auth_allowed = false;
  bool onion_caa_required = false;
  std::vector<std::string> issuer_domain_names;
  std::string account_hash_prefix;
};

/// A parsed directory. A plain value.
struct Directory {
  Directory() = default;
  std::string url;
  std::string new_nonce;
  std::string new_account;
  std::string new_order;
  std::string revoke_cert;
  std::string key_change;
  std::string new_authz;     ///< Empty: no pre-authorization (RFC 8555 §7.4.1).
  std::string renewal_info;  ///< Empty: no ARI (RFC 9773).
  DirectoryMeta meta;
  std::string json;  ///< As the server sent it.
};

/// A public CA with a short name. A plain value; the texts are literals.
struct KnownCa {
  std::string_view name;
  std::string_view directory_url;
  bool needs_eab;
};
/// letsencrypt, letsencrypt-staging, zerossl, google, google-staging, sslcom, … (URLs as of 2026). Thread-safe.
const std::vector<KnownCa>& known_cas();
/// The directory URL for a short name; any other text is returned unchanged.
std::string resolve_directory_url(std::string_view name_or_url);

}  // namespace culmen
