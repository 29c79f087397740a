// The flags that every sub-command talking to a CA has, and the client they make.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "command_line.hpp"
#include "culmen/account.hpp"
#include "culmen/blocking/acme_client.hpp"

namespace culmen::cli {

class Output;

struct ServerFlags {
  ServerFlags() = default;
  std::string server = "letsencrypt";
  std::string server_ca;
  std::string proxy;
  bool allow_http = false;
  std::string dir;
  std::string account_key;
  int poll_timeout = 120;
  bool json = false;
  bool verbose = false;
};

struct AccountFlags {
  AccountFlags() = default;
  std::string key_type = "ec:P-256";
  std::vector<std::string> contacts;
  bool agree_tos = false;
  std::string eab_kid;
  std::string eab_key;
  std::string eab_alg = "HS256";
};

/// Returns the option --server.
Option add_server_flags(Command& command, ServerFlags& flags);
void add_account_flags(Command& command, AccountFlags& flags);

// Single flags, for commands that have only some of these.
void add_dir_flag(Command& command, std::string& dir);
void add_poll_timeout_flag(Command& command, int& seconds);
void add_transport_flags(Command& command, std::string& proxy, bool& allow_http);
void add_json_flag(Command& command, bool& json);
void add_verbose_flag(Command& command, bool& verbose);
void add_contact_flag(Command& command, std::vector<std::string>& contacts);
/// Takes a key type; unknown names are refused with the list.
Option add_key_type_flag(Command& command, const std::string& name, std::string& type, const std::string& help);

/// The directory URL. Throws Failure (exit_usage) for a name that is not known.
std::string directory_url(const ServerFlags& flags);

/// Fetches the directory; from then on Ctrl-C cancels this client.
blocking::AcmeClient connect(const ServerFlags& flags, Output& output);

/// With "mailto:" put before what has no scheme.
std::vector<std::string> contact_urls(const std::vector<std::string>& contacts);
/// The external account binding; nullopt when no flag asks for one.
std::optional<EabOptions> eab_of(const AccountFlags& flags);

}  // namespace culmen::cli
