// What another client left: accounts and certificates as values, which `culmen import` puts into storage.
//
// A reader for each client makes them. Readers only read. What is wrong with one entry is in that entry, and does not
// keep the others from being found.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/account.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "culmen/private_key.hpp"
#include "json_object.hpp"
#include "settings.hpp"

namespace culmen::cli {

/// What the user says about it.
struct ImportChoices {
  ImportChoices() = default;
  std::filesystem::path from;  ///< The client's folder, absolute.
  std::string server;          ///< A directory URL, for what does not name its CA; empty: not given.
  std::string server_ca;
  std::string webroot;   ///< Absolute; empty: not given.
  std::string dns_hook;  ///< Absolute, or a name without a slash.
};

/// An account of another client. A plain value.
struct FoundAccount {
  FoundAccount() = default;
  std::string id;  ///< What the other client calls it.
  std::string server;
  std::optional<Account> account;
  std::optional<Error> wrong;  ///< Why there is no `account`.
};

/// A certificate of another client. A plain value.
struct FoundCertificate {
  FoundCertificate() = default;
  std::string name;  ///< What the other client calls it.
  std::string server;
  std::string account_id;     ///< FoundAccount::id of the account that it came from, or empty.
  std::string authenticator;  ///< How the other client proves control, in its words.
  std::filesystem::path source;

  std::string fullchain;  ///< PEM blocks and nothing around them.
  Certificate leaf;
  std::optional<PrivateKey> key;

  Settings settings;
  std::string summary;             ///< How it will be renewed, as "http-01 on port 80".
  std::vector<std::string> notes;  ///< What the user should know.
  std::optional<Error> wrong;      ///< Why it cannot be imported; then only the name is certain.
};

/// All of it.
struct Found {
  Found() = default;
  std::vector<FoundAccount> accounts;  ///< Those of a server beside each other.
  std::vector<FoundCertificate> certificates;
  std::vector<std::string> notes;     ///< About all of the certificates.
  std::string end_of_other_renewals;  ///< What to do about them, such as "end certbot's renewals …".
};

// For the readers.

/// Throws Failure unless one of `parts` is a folder in `folder`.
void check_client_folder(const std::string& client, const std::filesystem::path& folder,
                         const std::vector<std::string>& parts);

Error unreadable(const std::filesystem::path& path, const std::string& why);
/// The contents of a regular file. Throws Error, which names the file.
std::string required_file(const std::filesystem::path& path);
/// Throws Error, which names the file.
JsonObject required_json(const std::filesystem::path& path);
/// What is in the folder, in the order of their names; none when there is no such folder. Throws Error.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder);
/// Runs `work`; returns what it throws, as an Error that says `doing` if it is of another kind. What was cancelled is
/// thrown.
std::optional<Error> error_of(const std::string& doing, const std::function<void()>& work);
/// "https://host/path/" as "host/path".
std::string path_of_server(std::string_view url);
/// The directory URL of a known CA with that path, or with that host if there is only one; empty: none.
std::string known_server(const std::string& path);

/// Reads chain and key, and what the certificate itself says of its settings. Throws Error, which names the file: also
/// if they do not belong together.
void read_pair(FoundCertificate& certificate, const std::string& chain_pem, const std::filesystem::path& chain_file,
               const std::string& key_pem, const std::filesystem::path& key_file);
/// Whether any name is a wildcard.
bool has_wildcard(const FoundCertificate& certificate);
/// What the certificate is called here: its name, or its first domain if that cannot be one.
std::string id_for(const FoundCertificate& certificate);

// How it is renewed; each sets challenge and summary.
void renew_by_port(FoundCertificate& certificate, int port, const std::string& address);
void renew_by_tls_port(FoundCertificate& certificate, int port);
void renew_by_webroot(FoundCertificate& certificate, const std::string& folder);
/// Without --dns-hook, a note says that `plugin` is not there.
void renew_by_dns(FoundCertificate& certificate, const std::string& plugin, int wait, const ImportChoices& choices);
/// For clients that do not keep how control was proven: by what the user chose, or else on port 80.
void renew_as_chosen(FoundCertificate& certificate, const std::string& client, const ImportChoices& choices);
/// The command that changes how it is renewed.
std::string edit_command(const FoundCertificate& certificate, const std::string& flags);

/// Takes a hook over if it is a program that can be run and that nobody but root and this user can change; adds a note
/// otherwise. `what`: its name at the other client; `option`: as "--deploy-hook".
void take_hook(FoundCertificate& certificate, const std::string& client, const std::string& hook,
               const std::string& what, const std::string& option);
/// Why a hook is not taken over; empty: it is.
std::string obstacle_of_hook(const std::string& hook);

// The readers. Each throws Failure if the folder is not one of that client, or may not be read.
Found find_of_certbot(const ImportChoices& choices);
Found find_of_lego(const ImportChoices& choices);
Found find_of_acme_sh(const ImportChoices& choices);
/// Of a FilePersist.
Found find_of_persist(const ImportChoices& choices);

}  // namespace culmen::cli
