// What the program remembers about a certificate: what is wanted, and what this host does about it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "challenge_solvers.hpp"
#include "culmen/certificate_spec.hpp"
#include "json_object.hpp"

namespace culmen::cli {

class Command;

/// How this host proves control of names, where it writes the certificate, and which programs it runs. Kept in the
/// state folder of this host (local/deploy/<id>), never in a storage that others write to: whoever can write to a
/// database must not be able to run programs or to write files here. A plain value.
struct HostSettings {
  HostSettings() = default;
  bool operator==(const HostSettings&) const = default;

  // http-01 and tls-alpn-01
  std::string webroot;
  int http_port = 80;
  std::string http_address;
  int tls_port = 443;
  std::string tls_address;
  ChallengeFlags challenge;            ///< Of challenges that need no server.
  std::vector<std::string> ancestors;  ///< Domains to be proven in place of names below them (RFC 9444).

  std::string server_ca;    ///< PEM file of roots to trust for the CA, beside the system's.
  std::string account_key;  ///< A key file in place of the account in storage.

  // Outputs, absolute paths; empty: none.
  std::string out;        ///< The chain.
  std::string cert_key;   ///< The key: read if it exists, otherwise written.
  std::string combined;   ///< Key and chain in one file.
  std::string key_mode;   ///< Octal, such as "0640"; empty: 0600, or what the file has.
  std::string key_group;  ///< Name or number of a group; empty: none.

  // Programs, as absolute paths.
  std::vector<std::string> deploy_hooks;   ///< After a certificate has changed.
  std::vector<std::string> pre_hooks;      ///< Before an order that needs a challenge.
  std::vector<std::string> post_hooks;     ///< After it, whatever came of it.
  std::vector<std::string> failure_hooks;  ///< When a certificate becomes late, and daily after that.
  int hook_timeout = 120;                  ///< Seconds.

  bool allow_subset_of_names = false;
};

/// Both parts.
struct Settings {
  Settings() = default;
  CertificateSpec spec;
  HostSettings host;
};

/// The flags of `issue` and `edit`: which were given, and their values. What was not given keeps the value of before.
class SettingFlags {
 public:
  /// Defines the options. `this` must live until the action is done.
  void add_to(Command& command);
  /// Throws Failure (exit_usage) for flags that do not go together.
  void check() const;
  /// `before`: the settings of before; nullopt: the certificate is new. Paths become absolute. Throws Failure
  /// (exit_usage): another CA without the flag, a challenge that cannot prove a name, a hook that cannot run.
  Settings merged(const std::optional<Settings>& before) const;

 private:
  std::set<std::string> given_;
  Settings values_;
};

/// As a JSON object for the file, and back. Members with their default are left out; those not known are kept by
/// whoever rewrites the file.
JsonObject to_json(const HostSettings& settings);
HostSettings host_settings_from(const JsonObject& object);
/// From meta.json of a generation that the program of the release before made.
Settings settings_from_meta(const JsonObject& meta, const std::string& id);

}  // namespace culmen::cli
