#include "certbot_folder.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <system_error>

#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/directory.hpp"
#include "files.hpp"
#include "json_object.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

constexpr int deepest_server_path = 8;

Error unreadable(const fs::path& path, const std::string& why) {
  return Error(Errc::io_failed, "reading " + path.string(), why);
}

std::string required_file(const fs::path& path) {
  auto text = read_file(path);
  if (!text) throw unreadable(path, "there is no such file, or the link leads nowhere");
  return std::move(*text);
}

JsonObject required_json(const fs::path& path) {
  auto object = JsonObject::parse(required_file(path));
  if (!object) throw unreadable(path, "it is not a JSON object");
  return std::move(*object);
}

/// In the order of their names; none when there is no such folder.
std::vector<fs::path> entries(const fs::path& folder) {
  std::error_code failed;
  std::vector<fs::path> found;
  fs::directory_iterator at(folder, failed);
  if (failed == std::errc::no_such_file_or_directory) return found;
  for (; !failed && at != fs::directory_iterator(); at.increment(failed)) found.push_back(at->path());
  if (failed) throw unreadable(folder, failed.message());
  std::sort(found.begin(), found.end());
  return found;
}

/// certbot has the same account for both versions of these, and renews with the newer.
std::string newest_url(const std::string& url) {
  if (url == "https://acme-v01.api.letsencrypt.org/directory") return resolve_directory_url("letsencrypt");
  if (url == "https://acme-staging.api.letsencrypt.org/directory") return resolve_directory_url("letsencrypt-staging");
  return url;
}

/// "https://host/path/" as certbot's folder has it: "host/path".
std::string path_of_server(std::string_view url) {
  if (const auto start = url.find("://"); start != std::string_view::npos) url.remove_prefix(start + 3);
  while (url.ends_with('/')) url.remove_suffix(1);
  return std::string(url);
}

bool is_account_folder(const fs::path& folder) {
  std::error_code ignored;
  for (const char* file : {"private_key.json", "regr.json", "meta.json"}) {
    if (fs::exists(fs::symlink_status(folder / file, ignored))) return true;
  }
  return false;
}

void find_accounts(const fs::path& folder, const std::string& server_path, int depth,
                   const std::map<std::string, std::string>& urls, std::vector<CertbotAccount>& found) {
  for (const fs::path& entry : entries(folder)) {
    std::error_code ignored;
    if (!fs::is_directory(entry, ignored)) continue;
    const std::string name = entry.filename().string();
    if (is_account_folder(entry)) {
      const auto known = urls.find(server_path);
      const std::string url = newest_url(known == urls.end() ? "https://" + server_path : known->second);
      const bool seen = std::any_of(found.begin(), found.end(), [&](const CertbotAccount& other) {
        return other.id == name && other.server == url;  // certbot links from one version of a server to the next
      });
      if (!seen) found.push_back(CertbotAccount{name, url, entry});
    } else if (depth < deepest_server_path) {
      find_accounts(entry, server_path.empty() ? name : server_path + "/" + name, depth + 1, urls, found);
    }
  }
}

}  // namespace

Account CertbotAccount::read() const {
  const fs::path key_file = folder / "private_key.json", regr_file = folder / "regr.json";
  const std::string jwk = required_file(key_file);
  std::optional<AccountKey> key;
  try {
    key = AccountKey::from_jwk(jwk);
  } catch (const Error& error) {
    throw error.while_doing("reading " + key_file.string());
  }
  const JsonObject regr = required_json(regr_file);
  std::string url = regr.text("uri");
  if (!url.starts_with("https://") && !url.starts_with("http://")) {
    throw unreadable(regr_file, "its \"uri\" is not the URL of an account");
  }
  Account account(std::move(url), std::move(*key));
  account.contacts = regr.object("body").texts("contact");
  return account;
}

void check_certbot_folder(const fs::path& folder) {
  std::error_code failed;
  const bool there = fs::is_directory(folder, failed);
  for (const char* part : {"renewal", "accounts"}) {
    if (there && fs::is_directory(folder / part, failed)) return;
  }
  if (failed && failed != std::errc::no_such_file_or_directory) {
    throw Failure(exit_failed, "io_failed", "cannot read " + folder.string() + ": " + failed.message(),
                  "certbot's folder is for root alone: run this as root, or on a copy that you may read.");
  }
  throw Failure(exit_failed, "not_found",
                folder.string() + " is not certbot's folder: there is no \"renewal\" and no \"accounts\" in it",
                "Say where it is with --from FOLDER.");
}

std::vector<CertbotAccount> certbot_accounts(const fs::path& folder) {
  // The folder's name has lost the scheme and a slash at the end; who names the server tells.
  std::map<std::string, std::string> urls;
  for (const KnownCa& ca : known_cas()) urls.emplace(path_of_server(ca.directory_url), ca.directory_url);
  for (const std::string& name : certbot_names(folder)) {
    try {
      const std::string url = server_of(read_renewal_conf(folder, name));
      urls.insert_or_assign(path_of_server(url), url);
    } catch (const Error&) {
      // Reported where the certificate is looked at.
    }
  }
  std::vector<CertbotAccount> found;
  find_accounts(folder / "accounts", "", 0, urls, found);
  std::stable_sort(found.begin(), found.end(),
                   [](const CertbotAccount& a, const CertbotAccount& b) { return a.server < b.server; });
  return found;
}

std::vector<std::string> certbot_names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& entry : entries(folder / "renewal")) {
    if (entry.extension() == ".conf") names.push_back(entry.stem().string());
  }
  return names;
}

RenewalConf read_renewal_conf(const fs::path& folder, const std::string& name) {
  const fs::path path = folder / "renewal" / (name + ".conf");
  RenewalConf conf = RenewalConf::parse(required_file(path), path);
  if (conf.text("authenticator").empty()) {
    throw unreadable(path, "it does not name an authenticator in [renewalparams]");
  }
  return conf;
}

CertbotCertificate read_certificate(const fs::path& folder, const std::string& name, RenewalConf conf) {
  fs::path live = folder / "live" / name;
  std::error_code ignored;
  // A copy of the folder is what it is; only where it has none, the files are where certbot says.
  if (const fs::path elsewhere = conf.top_text("fullchain"); !fs::exists(live, ignored) && elsewhere.is_absolute()) {
    live = elsewhere.parent_path();
  }
  const fs::path chain_file = live / "fullchain.pem", key_file = live / "privkey.pem";
  const std::string chain_text = required_file(chain_file), key_text = required_file(key_file);
  std::string fullchain;
  Certificate leaf;
  std::optional<PrivateKey> key;
  try {
    const std::vector<Certificate> chain = read_chain(chain_text);
    leaf = chain.front();
    for (const Certificate& certificate : chain) fullchain += der_to_pem(certificate.der);
  } catch (const Error& error) {
    throw error.while_doing("reading " + chain_file.string());
  }
  if (leaf.identifiers.empty()) throw unreadable(chain_file, "its certificate has no names");
  try {
    key = PrivateKey::from_pem(key_text);
  } catch (const Error& error) {
    throw error.while_doing("reading " + key_file.string());
  }
  if (!leaf.matches(*key))
    throw unreadable(key_file, "the key is not that of the certificate in " + chain_file.string());
  std::string server = server_of(conf), account_id = conf.text("account");
  return CertbotCertificate{
      name,           std::move(conf), std::move(server), std::move(account_id), std::move(fullchain), std::move(leaf),
      std::move(*key)};
}

std::string server_of(const RenewalConf& conf) {
  const std::string url = conf.text("server");
  return url.empty() ? resolve_directory_url("letsencrypt") : newest_url(url);
}

}  // namespace culmen::cli
