// The flags that every sub-command talking to a CA has, and the client they make.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

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

void add_server_flags(CLI::App& app, ServerFlags& flags);
void add_account_flags(CLI::App& app, AccountFlags& flags);
void add_contact_flag(CLI::App& app, std::vector<std::string>& contacts);
/// A flag that takes a key type; unknown names are refused with the list.
CLI::Option* add_key_type_flag(CLI::App& app, const std::string& name, std::string& type, const std::string& help);

/// The directory URL. Throws Failure (exit_usage) for a name that is not known.
std::string directory_url(const ServerFlags& flags);

/// Fetches the directory; from then on Ctrl-C cancels this client.
blocking::AcmeClient connect(const ServerFlags& flags, Output& output);

/// With "mailto:" put before what has no scheme.
std::vector<std::string> contact_urls(const std::vector<std::string>& contacts);
/// The external account binding; nullopt when no flag asks for one.
std::optional<EabOptions> eab_of(const AccountFlags& flags);

}  // namespace culmen::cli
