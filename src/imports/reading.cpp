#include "found.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/directory.hpp"
#include "culmen/program.hpp"
#include "hint.hpp"
#include "host.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

/// Whether only root and this user can put something else in the place of that file or folder.
bool is_ours(const fs::path& path) {
  struct stat about {};
  if (lstat(path.c_str(), &about) != 0) return false;
  if (about.st_uid != 0 && about.st_uid != geteuid()) return false;
  if (S_ISLNK(about.st_mode)) return true;  // the folder that it is in decides
  // In a sticky folder, others cannot replace what is not theirs.
  const bool is_sticky = S_ISDIR(about.st_mode) && (about.st_mode & S_ISVTX) != 0;
  return is_sticky || (about.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

bool is_ours_up_to_the_root(const fs::path& path) {
  for (fs::path at = path;; at = at.parent_path()) {
    if (!is_ours(at)) return false;
    if (at == at.root_path()) return true;
  }
}

}  // namespace

void check_client_folder(const std::string& client, const fs::path& folder, const std::vector<std::string>& parts) {
  std::error_code failed;
  std::string names;
  const bool there = fs::is_directory(folder, failed);
  for (const std::string& part : parts) {
    if (there && fs::is_directory(folder / part, failed)) return;
    names += (names.empty() ? "no \"" : " and no \"") + part + "\"";
  }
  if (failed && failed != std::errc::no_such_file_or_directory) {
    throw Failure(
        exit_failed, "io_failed", "cannot read " + folder.string() + ": " + failed.message(),
        "The folder of " + client + " may be for root alone: run this as root, or on a copy that you may read.");
  }
  throw Failure(exit_failed, "not_found",
                folder.string() + " is not " + client + "'s folder: there is " + names + " in it",
                "Say where it is with --from FOLDER.");
}

Error unreadable(const fs::path& path, const std::string& why) {
  return Error(Errc::io_failed, "reading " + path.string(), why);
}

std::string required_file(const fs::path& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (status.type() == fs::file_type::not_found)
    throw unreadable(path, "there is no such file, or the link leads nowhere");
  if (failed) throw unreadable(path, failed.message());
  if (!fs::is_regular_file(status)) throw unreadable(path, "it is not a file");
  std::optional<std::string> text = read_file(path);
  if (!text) throw unreadable(path, "there is no such file, or the link leads nowhere");
  return std::move(*text);
}

JsonObject required_json(const fs::path& path) {
  std::optional<JsonObject> object = JsonObject::parse(required_file(path));
  if (!object) throw unreadable(path, "it is not a JSON object");
  return std::move(*object);
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code failed;
  std::vector<fs::path> found;
  fs::directory_iterator at(folder, failed);
  if (failed == std::errc::no_such_file_or_directory) return found;
  for (; !failed && at != fs::directory_iterator(); at.increment(failed)) found.push_back(at->path());
  if (failed) throw unreadable(folder, failed.message());
  std::sort(found.begin(), found.end());
  return found;
}

std::optional<Error> error_of(const std::string& doing, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    return error;
  } catch (const std::exception& thrown) {
    return Error(Errc::io_failed, doing, thrown.what());
  }
  return std::nullopt;
}

std::string path_of_server(std::string_view url) {
  if (const auto start = url.find("://"); start != std::string_view::npos) url.remove_prefix(start + 3);
  while (url.ends_with('/')) url.remove_suffix(1);
  return std::string(url);
}

std::string known_server(const std::string& path) {
  std::vector<std::string> same_host;
  for (const KnownCa& ca : known_cas()) {
    const std::string known = path_of_server(ca.directory_url);
    if (known == path) return std::string(ca.directory_url);
    if (known.substr(0, known.find('/')) == path) same_host.emplace_back(ca.directory_url);
  }
  return same_host.size() == 1 ? same_host.front() : std::string();
}

void read_pair(FoundCertificate& certificate, const std::string& chain_pem, const fs::path& chain_file,
               const std::string& key_pem, const fs::path& key_file) {
  certificate.fullchain.clear();
  try {
    const std::vector<Certificate> chain = read_chain(chain_pem);
    certificate.leaf = chain.front();
    for (const Certificate& one : chain) certificate.fullchain += der_to_pem(one.der);
  } catch (const Error& error) {
    throw error.while_doing("reading " + chain_file.string());
  }
  if (certificate.leaf.identifiers.empty()) throw unreadable(chain_file, "its certificate has no names");
  try {
    certificate.key = PrivateKey::from_pem(key_pem);
  } catch (const Error& error) {
    throw error.while_doing("reading " + key_file.string());
  }
  if (!certificate.leaf.matches(*certificate.key))
    throw unreadable(key_file, "the key is not that of the certificate in " + chain_file.string());
  CertificateSpec& spec = certificate.settings.spec;
  spec.names = name_list(certificate.leaf.identifiers);
  spec.cas = {certificate.server};
  const std::string type = certificate.key->type();
  const std::vector<std::string> types = key_type_names();
  if (std::find(types.begin(), types.end(), type) != types.end()) {
    spec.key_types = {type};
  } else {
    certificate.notes.push_back("its key is of type " + type + ", which culmen does not make: the next is ec:P-256");
  }
}

bool has_wildcard(const FoundCertificate& certificate) {
  const std::vector<Identifier>& names = certificate.leaf.identifiers;
  return std::any_of(names.begin(), names.end(), [](const Identifier& name) { return name.is_wildcard(); });
}

std::string id_for(const FoundCertificate& certificate) {
  try {
    return checked_id(certificate.name);
  } catch (const Failure&) {
    const std::vector<std::string>& names = certificate.settings.spec.names;
    const bool is_name = std::find(names.begin(), names.end(), certificate.name) != names.end();
    if (is_name) return id_of(CertificateSpec({certificate.name}));
    return names.empty() ? std::string() : id_of(CertificateSpec({names.front()}));
  }
}

void renew_by_port(FoundCertificate& certificate, int port, const std::string& address) {
  certificate.settings.spec.challenge = "http-01";
  certificate.settings.host.http_port = port;
  certificate.settings.host.http_address = address;
  certificate.summary = "http-01 on port " + std::to_string(port);
}

void renew_by_tls_port(FoundCertificate& certificate, int port) {
  certificate.settings.spec.challenge = "tls-alpn-01";
  certificate.settings.host.tls_port = port;
  certificate.summary = "tls-alpn-01 on port " + std::to_string(port);
}

void renew_by_webroot(FoundCertificate& certificate, const std::string& folder) {
  certificate.settings.spec.challenge = "http-01";
  certificate.settings.host.webroot = folder;
  certificate.summary = "http-01 through " + folder;
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) certificate.notes.push_back("the web root " + folder + " is not there now");
}

void renew_by_dns(FoundCertificate& certificate, const std::string& plugin, int wait, const ImportChoices& choices) {
  certificate.settings.spec.challenge = "dns-01";
  certificate.settings.host.challenge.dns_hook = choices.dns_hook;
  certificate.settings.host.challenge.dns_wait = wait;
  certificate.summary = "dns-01";
  if (!choices.dns_hook.empty()) {
    certificate.summary += " with " + choices.dns_hook;
    return;
  }
  certificate.notes.push_back(
      "the DNS was changed by \"" + plugin +
      "\", which culmen does not have: it cannot be renewed until it has a hook (docs/dns-hooks.md). "
      "Import with --dns-hook PROGRAM, or once it is imported: " +
      edit_command(certificate, "--challenge dns-01 --dns-hook PROGRAM"));
}

void renew_as_chosen(FoundCertificate& certificate, const std::string& client, const ImportChoices& choices) {
  if (has_wildcard(certificate) || (!choices.dns_hook.empty() && choices.webroot.empty()))
    return renew_by_dns(certificate, client, 0, choices);
  if (!choices.webroot.empty()) return renew_by_webroot(certificate, choices.webroot);
  renew_by_port(certificate, 80, "");
  certificate.notes.push_back(
      client +
      " does not keep how it proved control; culmen listens on port 80 itself, which has to be free then. With a web "
      "server on it: import with --webroot FOLDER, or once it is imported: " +
      edit_command(certificate, "--webroot FOLDER"));
}

std::string edit_command(const FoundCertificate& certificate, const std::string& flags) {
  return hint("edit " + id_for(certificate) + " " + flags);
}

void take_hook(FoundCertificate& certificate, const std::string& client, const std::string& hook,
               const std::string& what, const std::string& option) {
  const std::string obstacle = obstacle_of_hook(hook);
  HostSettings& host = certificate.settings.host;
  std::vector<std::string>& hooks = option == "--pre-hook"    ? host.pre_hooks
                                    : option == "--post-hook" ? host.post_hooks
                                                              : host.deploy_hooks;
  if (obstacle.empty()) {
    if (std::find(hooks.begin(), hooks.end(), hook) == hooks.end()) hooks.push_back(hook);
    certificate.notes.push_back("culmen runs " + hook + " (" + what + ") as its " + option +
                                ": it gets CULMEN_… variables in place of those of " + client);
    return;
  }
  certificate.notes.push_back(client + " ran \"" + hook + "\" (" + what + "); culmen does not, because " + obstacle +
                              ": " + edit_command(certificate, option + " PROGRAM"));
}

std::string obstacle_of_hook(const std::string& hook) {
  if (!hook.starts_with('/')) return "it is not the absolute path of a program";
  std::error_code failed;
  const fs::path real = fs::canonical(hook, failed);
  if (failed) return "it is not the absolute path of a program";
  if (std::string obstacle = obstacle_of_program(hook); !obstacle.empty()) return obstacle;
  if (!is_ours_up_to_the_root(real) || !is_ours_up_to_the_root(fs::path(hook).lexically_normal()))
    return "others than root and this user can change it";
  return {};
}

}  // namespace culmen::cli
