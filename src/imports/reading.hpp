// What the readers of all clients share. They read files and never write.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/imports.hpp"

namespace culmen::imports {

// The readers; they throw as find_client_state() does.
FoundState find_of_certbot(const ClientFolder& from);
FoundState find_of_lego(const ClientFolder& from);
FoundState find_of_acme_sh(const ClientFolder& from);
FoundState find_of_persist(const ClientFolder& from);

/// Throws Error (not_found, io_failed) unless one of `parts` is a folder in `folder`.
void check_client_folder(const std::string& client, const std::filesystem::path& folder,
                         const std::vector<std::string>& parts);

Error unreadable(const std::filesystem::path& path, const std::string& why);
/// `what` as in "it is not known which CA has the host a.example".
Error unknown_ca(const std::filesystem::path& path, const std::string& what);
/// The contents of a regular file. Throws Error, which names the file.
std::string required_file(const std::filesystem::path& path);
/// What is in the folder, in the order of their names; none when there is no such folder. Throws Error.
std::vector<std::filesystem::path> entries_of(const std::filesystem::path& folder);
/// Runs `work`; returns what it throws, as an Error that says `doing` if it is of another kind.
std::optional<Error> error_of(const std::string& doing, const std::function<void()>& work);

/// A text member of the JSON object in a file. Throws Error, which names the file, if it has no JSON object.
std::string json_text(const std::filesystem::path& file, std::string_view member);
/// The account of a JSON file as certbot has it: {"uri": URL, "body": {"contact": […]}}; lego has that in a member
/// `below`. Throws Error, which names the file.
Account read_registration(const std::filesystem::path& file, std::string_view below, AccountKey key);
/// From a JWK if it is a ".json" file, else from PEM. Throws Error, which names the file.
AccountKey read_account_key(const std::filesystem::path& file);

/// "https://host/path/" as "host/path".
std::string path_of_server(std::string_view url);
/// The directory URL of a known CA with that path, or with that host if there is only one; empty: none.
std::string known_server(const std::string& path);

/// Reads chain and key, and what the certificate itself says of its renewal. Throws Error, which names the file: also
/// if they do not belong together.
void read_pair(FoundCertificate& certificate, const std::string& chain_pem, const std::filesystem::path& chain_file,
               const std::string& key_pem, const std::filesystem::path& key_file);
/// Whether any name is a wildcard.
bool has_wildcard(const FoundCertificate& certificate);
/// The number in the text if it is one in that range, else `otherwise`.
int number_in(const std::string& text, int least, int most, int otherwise);

// How control is proven at renewals.
void renew_by_port(FoundCertificate& certificate, int port, const std::string& address);
void renew_by_tls_port(FoundCertificate& certificate, int port);
void renew_by_webroot(FoundCertificate& certificate, const std::string& folder);
/// Without a hook, a note says that `plugin` is not there.
void renew_by_dns(FoundCertificate& certificate, const std::string& plugin, int wait, const ClientFolder& from);
/// For clients that do not keep how control was proven: by what the user chose, or else on port 80.
void renew_as_chosen(FoundCertificate& certificate, const std::string& client, const ClientFolder& from);
/// That culmen listens on port 80 itself, and why.
ImportNote note_of_port(const std::string& why);

/// Takes a hook over if it is a program that can be run and that nobody but root and this user can change; adds a note
/// in any case. `kind`: one of the hooks; `what`: its name at the other client.
void take_hook(FoundCertificate& certificate, const std::string& client, const std::string& hook,
               const std::string& what, ImportNote::Remedy kind);
/// Why a hook is not taken over; empty: it is.
std::string obstacle_of_hook(const std::string& hook);

}  // namespace culmen::imports
