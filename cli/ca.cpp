// culmen ca: which CAs culmen knows by name, and what a CA says of itself.
#include <memory>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/directory.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

int list_cas(Output& output) {
  std::size_t width = 0;
  for (const KnownCa& ca : known_cas()) width = std::max(width, ca.name.size());
  std::vector<JsonObject> entries;
  for (const KnownCa& ca : known_cas()) {
    const std::string name(ca.name), url(ca.directory_url);
    output.say(name + std::string(width + 2 - name.size(), ' ') + url + (ca.needs_eab ? "  (binds accounts)" : ""));
    JsonObject entry;
    entry.set("name", name);
    entry.set("directory", url);
    entry.set("external_account_required", ca.needs_eab);
    entries.push_back(std::move(entry));
  }
  output.say(
      "Options that take a CA's URL also accept its short name. \"binds accounts\": see --eab-kid and --eab-key.");
  output.result().set("cas", entries);
  return exit_ok;
}

/// Directory members that are endpoints, by their names in RFC 8555 §9.7.5 and RFC 9773.
std::vector<std::pair<std::string, std::string>> endpoints_of(const Directory& directory) {
  return {{"revokeCert", directory.revoke_cert},   {"keyChange", directory.key_change},
          {"renewalInfo", directory.renewal_info}, {"newAuthz", directory.new_authz},
          {"newAccount", directory.new_account},   {"newOrder", directory.new_order},
          {"newNonce", directory.new_nonce}};
}

std::string yes(bool value) { return value ? "yes" : "no"; }

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + printable(text);
  return out.empty() ? "none given" : out;
}

std::string or_none(const std::string& text) { return text.empty() ? "none given" : printable(text); }

/// The short name of that URL; empty when it has none.
std::string name_of(const std::string& url) {
  for (const KnownCa& ca : known_cas()) {
    if (ca.directory_url == url) return std::string(ca.name);
  }
  return {};
}

void describe(const std::string& url, const Directory& directory, Output& output) {
  const DirectoryMeta& meta = directory.meta;
  const auto line = [&output](std::string label, const std::string& text) {
    label.resize(std::max<std::size_t>(label.size() + 1, 22), ' ');
    output.say(label + text);
  };
  JsonObject& json = output.result();
  if (const std::string name = name_of(url); !name.empty()) {
    line("Name", name);
    json.set("name", name);
  }
  line("Directory", url);
  line("Terms of service", or_none(meta.terms_of_service));
  line("Website", or_none(meta.website));
  line("CAA identities", joined(meta.caa_identities));
  line("Binds accounts (EAB)", yes(meta.external_account_required));
  line("Suggests when (ARI)", yes(!directory.renewal_info.empty()));
  line("STAR", yes(meta.auto_renewal.has_value()));
  line("Subdomains (RFC 9444)", yes(meta.subdomain_auth_allowed));
  line("Profiles", meta.profiles.empty() ? "none" : "");
  JsonObject profiles;
  for (const auto& [name, description] : meta.profiles) {
    line("  " + printable(name), printable(description));
    profiles.set(name, description);
  }
  line("Endpoints", "");
  JsonObject endpoints;
  for (const auto& [name, endpoint] : endpoints_of(directory)) {
    if (endpoint.empty()) continue;
    line("  " + name, printable(endpoint));
    endpoints.set(name, endpoint);
  }
  json.set("directory", url);
  json.set("endpoints", endpoints);
  json.set("terms_of_service", meta.terms_of_service);
  json.set("website", meta.website);
  json.set("caa_identities", meta.caa_identities);
  json.set("external_account_required", meta.external_account_required);
  json.set("renewal_info", !directory.renewal_info.empty());
  json.set("star", meta.auto_renewal.has_value());
  json.set("subdomain_auth", meta.subdomain_auth_allowed);
  json.set("profiles", profiles);
}

struct ShowFlags {
  ShowFlags() = default;
  ServerFlags server;
  ConnectionFlags connection;
};

int run_show(const ShowFlags& flags, Output& output) {
  output.verbose(flags.connection.verbose);
  const std::string url = directory_url(flags.server.server);
  describe(url, connect(url, flags.server.server_ca, flags.connection, output).directory(), output);
  return exit_ok;
}

}  // namespace

void define_ca(Command& command) {
  auto flags = std::make_shared<ShowFlags>();
  Command list = command.subcommand("list", "List the CAs that have a short name");
  add_json_flag(list, flags->connection.json);
  list.set_action(list_cas);
  Command show = command.subcommand("show", "Show what a CA offers");
  show.argument("server NAME|URL", flags->server.server, "A name of the list, or a directory URL")
      .required()
      .suggest(known_ca_names());
  show.text("--server-ca FILE", flags->server.server_ca,
            "PEM file of roots to trust for the CA, in addition to the system's")
      .existing_file();
  add_connection_flags(show, flags->connection);
  show.set_action([flags](Output& output) { return run_show(*flags, output); });
}

}  // namespace culmen::cli
