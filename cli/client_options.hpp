// The flags that commands share, and the clients that they make.
#pragma once

#include <string>
#include <vector>

#include "command_line.hpp"
#include "culmen/blocking/acme_client.hpp"

namespace culmen::cli {

class Output;

/// How the program connects, and what it prints.
struct ConnectionFlags {
  ConnectionFlags() = default;
  std::string proxy;
  bool allow_http = false;
  int poll_timeout = 120;  ///< Seconds.
  bool json = false;
  bool verbose = false;
  std::string log_format = "text";
};

/// Which CA, and which account there.
struct ServerFlags {
  ServerFlags() = default;
  std::string server = "letsencrypt";
  std::string server_ca;
  std::string account_key;
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

/// With --json; for commands that end.
void add_connection_flags(const Command& command, ConnectionFlags& flags);
void add_transport_flags(const Command& command, ConnectionFlags& flags);
/// --log-format
void add_log_flag(const Command& command, ConnectionFlags& flags);
/// Returns the option --server.
Option add_server_flags(const Command& command, ServerFlags& flags);
void add_account_flags(const Command& command, AccountFlags& flags);

// Single flags, for commands that have only some of these.
void add_dir_flag(const Command& command, std::string& dir);
void add_json_flag(const Command& command, bool& json);
void add_verbose_flag(const Command& command, bool& verbose);
void add_contact_flag(const Command& command, std::vector<std::string>& contacts);
/// Takes a key type; unknown names are refused with the list.
Option add_key_type_flag(const Command& command, const std::string& name, std::string& type, const std::string& help);

/// The CAs that have a name.
std::vector<std::string> known_ca_names();
/// The directory URL of a CA's name. Throws Failure (exit_usage) for a name that is not known.
std::string directory_url(const std::string& server);

ClientOptions client_options(const ConnectionFlags& flags, const std::string& server_ca, Output& output);
/// Fetches the directory. Ctrl-C cancels the client.
blocking::AcmeClient connect(const std::string& server, const std::string& server_ca, const ConnectionFlags& flags,
                             Output& output);

}  // namespace culmen::cli
