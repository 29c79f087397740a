#include "client_options.hpp"

#include <algorithm>
#include <cctype>

#include "command.hpp"
#include "culmen/directory_url.hpp"
#include "culmen/private_key.hpp"
#include "interrupt.hpp"
#include "nearest.hpp"
#include "output.hpp"
#include "secrets.hpp"

namespace culmen::cli {

namespace {

std::string with_commas(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string key_type_meant(const std::string& type) {
  const std::string same = written_alike(type, key_type_names());
  return same.empty() ? type : same;
}

std::string check_key_type(const std::string& type) {
  const std::vector<std::string> known = key_type_names();
  if (std::find(known.begin(), known.end(), type) != known.end()) return {};
  return "\"" + type + "\" is not a key type; there are: " + with_commas(known);
}

}  // namespace

void add_connection_flags(const Command& command, ConnectionFlags& flags) {
  add_transport_flags(command, flags);
  add_json_flag(command, flags.json);
}

void add_log_flag(const Command& command, ConnectionFlags& flags) {
  Command other = command;
  other
      .text("--log-format text|json", flags.log_format,
            "Log lines as text, or each as one JSON object on standard error")
      .one_of({"text", "json"});
}

void add_transport_flags(const Command& command, ConnectionFlags& flags) {
  Command other = command;
  other
      .number("--poll-timeout SECONDS", flags.poll_timeout,
              "Time limit for validation, and for the certificate, in seconds")
      .between(1, 86400);
  other.text("--proxy URL", flags.proxy, "Proxy URL (default: from https_proxy and no_proxy)");
  other.flag("--allow-http", flags.allow_http, "Allow a server without TLS that is not on this machine: tests only");
  add_verbose_flag(other, flags.verbose);
}

Option add_server_flags(const Command& command, ServerFlags& flags) {
  Command ca = command.under_heading("CA and account");
  const Option server = ca.text("--server URL", flags.server,
                                "The CA: its ACME directory URL, or one of " + with_commas(known_ca_names()))
                            .suggest(known_ca_names());
  ca.text("--server-ca FILE", flags.server_ca, "PEM file of roots to trust for the CA, in addition to the system's")
      .existing_file();
  ca.text("--account-key FILE", flags.account_key,
          "Account key file to use instead of the state folder's; its URL is kept in FILE.account-url");
  return server;
}

void add_account_flags(const Command& command, AccountFlags& flags) {
  Command ca = command.under_heading("CA and account");
  add_key_type_flag(ca, "--key-type", flags.key_type, "Type of a new account key (default: ec:P-256)").hide_default();
  add_contact_flag(ca, flags.contacts);
  ca.flag("--agree-tos", flags.agree_tos, "Agree to the CA's terms of service");
  ca.text("--eab-kid ID", flags.eab_kid, "External account binding: the key id the CA gave you");
  ca.text("--eab-key KEY", flags.eab_key, "External account binding: the MAC key the CA gave you, base64url")
      .environment("CULMEN_EAB_KEY");
  ca.text("--eab-alg HS256|HS384|HS512", flags.eab_alg, "External account binding: the MAC algorithm")
      .one_of({"HS256", "HS384", "HS512"});
}

void add_dir_flag(const Command& command, std::string& dir) {
  Command(command)
      .text("--dir FOLDER", dir,
            "State folder (default: /var/lib/culmen for root, else $XDG_DATA_HOME/culmen or ~/.local/share/culmen)")
      .not_empty();
}

void add_json_flag(const Command& command, bool& json) {
  Command(command).flag("--json", json, "Print one JSON object at the end and nothing else, also for errors");
}

void add_verbose_flag(const Command& command, bool& verbose) {
  Command(command).flag("-v,--verbose", verbose, "Show every request on standard error");
}

void add_contact_flag(const Command& command, std::vector<std::string>& contacts) {
  Command(command).list_with_commas("--contact,-m,--email ADDRESS", contacts,
                                    "Contact address for the CA, such as ops@example.com; repeatable");
}

Option add_key_type_flag(const Command& command, const std::string& name, std::string& type, const std::string& help) {
  return Command(command)
      .text(name + " TYPE", type, help + ": " + with_commas(key_type_names()))
      .suggest(key_type_names())
      .check(check_key_type)
      .rewrite(key_type_meant);
}

std::vector<std::string> known_ca_names() {
  std::vector<std::string> names;
  for (const KnownCa& ca : known_cas()) names.emplace_back(ca.name);
  return names;
}

std::string directory_url(const std::string& server) {
  std::string url = resolve_directory_url(server);
  if (const auto colon = url.find("://"); colon != std::string::npos) {
    // RFC 3986 §3.1: schemes are case-insensitive.
    std::transform(url.begin(), url.begin() + static_cast<std::ptrdiff_t>(colon), url.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  }
  if (shown_server(url) != url) {
    throw Failure(exit_usage, "invalid_argument",
                  "--server: " + printable(shown_server(url)) + " is not a URL of the kind https://host/path",
                  "It has neither a user nor a password in it.");
  }
  if (url.starts_with("https://") || url.starts_with("http://")) return url;
  std::string advice;
  if (const std::string near = nearest(server, known_ca_names()); !near.empty()) {
    advice = "Did you mean " + near + "? ";
  } else if (server.find_first_of(".:") != std::string::npos && server.find("://") == std::string::npos) {
    const bool has_path = server.find('/') != std::string::npos;
    advice = "Did you mean https://" + printable(server) + (has_path ? "" : "/directory") + "? ";
  }
  advice += "Known names: " + with_commas(known_ca_names());
  throw Failure(exit_usage, "invalid_argument",
                "--server: \"" + printable(server) + "\" is neither a URL nor a known name", advice);
}

ClientOptions client_options(const ConnectionFlags& flags, const std::string& server_ca, Output& output) {
  ClientOptions options;
  options.session.nonce_retries = 10;
  options.session.poll_deadline = std::chrono::seconds(flags.poll_timeout);
  options.transport.extra_root_file = server_ca;
  options.transport.proxy = flags.proxy;
  options.transport.proxy_from_environment = true;
  options.transport.allow_insecure_http = flags.allow_http;
  if (flags.verbose) options.log = [&output](std::string_view line) { output.log(printable(line, 2000)); };
  return options;
}

blocking::AcmeClient connect(const std::string& server, const std::string& server_ca, const ConnectionFlags& flags,
                             Output& output) {
  return blocking::AcmeClient(directory_url(server), client_options(flags, server_ca, output), interrupt_token());
}

}  // namespace culmen::cli
