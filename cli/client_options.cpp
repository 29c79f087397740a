#include "client_options.hpp"

#include <algorithm>

#include "command.hpp"
#include "culmen/directory.hpp"
#include "culmen/private_key.hpp"
#include "interrupt.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

std::string known_names() {
  std::string names;
  for (const KnownCa& ca : known_cas()) names += (names.empty() ? "" : ", ") + std::string(ca.name);
  return names;
}

std::string joined_key_types() {
  std::string names;
  for (const std::string& name : key_type_names()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

std::string check_key_type(const std::string& type) {
  const std::vector<std::string> known = key_type_names();
  if (std::find(known.begin(), known.end(), type) != known.end()) return {};
  return "\"" + type + "\" is not a key type; there are: " + joined_key_types();
}

}  // namespace

Option add_server_flags(Command& command, ServerFlags& flags) {
  const Option server =
      command.text("--server URL", flags.server, "The CA: its ACME directory URL, or one of " + known_names());
  command.text("--server-ca FILE", flags.server_ca, "PEM file of roots to trust for the server, beside the system's")
      .existing_file();
  command.text("--account-key FILE", flags.account_key,
               "Account key file to use instead of the state folder's; its URL is kept in FILE.account-url");
  add_dir_flag(command, flags.dir);
  add_poll_timeout_flag(command, flags.poll_timeout);
  add_transport_flags(command, flags.proxy, flags.allow_http);
  add_json_flag(command, flags.json);
  add_verbose_flag(command, flags.verbose);
  return server;
}

void add_account_flags(Command& command, AccountFlags& flags) {
  add_key_type_flag(command, "--key-type", flags.key_type, "Type of a new account key");
  add_contact_flag(command, flags.contacts);
  command.flag("--agree-tos", flags.agree_tos, "Agree to the CA's terms of service");
  command.text("--eab-kid ID", flags.eab_kid, "External account binding: the key id the CA gave you");
  command.text("--eab-key KEY", flags.eab_key, "External account binding: the MAC key the CA gave you, base64url")
      .environment("CULMEN_EAB_KEY");
  command.text("--eab-alg HS256|HS384|HS512", flags.eab_alg, "External account binding: the MAC algorithm")
      .one_of({"HS256", "HS384", "HS512"});
}

void add_dir_flag(Command& command, std::string& dir) {
  command.text("--dir FOLDER", dir,
               "State folder (default: /var/lib/culmen for root, else $XDG_DATA_HOME/culmen or ~/.local/share/culmen)");
}

void add_poll_timeout_flag(Command& command, int& seconds) {
  command.number("--poll-timeout SECONDS", seconds, "Seconds to wait for validation, and for the certificate")
      .between(1, 86400);
}

void add_transport_flags(Command& command, std::string& proxy, bool& allow_http) {
  command.text("--proxy URL", proxy, "Proxy URL (default: from https_proxy and no_proxy)");
  command.flag("--allow-http", allow_http, "Allow a server without TLS that is not on this machine: tests only");
}

void add_json_flag(Command& command, bool& json) {
  command.flag("--json", json, "Print one JSON object at the end and nothing else, for errors too");
}

void add_verbose_flag(Command& command, bool& verbose) {
  command.flag("-v,--verbose", verbose, "Show every request on standard error");
}

void add_contact_flag(Command& command, std::vector<std::string>& contacts) {
  command.list("--contact ADDRESS", contacts, "Where the CA may reach you, as ops@example.com; repeatable");
}

Option add_key_type_flag(Command& command, const std::string& name, std::string& type, const std::string& help) {
  return command.text(name + " TYPE", type, help + ": " + joined_key_types()).check(check_key_type);
}

std::string directory_url(const ServerFlags& flags) {
  std::string url = resolve_directory_url(flags.server);
  if (url.starts_with("https://") || url.starts_with("http://")) return url;
  throw Failure(exit_usage, "invalid_argument", "--server: \"" + flags.server + "\" is neither a URL nor a known name",
                "Known names: " + known_names());
}

blocking::AcmeClient connect(const ServerFlags& flags, Output& output) {
  exit_on_interrupt(flags.json);
  ClientOptions options;
  options.session.nonce_retries = 10;
  options.session.poll_deadline = std::chrono::seconds(flags.poll_timeout);
  options.transport.extra_root_file = flags.server_ca;
  options.transport.proxy = flags.proxy;
  options.transport.proxy_from_environment = true;
  options.transport.allow_insecure_http = flags.allow_http;
  if (flags.verbose) options.log = [&output](std::string_view line) { output.log(printable(line, 2000)); };
  blocking::AcmeClient client(directory_url(flags), std::move(options), interrupt_token());
  cancel_on_interrupt();
  return client;
}

std::vector<std::string> contact_urls(const std::vector<std::string>& contacts) {
  std::vector<std::string> urls = contacts;
  for (std::string& url : urls) {
    if (url.find(':') == std::string::npos) url.insert(0, "mailto:");
  }
  return urls;
}

std::optional<EabOptions> eab_of(const AccountFlags& flags) {
  if (flags.eab_kid.empty() && flags.eab_key.empty()) return std::nullopt;
  if (flags.eab_kid.empty() || flags.eab_key.empty()) {
    throw Failure(exit_usage, "invalid_argument", "--eab-kid and --eab-key belong together; one is missing");
  }
  try {
    return EabOptions::from_text(flags.eab_kid, flags.eab_key, flags.eab_alg);
  } catch (const Error& error) {
    throw Failure(exit_usage, "invalid_argument", "--eab-key: " + std::string(error.what()));
  }
}

}  // namespace culmen::cli
