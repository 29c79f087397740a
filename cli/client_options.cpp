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

}  // namespace

void add_server_flags(CLI::App& app, ServerFlags& flags) {
  app.add_option("--server", flags.server, "The CA: its ACME directory URL, or one of " + known_names())
      ->type_name("URL")
      ->capture_default_str();
  app.add_option("--server-ca", flags.server_ca, "PEM file of roots to trust for the server, beside the system's")
      ->check(CLI::ExistingFile.description(""))
      ->type_name("FILE");
  app.add_option("--account-key", flags.account_key,
                 "Account key file to use instead of the state folder's; its URL is kept in FILE.account-url")
      ->type_name("FILE");
  app.add_option(
         "--dir", flags.dir,
         "State folder (default: /var/lib/culmen for root, else $XDG_DATA_HOME/culmen or ~/.local/share/culmen)")
      ->type_name("FOLDER");
  app.add_option("--poll-timeout", flags.poll_timeout, "Seconds to wait for validation, and for the certificate")
      ->check(CLI::Range(1, 86400).description(""))
      ->type_name("SECONDS")
      ->capture_default_str();
  app.add_option("--proxy", flags.proxy, "Proxy URL (default: from https_proxy and no_proxy)")->type_name("URL");
  app.add_flag("--allow-http", flags.allow_http, "Allow a server without TLS that is not on this machine: tests only");
  app.add_flag("--json", flags.json, "Print one JSON object at the end and nothing else, for errors too");
  app.add_flag("-v,--verbose", flags.verbose, "Show every request on standard error");
}

void add_account_flags(CLI::App& app, AccountFlags& flags) {
  add_key_type_flag(app, "--key-type", flags.key_type, "Type of a new account key");
  add_contact_flag(app, flags.contacts);
  app.add_flag("--agree-tos", flags.agree_tos, "Agree to the CA's terms of service");
  app.add_option("--eab-kid", flags.eab_kid, "External account binding: the key id the CA gave you")->type_name("ID");
  app.add_option("--eab-key", flags.eab_key, "External account binding: the MAC key the CA gave you, base64url")
      ->type_name("KEY")
      ->envname("CULMEN_EAB_KEY");
  app.add_option("--eab-alg", flags.eab_alg, "External account binding: the MAC algorithm")
      ->check(CLI::IsMember({"HS256", "HS384", "HS512"}).description(""))
      ->type_name("HS256|HS384|HS512")
      ->capture_default_str();
}

void add_contact_flag(CLI::App& app, std::vector<std::string>& contacts) {
  app.add_option("--contact", contacts, "Where the CA may reach you, as ops@example.com; repeatable")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
}

CLI::Option* add_key_type_flag(CLI::App& app, const std::string& name, std::string& type, const std::string& help) {
  std::string names;
  for (const std::string& known : key_type_names()) names += (names.empty() ? "" : ", ") + known;
  const auto check = [names](const std::string& value) -> std::string {
    const std::vector<std::string> known = key_type_names();
    if (std::find(known.begin(), known.end(), value) != known.end()) return {};
    return "\"" + value + "\" is not a key type; there are: " + names;
  };
  return app.add_option(name, type, help + ": " + names)
      ->check(CLI::Validator(check, ""))
      ->type_name("TYPE")
      ->capture_default_str();
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
  blocking::AcmeClient client(directory_url(flags), std::move(options));
  cancel_on_interrupt(client);
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
