// What lego keeps in its folder, read and never written:
//
//   accounts/<host>/<email>/account.json        the account's URL
//   accounts/<host>/<email>/keys/<email>.key    its key; a ':' before the port of the host is a '_'
//   certificates/<name>.crt, .key               the chain and its key; "_.example.com" is "*.example.com"
//   certificates/<name>.json                    the name, and the URL of the certificate
//   certificates/<name>.issuer.crt              the chain without the leaf
#include <algorithm>
#include <system_error>

#include "imports/reading.hpp"

namespace culmen::imports {

namespace fs = std::filesystem;

namespace {

std::string lego_host_of(const std::string& url) {
  std::string host = path_of_server(url);
  host.resize(std::min(host.find('/'), host.size()));
  std::replace(host.begin(), host.end(), ':', '_');
  return host;
}

/// The directory URL for the folder of a host; empty if it cannot be told.
std::string lego_server(const std::string& host, const ClientFolder& from) {
  if (!from.server.empty() && lego_host_of(from.server) == host) return from.server;
  return known_server(host);
}

Account read_lego_account(const fs::path& folder) {
  AccountKey key = read_account_key(folder / "keys" / (folder.filename().string() + ".key"));
  return read_registration(folder / "account.json", "registration", std::move(key));
}

void find_lego_accounts(const ClientFolder& from, std::vector<FoundAccount>& found) {
  for (const fs::path& host : entries_of(from.folder / "accounts")) {
    std::error_code ignored;
    if (!fs::is_directory(host, ignored)) continue;
    const std::string name = host.filename().string();
    std::vector<fs::path> folders;
    const std::optional<Error> failed = error_of("reading " + host.string(), [&] { folders = entries_of(host); });
    if (failed) folders = {host};
    for (const fs::path& folder : folders) {
      if (!failed && !fs::is_directory(folder, ignored)) continue;
      FoundAccount account;
      account.name = folder.filename().string();
      account.server = lego_server(name, from);
      account.wrong = failed;
      if (!account.wrong && account.server.empty()) account.wrong = unknown_ca(folder, "has the host " + name);
      if (!account.wrong)
        account.wrong = error_of("reading " + folder.string(), [&] { account.account = read_lego_account(folder); });
      if (account.server.empty()) account.server = name;
      found.push_back(std::move(account));
    }
  }
}

/// The CA of a certificate, by the URL that the certificate had there, or by the only accounts that there are.
std::string lego_server_of(const fs::path& path, const std::string& certificate_url, const ClientFolder& from,
                           const std::vector<FoundAccount>& accounts) {
  const std::string host = lego_host_of(certificate_url);
  if (!host.empty()) {
    if (std::string server = lego_server(host, from); !server.empty()) return server;
  }
  if (!from.server.empty()) return from.server;
  std::vector<std::string> servers;
  for (const FoundAccount& account : accounts) {
    if (account.account && std::find(servers.begin(), servers.end(), account.server) == servers.end())
      servers.push_back(account.server);
  }
  if (servers.size() == 1) return servers.front();
  throw unknown_ca(path, host.empty() ? "it came from" : "has the host " + host);
}

void read_lego_certificate(const ClientFolder& from, const std::string& stem, const std::vector<FoundAccount>& accounts,
                           FoundCertificate& certificate) {
  const fs::path folder = from.folder / "certificates";
  const fs::path about_file = folder / (stem + ".json"), key_file = folder / (stem + ".key"),
                 issuer_file = folder / (stem + ".issuer.crt");
  std::error_code ignored;
  std::string url;
  if (fs::exists(about_file, ignored)) url = json_text(about_file, "certUrl");
  certificate.server = lego_server_of(certificate.source, url, from, accounts);
  std::string chain = required_file(certificate.source);
  if (pem_to_der(chain).size() == 1 && fs::exists(issuer_file, ignored)) chain += "\n" + required_file(issuer_file);
  read_pair(certificate, chain, certificate.source, required_file(key_file), key_file);
  std::vector<std::string> names;
  for (const FoundAccount& account : accounts) {
    if (account.server == certificate.server) names.push_back(account.name);
  }
  if (names.size() == 1) certificate.account = names.front();
  renew_as_chosen(certificate, "lego", from);
}

}  // namespace

FoundState find_of_lego(const ClientFolder& from) {
  check_client_folder("lego", from.folder, {"certificates", "accounts"});
  FoundState found;
  find_lego_accounts(from, found.accounts);
  for (const fs::path& file : entries_of(from.folder / "certificates")) {
    const std::string name = file.filename().string();
    if (!name.ends_with(".crt") || name.ends_with(".issuer.crt")) continue;
    const std::string stem = name.substr(0, name.size() - 4);
    FoundCertificate certificate;
    certificate.name = stem.starts_with("_.") ? "*" + stem.substr(1) : stem;
    certificate.source = file;
    certificate.wrong =
        error_of("reading " + file.string(), [&] { read_lego_certificate(from, stem, found.accounts, certificate); });
    found.certificates.push_back(std::move(certificate));
  }
  return found;
}

}  // namespace culmen::imports
