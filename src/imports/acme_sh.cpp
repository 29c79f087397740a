// What acme.sh keeps in its folder, read and never written:
//
//   ca/<host>/<path>/account.key, ca.conf     the account's key, and its URL; the host has no port
//   <name>/, <name>_ecc/                      <name>.conf, <name>.key, fullchain.cer
#include <algorithm>
#include <map>
#include <system_error>

#include "base/base64.hpp"
#include "culmen/directory.hpp"
#include "imports/reading.hpp"

namespace culmen::imports {

namespace fs = std::filesystem;
using Remedy = ImportNote::Remedy;

namespace {

constexpr int deepest_acme_sh_path = 8;

/// One of its .conf files: lines of a shell, "Name='value'".
class ShellConf {
 public:
  explicit ShellConf(const fs::path& path) {
    const std::string text = required_file(path);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find('\n', at), text.size());
      std::string_view line = std::string_view(text).substr(at, end - at);
      at = end + 1;
      if (line.ends_with('\r')) line.remove_suffix(1);
      const std::size_t equals = line.find('=');
      if (line.starts_with('#') || equals == std::string_view::npos) continue;
      values_.insert_or_assign(std::string(line.substr(0, equals)), unquoted(line.substr(equals + 1)));
    }
  }

  /// Empty if there is none; "no" stays.
  std::string text(const std::string& name) const {
    const auto found = values_.find(name);
    return found == values_.end() ? std::string() : found->second;
  }
  int number(const std::string& name, int least, int most, int otherwise) const {
    return number_in(text(name), least, most, otherwise);
  }

 private:
  static std::string unquoted(std::string_view value) {
    constexpr std::string_view start = "__ACME_BASE64__START_", end = "__ACME_BASE64__END_";
    const bool is_quoted = value.size() >= 2 && (value.front() == '\'' || value.front() == '"');
    if (is_quoted && value.back() == value.front()) value = value.substr(1, value.size() - 2);
    if (!value.starts_with(start) || !value.ends_with(end) || value.size() < start.size() + end.size())
      return std::string(value);
    const std::string_view encoded = value.substr(start.size(), value.size() - start.size() - end.size());
    const std::optional<Bytes> octets = base::base64_decode_lenient(encoded);
    return octets ? std::string(octets->begin(), octets->end()) : std::string(encoded);
  }

  std::map<std::string, std::string> values_;
};

/// A directory URL as the path below ca/: without its port.
std::string acme_sh_path_of(const std::string& url) {
  const std::string path = path_of_server(url);
  const std::size_t slash = std::min(path.find('/'), path.size());
  return path.substr(0, std::min(path.find(':'), slash)) + path.substr(slash);
}

// ---- Accounts ----

Account read_acme_sh_account(const fs::path& folder) {
  std::error_code ignored;
  std::string url;
  if (fs::exists(folder / "ca.conf", ignored)) url = ShellConf(folder / "ca.conf").text("ACCOUNT_URL");
  return Account(url, read_account_key(folder / "account.key"));
}

class AcmeShAccounts {
 public:
  AcmeShAccounts(std::map<std::string, std::string> urls, std::vector<FoundAccount>& found)
      : urls_(std::move(urls)), found_(found) {}

  void below(const fs::path& folder, const std::string& path, int depth) {
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(folder / "account.key", ignored))) add(folder, path);
    std::vector<fs::path> entries;
    const std::optional<Error> failed = error_of("reading " + folder.string(), [&] { entries = entries_of(folder); });
    if (failed) add(folder, path, failed);
    for (const fs::path& entry : entries) {
      const std::string name = entry.filename().string();
      if (depth < deepest_acme_sh_path && fs::is_directory(entry, ignored))
        below(entry, path.empty() ? name : path + "/" + name, depth + 1);
    }
  }

 private:
  void add(const fs::path& folder, const std::string& path, std::optional<Error> wrong = std::nullopt) {
    FoundAccount account;
    account.name = path;
    const auto known = urls_.find(path);
    account.server = known == urls_.end() ? path : known->second;
    account.wrong = std::move(wrong);
    if (!account.wrong && known == urls_.end()) account.wrong = unknown_ca(folder, path + " is");
    if (!account.wrong)
      account.wrong = error_of("reading " + folder.string(), [&] { account.account = read_acme_sh_account(folder); });
    found_.push_back(std::move(account));
  }

  std::map<std::string, std::string> urls_;
  std::vector<FoundAccount>& found_;
};

// ---- Certificates ----

void map_acme_sh_challenge(const ShellConf& conf, const ClientFolder& from, FoundCertificate& certificate) {
  std::vector<std::string> ways;
  const std::string all = certificate.authenticator;
  for (std::size_t at = 0; at <= all.size();) {
    const std::size_t end = std::min(all.find(',', at), all.size());
    if (end > at) ways.push_back(all.substr(at, end - at));
    at = end + 1;
  }
  const std::string way = ways.empty() ? "no" : ways.front();
  const auto dns =
      std::find_if(ways.begin(), ways.end(), [](const std::string& one) { return one.starts_with("dns"); });
  if (has_wildcard(certificate) || dns != ways.end()) {
    const std::string alias = conf.text("Le_ChallengeAlias");
    if (!alias.empty() && alias != "no")
      certificate.notes.emplace_back("acme.sh changed " + alias +
                                     " instead, to which a CNAME leads: the hook has to, too");
    return renew_by_dns(certificate, dns == ways.end() ? way : *dns, conf.number("Le_DNSSleep", 0, 86400, 0), from);
  }
  if (way == "alpn" || way == "tls") return renew_by_tls_port(certificate, conf.number("Le_TLSPort", 1, 65535, 443));
  if (way != "no" && (!from.webroot.empty() || way.starts_with('/'))) {
    renew_by_webroot(certificate, from.webroot.empty() ? way : from.webroot);
    if (std::any_of(ways.begin(), ways.end(), [&way](const std::string& other) { return other != way; })) {
      certificate.notes.emplace_back("acme.sh used several ways for it (" + all + "); culmen uses " +
                                     certificate.host.webroot + " for all of its names");
    }
    return;
  }
  if (way != "no") certificate.notes.push_back(note_of_port("acme.sh had \"" + way + "\" answer the CA"));
  const std::string address = conf.text("Le_LocalAddress");
  renew_by_port(certificate, conf.number("Le_HTTPPort", 1, 65535, 80), address == "no" ? std::string() : address);
}

/// Where acme.sh installed it.
void map_acme_sh_outputs(const ShellConf& conf, FoundCertificate& certificate) {
  for (const auto& [member, path] : {std::pair("Le_RealFullChainPath", &certificate.host.chain_file),
                                     std::pair("Le_RealKeyPath", &certificate.host.key_file)}) {
    if (conf.text(member).starts_with('/')) *path = conf.text(member);
  }
  for (const auto& [member, file] :
       {std::pair("Le_RealCertPath", "cert.pem"), std::pair("Le_RealCACertPath", "chain.pem")}) {
    if (const std::string path = conf.text(member); path.starts_with('/')) {
      certificate.notes.emplace_back("acme.sh wrote " + path + ", which culmen does not: read live/" + file +
                                     " in the folder of the certificate");
    }
  }
}

void read_acme_sh_certificate(const ClientFolder& from, const fs::path& folder, const ShellConf& conf,
                              const std::string& base, FoundCertificate& certificate) {
  const fs::path chain_file = folder / "fullchain.cer", key_file = folder / (base + ".key");
  read_pair(certificate, required_file(chain_file), chain_file, required_file(key_file), key_file);
  map_acme_sh_challenge(conf, from, certificate);
  map_acme_sh_outputs(conf, certificate);
  CertificateSpec& spec = certificate.spec;
  spec.reuse_key = conf.text("Le_ForceNewDomainKey") != "1";  // acme.sh keeps the key by default
  spec.must_staple = conf.text("Le_OCSP_Staple") == "1";
  spec.preferred_chain = conf.text("Le_Preferred_Chain");
  for (const auto& [member, kind] :
       {std::pair("Le_PreHook", Remedy::pre_hook), std::pair("Le_PostHook", Remedy::post_hook),
        std::pair("Le_RenewHook", Remedy::deploy_hook), std::pair("Le_ReloadCmd", Remedy::deploy_hook)}) {
    const std::string hook = conf.text(member);
    if (!hook.empty() && hook != "no") take_hook(certificate, "acme.sh", hook, member, kind);
  }
}

std::string acme_sh_server(const ShellConf& conf, const ClientFolder& from) {
  const std::string url = conf.text("Le_API");
  if (url.starts_with("https://") || url.starts_with("http://")) return url;
  return from.server.empty() ? resolve_directory_url("letsencrypt") : from.server;
}

}  // namespace

FoundState find_of_acme_sh(const ClientFolder& from) {
  check_client_folder("acme.sh", from.folder, {"ca"});
  FoundState found;
  std::map<std::string, std::string> urls;
  for (const KnownCa& ca : known_cas()) {
    const std::string url(ca.directory_url);
    urls.emplace(acme_sh_path_of(url), url);
  }
  for (const fs::path& folder : entries_of(from.folder)) {
    const std::string name = folder.filename().string();
    const bool is_ecc = name.ends_with("_ecc");
    const std::string base = is_ecc ? name.substr(0, name.size() - 4) : name;
    std::error_code ignored;
    if (!fs::exists(folder / (base + ".conf"), ignored)) continue;
    FoundCertificate certificate;
    // Both may be there, with a key of either kind.
    certificate.name = is_ecc && !fs::exists(from.folder / base / (base + ".conf"), ignored) ? base : name;
    certificate.source = folder / (base + ".conf");
    certificate.wrong = error_of("reading " + certificate.source.string(), [&] {
      const ShellConf conf(certificate.source);
      certificate.server = acme_sh_server(conf, from);
      certificate.account = acme_sh_path_of(certificate.server);
      certificate.authenticator = conf.text("Le_Webroot");
      urls.insert_or_assign(certificate.account, certificate.server);
      read_acme_sh_certificate(from, folder, conf, base, certificate);
    });
    found.certificates.push_back(std::move(certificate));
  }
  if (!from.server.empty()) urls.insert_or_assign(acme_sh_path_of(from.server), from.server);
  AcmeShAccounts(std::move(urls), found.accounts).below(from.folder / "ca", "", 0);
  return found;
}

}  // namespace culmen::imports
