// What lego keeps in its folder, read and never written:
//
//   accounts/<host>/<email>/account.json        the account's URL
//   accounts/<host>/<email>/keys/<email>.key    its key; a ':' before the port of the host is a '_'
//   certificates/<name>.crt, .key               the chain and its key; "_.example.com" is "*.example.com"
//   certificates/<name>.json                    the name, and the URL of the certificate
//   certificates/<name>.issuer.crt              the chain without the leaf
#include <algorithm>
#include <system_error>

#include "culmen/directory.hpp"
#include "found.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

std::string lego_host_of(const std::string& url) {
  std::string host = path_of_server(url);
  host.resize(std::min(host.find('/'), host.size()));
  std::replace(host.begin(), host.end(), ':', '_');
  return host;
}

/// The directory URL for the folder of a host; empty if it cannot be told.
std::string lego_server(const std::string& host, const ImportChoices& choices) {
  if (!choices.server.empty() && lego_host_of(choices.server) == host) return choices.server;
  return known_server(host);
}

Error lego_server_missing(const fs::path& path, const std::string& host) {
  return unreadable(
      path, "it is not known which CA has the host " + host + ": say so with --server URL, the URL of its directory");
}

Account read_lego_account(const fs::path& folder) {
  const fs::path about_file = folder / "account.json";
  const JsonObject about = required_json(about_file);
  const JsonObject registration = about.object("registration");
  const std::string url = registration.text("uri");
  if (!url.starts_with("https://") && !url.starts_with("http://"))
    throw unreadable(about_file, "its \"uri\" is not the URL of an account");
  const fs::path key_file = folder / "keys" / (folder.filename().string() + ".key");
  const std::string pem = required_file(key_file);
  try {
    Account account(url, AccountKey::from_pem(pem));
    account.contacts = registration.object("body").texts("contact");
    return account;
  } catch (const Error& error) {
    throw error.while_doing("reading " + key_file.string());
  }
}

void find_lego_accounts(const ImportChoices& choices, std::vector<FoundAccount>& found) {
  for (const fs::path& host : entries_of(choices.from / "accounts")) {
    std::error_code ignored;
    if (!fs::is_directory(host, ignored)) continue;
    const std::string name = host.filename().string();
    std::vector<fs::path> folders;
    const std::optional<Error> failed = error_of("reading " + host.string(), [&] { folders = entries_of(host); });
    if (failed) folders = {host};
    for (const fs::path& folder : folders) {
      if (!failed && !fs::is_directory(folder, ignored)) continue;
      FoundAccount account;
      account.id = folder.filename().string();
      account.server = lego_server(name, choices);
      account.wrong = failed;
      if (!account.wrong && account.server.empty()) account.wrong = lego_server_missing(folder, name);
      if (!account.wrong)
        account.wrong = error_of("reading " + folder.string(), [&] { account.account = read_lego_account(folder); });
      if (account.server.empty()) account.server = name;
      found.push_back(std::move(account));
    }
  }
}

/// The CA of a certificate, by the URL that the certificate had there, or by the only accounts that there are.
std::string lego_server_of(const fs::path& path, const std::string& certificate_url, const ImportChoices& choices,
                           const std::vector<FoundAccount>& accounts) {
  const std::string host = lego_host_of(certificate_url);
  if (!host.empty()) {
    if (std::string server = lego_server(host, choices); !server.empty()) return server;
  }
  if (!choices.server.empty()) return choices.server;
  std::vector<std::string> servers;
  for (const FoundAccount& account : accounts) {
    if (account.account && std::find(servers.begin(), servers.end(), account.server) == servers.end())
      servers.push_back(account.server);
  }
  if (servers.size() == 1) return servers.front();
  throw lego_server_missing(path, host.empty() ? "that it came from" : host);
}

void read_lego_certificate(const ImportChoices& choices, const std::string& stem,
                           const std::vector<FoundAccount>& accounts, FoundCertificate& certificate) {
  const fs::path folder = choices.from / "certificates";
  const fs::path about_file = folder / (stem + ".json"), key_file = folder / (stem + ".key"),
                 issuer_file = folder / (stem + ".issuer.crt");
  std::error_code ignored;
  std::string url;
  if (fs::exists(about_file, ignored)) url = required_json(about_file).text("certUrl");
  certificate.server = lego_server_of(certificate.source, url, choices, accounts);
  std::string chain = required_file(certificate.source);
  if (pem_to_der(chain).size() == 1 && fs::exists(issuer_file, ignored)) chain += "\n" + required_file(issuer_file);
  read_pair(certificate, chain, certificate.source, required_file(key_file), key_file);
  std::vector<std::string> ids;
  for (const FoundAccount& account : accounts) {
    if (account.server == certificate.server) ids.push_back(account.id);
  }
  if (ids.size() == 1) certificate.account_id = ids.front();
  renew_as_chosen(certificate, "lego", choices);
}

}  // namespace

Found find_of_lego(const ImportChoices& choices) {
  check_client_folder("lego", choices.from, {"certificates", "accounts"});
  Found found;
  find_lego_accounts(choices, found.accounts);
  std::stable_sort(found.accounts.begin(), found.accounts.end(),
                   [](const FoundAccount& a, const FoundAccount& b) { return a.server < b.server; });
  for (const fs::path& file : entries_of(choices.from / "certificates")) {
    const std::string name = file.filename().string();
    if (!name.ends_with(".crt") || name.ends_with(".issuer.crt")) continue;
    const std::string stem = name.substr(0, name.size() - 4);
    FoundCertificate certificate;
    certificate.name = stem.starts_with("_.") ? "*" + stem.substr(1) : stem;
    certificate.source = file;
    certificate.wrong = error_of("reading " + file.string(),
                                 [&] { read_lego_certificate(choices, stem, found.accounts, certificate); });
    found.certificates.push_back(std::move(certificate));
  }
  found.end_of_other_renewals = "remove the crontab line or the timer that runs lego renew";
  return found;
}

}  // namespace culmen::cli
