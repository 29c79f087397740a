#include "imports/reading.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <system_error>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "culmen/atomic_file.hpp"
#include "culmen/directory.hpp"
#include "culmen/program.hpp"

namespace culmen::imports {

namespace fs = std::filesystem;
using Remedy = ImportNote::Remedy;

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

boost::json::object required_json(const fs::path& path) {
  boost::system::error_code failed;
  boost::json::value value = boost::json::parse(required_file(path), failed);
  if (failed || !value.is_object()) throw unreadable(path, "it is not a JSON object");
  return std::move(value.get_object());
}

std::string text_of(const boost::json::object& object, std::string_view member) {
  const boost::json::value* const found = object.if_contains(member);
  return found && found->is_string() ? std::string(found->get_string()) : std::string();
}

/// The object in a member; an empty one if there is none.
boost::json::object object_of(const boost::json::object& object, std::string_view member) {
  const boost::json::value* const found = object.if_contains(member);
  return found && found->is_object() ? found->get_object() : boost::json::object();
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
  if (failed && failed != std::errc::no_such_file_or_directory) throw unreadable(folder, failed.message());
  throw Error(Errc::not_found, "looking for the files of " + client,
              folder.string() + " is not " + client + "'s folder: there is " + names + " in it");
}

Error unreadable(const fs::path& path, const std::string& why) {
  return Error(Errc::io_failed, "reading " + path.string(), why);
}

Error unknown_ca(const fs::path& path, const std::string& what) {
  return Error(Errc::not_found, "reading " + path.string(), "it is not known which CA " + what);
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
    return error;
  } catch (const std::exception& thrown) {
    return Error(Errc::io_failed, doing, thrown.what());
  }
  return std::nullopt;
}

std::string json_text(const fs::path& file, std::string_view member) { return text_of(required_json(file), member); }

Account read_registration(const fs::path& file, std::string_view below, AccountKey key) {
  const boost::json::object whole = required_json(file);
  const boost::json::object about = below.empty() ? whole : object_of(whole, below);
  Account account(text_of(about, "uri"), std::move(key));
  if (!account.url.starts_with("https://") && !account.url.starts_with("http://"))
    throw unreadable(file, "its \"uri\" is not the URL of an account");
  const boost::json::object body = object_of(about, "body");
  const boost::json::value* const contacts = body.if_contains("contact");
  if (!contacts || !contacts->is_array()) return account;
  for (const boost::json::value& contact : contacts->get_array()) {
    if (contact.is_string()) account.contacts.emplace_back(contact.get_string());
  }
  return account;
}

AccountKey read_account_key(const fs::path& file) {
  const std::string text = required_file(file);
  try {
    return file.extension() == ".json" ? AccountKey::from_jwk(text) : AccountKey::from_pem(text);
  } catch (const Error& error) {
    throw error.while_doing("reading " + file.string());
  }
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
  certificate.chain_pem.clear();
  try {
    const std::vector<Certificate> chain = read_chain(chain_pem);
    certificate.leaf = chain.front();
    for (const Certificate& one : chain) certificate.chain_pem += der_to_pem(one.der);
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
  CertificateSpec& spec = certificate.spec;
  for (const Identifier& name : certificate.leaf.identifiers) spec.names.push_back(name.value);
  spec.cas = {certificate.server};
  const std::string type = certificate.key->type();
  const std::vector<std::string> types = key_type_names();
  if (std::find(types.begin(), types.end(), type) != types.end()) {
    spec.key_types = {type};
  } else {
    certificate.notes.emplace_back("its key is of type " + type + ", which culmen does not make: the next is ec:P-256");
  }
}

bool has_wildcard(const FoundCertificate& certificate) {
  return std::ranges::any_of(certificate.leaf.identifiers, &Identifier::is_wildcard);
}

int number_in(const std::string& text, int least, int most, int otherwise) {
  int number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, failed] = std::from_chars(text.data(), end, number);
  return failed == std::errc() && stopped == end && number >= least && number <= most ? number : otherwise;
}

void renew_by_port(FoundCertificate& certificate, int port, const std::string& address) {
  certificate.spec.challenge = "http-01";
  certificate.host.http_port = port;
  certificate.host.http_address = address;
}

void renew_by_tls_port(FoundCertificate& certificate, int port) {
  certificate.spec.challenge = "tls-alpn-01";
  certificate.host.tls_port = port;
}

void renew_by_webroot(FoundCertificate& certificate, const std::string& folder) {
  certificate.spec.challenge = "http-01";
  certificate.host.webroot = folder;
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) certificate.notes.emplace_back("the web root " + folder + " is not there now");
}

void renew_by_dns(FoundCertificate& certificate, const std::string& plugin, int wait, const ClientFolder& from) {
  certificate.spec.challenge = "dns-01";
  certificate.host.dns_hook = from.dns_hook;
  certificate.host.dns_wait = std::chrono::seconds(wait);
  if (!from.dns_hook.empty()) return;
  certificate.notes.emplace_back("the DNS was changed by \"" + plugin +
                                     "\", which culmen does not have: it cannot be renewed until it has a hook "
                                     "(docs/dns-hooks.md)",
                                 Remedy::dns_hook);
}

void renew_as_chosen(FoundCertificate& certificate, const std::string& client, const ClientFolder& from) {
  if (has_wildcard(certificate) || (!from.dns_hook.empty() && from.webroot.empty()))
    return renew_by_dns(certificate, client, 0, from);
  if (!from.webroot.empty()) return renew_by_webroot(certificate, from.webroot);
  renew_by_port(certificate, 80, "");
  certificate.notes.push_back(note_of_port(client + " does not keep how it proved control"));
}

ImportNote note_of_port(const std::string& why) {
  return ImportNote(why + "; culmen listens on port 80 itself, which has to be free then", Remedy::webroot);
}

void take_hook(FoundCertificate& certificate, const std::string& client, const std::string& hook,
               const std::string& what, Remedy kind) {
  if (const std::string obstacle = obstacle_of_hook(hook); !obstacle.empty()) {
    certificate.notes.emplace_back(
        client + " ran \"" + hook + "\" (" + what + "); culmen does not, because " + obstacle, kind);
    return;
  }
  FoundHostPart& host = certificate.host;
  const bool is_pre = kind == Remedy::pre_hook, is_post = kind == Remedy::post_hook;
  std::vector<std::string>& hooks = is_pre ? host.pre_hooks : is_post ? host.post_hooks : host.deploy_hooks;
  if (std::find(hooks.begin(), hooks.end(), hook) == hooks.end()) hooks.push_back(hook);
  certificate.notes.emplace_back("culmen runs " + hook + " (" + what + ") as its " +
                                 (is_pre    ? "pre-hook"
                                  : is_post ? "post-hook"
                                            : "deploy hook") +
                                 ": it gets CULMEN_… variables in place of those of " + client);
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

}  // namespace culmen::imports
