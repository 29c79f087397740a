// What the program remembers about a certificate: what is wanted, and what this host does about it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "challenge_solvers.hpp"
#include "command_line.hpp"
#include "culmen/certificate_spec.hpp"
#include "culmen/deployment.hpp"
#include "culmen/private_key.hpp"
#include "json_object.hpp"

namespace culmen::cli {

/// How this host proves control of names, where it writes the certificate, and which programs it runs. Kept in the
/// state folder of this host, never in a storage that others write to: whoever can write to a database must not be able
/// to run programs or to write files here. A plain value.
struct HostSettings : DeploymentSettings {
  HostSettings() = default;
  bool operator==(const HostSettings&) const = default;

  /// Another host renews the certificate; this one takes its files and runs hooks. Only with a storage that hosts
  /// share.
  bool files_only = false;

  // http-01 and tls-alpn-01
  std::string webroot;
  int http_port = 80;
  std::string http_address;
  int tls_port = 443;
  std::string tls_address;
  ChallengeFlags challenge;            ///< Of challenges that need no server.
  std::vector<std::string> ancestors;  ///< Domains to be proven in place of names below them (RFC 9444).

  std::string server_ca;    ///< PEM file of roots to trust for the CA, in addition to the system's.
  std::string account_key;  ///< A key file in place of the account in storage.
};

/// What a Deployment does with it: all but standard output, which the program writes itself.
DeploymentSettings written_here(const HostSettings& settings);
/// The files that are written for the certificate, and those that are only read or run.
std::vector<std::string> written_files(const HostSettings& settings);
std::vector<std::string> read_files(const HostSettings& settings);
/// Whether --out means standard output, which is never remembered.
bool is_standard_output(const std::string& path);

/// Both parts. A plain value.
struct Settings {
  Settings() = default;
  CertificateSpec spec;
  HostSettings host;
};

/// The flags of `issue` and `edit`: what was given, and its values. What was not given keeps the value of before.
class SettingFlags {
 public:
  SettingFlags() = default;
  SettingFlags(const SettingFlags&) = delete;
  SettingFlags& operator=(const SettingFlags&) = delete;

  /// Defines the options. This object must live until the action is done.
  void add_to(const Command& command);

  /// For a command where what is not given stays as it is.
  void hide_defaults();
  /// Whether any was given.
  bool given() const;
  const std::vector<std::string>& names() const noexcept { return values_.spec.names; }
  /// The settings with what was given. `before`: those of before; nullopt: the certificate is new. Paths become
  /// absolute. Throws Failure (exit_usage) for what does not go together, a name that the challenge cannot prove, a
  /// name of a CA that is not known.
  Settings merged(std::optional<Settings> before) const;
  /// Throws Failure (exit_usage) for the port or address of another challenge, which would be remembered for nothing.
  void check_ports(const Settings& settings) const;

 private:
  bool is_given(const std::string& option) const;
  using Take = std::function<void(const Settings& given, Settings& settings)>;
  struct Member {
    Option option;
    Take take;
  };
  void add(Option option, Take take) { members_.push_back({std::move(option), std::move(take)}); }
  void add_names(const Command& command);
  void add_http(const Command& command);
  void add_dns(const Command& command);
  void add_outputs(const Command& command);

  std::vector<Member> members_;
  Settings values_;
  std::string server_ = "letsencrypt", key_type_ = "ec:P-256", challenge_ = "http-01";
};

/// The key in the file of --cert-key, for a certificate with that type of key; nullopt: it is culmen's to make. Throws
/// Error with the name of the file, and Failure (exit_usage) if it is of another type.
std::optional<PrivateKey> input_key(const HostSettings& settings);
/// Throws Failure (exit_usage) for settings that cannot work: no names, a challenge without what it needs.
void check_settings(const Settings& settings);

/// As a JSON object for the file, and back. Members that have their default are left out.
JsonObject to_json(const HostSettings& settings);
HostSettings host_settings_from(const JsonObject& object);
/// The same for a file that people may have edited. Throws Error with the name of the file and of a member that has a
/// value that it cannot have.
HostSettings checked_host_settings(const JsonObject& object, const std::string& file);
/// What the release before wants in meta.json of a generation, to renew it.
JsonObject meta_for_release_before(const Settings& settings);
/// From meta.json of a generation that the program of the release before made.
Settings settings_from_meta(const JsonObject& meta, const std::string& id);

}  // namespace culmen::cli
