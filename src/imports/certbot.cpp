// What certbot keeps in its folder, read and never written:
//
//   accounts/<host>/<path>/<id>/        private_key.json (a JWK), regr.json (the account's URL), meta.json
//   renewal/<name>.conf                 how the certificate is renewed
//   renewal-hooks/{pre,deploy,post}/    programs that are run for each certificate
//   live/<name>/                        privkey.pem, fullchain.pem: links into archive/
#include <algorithm>
#include <map>
#include <system_error>

#include "culmen/directory.hpp"
#include "imports/reading.hpp"
#include "imports/renewal_conf.hpp"

namespace culmen::imports {

namespace fs = std::filesystem;
using Remedy = ImportNote::Remedy;

namespace {

constexpr int deepest_server_path = 8;

/// certbot has the same account for both versions of these, and renews with the newer.
std::string newest_url(const std::string& url) {
  if (url == "https://acme-v01.api.letsencrypt.org/directory") return resolve_directory_url("letsencrypt");
  if (url == "https://acme-staging.api.letsencrypt.org/directory") return resolve_directory_url("letsencrypt-staging");
  return url;
}

// ---- Accounts ----

bool is_certbot_account(const fs::path& folder) {
  std::error_code ignored;
  for (const char* file : {"private_key.json", "regr.json", "meta.json"}) {
    if (fs::exists(fs::symlink_status(folder / file, ignored))) return true;
  }
  return false;
}

Account read_certbot_account(const fs::path& folder) {
  AccountKey key = read_account_key(folder / "private_key.json");
  return read_registration(folder / "regr.json", "", std::move(key));
}

class AccountSearch {
 public:
  AccountSearch(std::map<std::string, std::string> urls, std::vector<FoundAccount>& found)
      : urls_(std::move(urls)), found_(found) {}

  void below(const fs::path& folder, const std::string& server_path, int depth) {
    std::vector<fs::path> entries;
    const std::optional<Error> failed = error_of("reading " + folder.string(), [&] { entries = entries_of(folder); });
    if (failed) {
      FoundAccount account;
      account.name = folder.filename().string();
      account.server = url_of(server_path);
      account.wrong = failed;
      found_.push_back(std::move(account));
      return;
    }
    for (const fs::path& entry : entries) {
      std::error_code ignored;
      if (!fs::is_directory(entry, ignored)) continue;
      const std::string name = entry.filename().string();
      if (is_certbot_account(entry)) {
        add(entry, name, url_of(server_path));
      } else if (depth < deepest_server_path) {
        below(entry, server_path.empty() ? name : server_path + "/" + name, depth + 1);
      }
    }
  }

 private:
  std::string url_of(const std::string& server_path) const {
    const auto known = urls_.find(server_path);
    return newest_url(known == urls_.end() ? "https://" + server_path : known->second);
  }

  void add(const fs::path& folder, const std::string& name, const std::string& url) {
    const bool seen = std::any_of(found_.begin(), found_.end(), [&](const FoundAccount& other) {
      return other.name == name && other.server == url;  // certbot links from one version of a server to the next
    });
    if (seen) return;
    FoundAccount account;
    account.name = name;
    account.server = url;
    account.wrong = error_of("reading " + folder.string(), [&] { account.account = read_certbot_account(folder); });
    found_.push_back(std::move(account));
  }

  std::map<std::string, std::string> urls_;
  std::vector<FoundAccount>& found_;
};

// ---- Certificates ----

std::string server_of(const RenewalConf& conf) {
  const std::string url = conf.text("server");
  return url.empty() ? resolve_directory_url("letsencrypt") : newest_url(url);
}

void map_certbot_webroot(const RenewalConf& conf, const std::string& folder, FoundCertificate& certificate) {
  renew_by_webroot(certificate, folder);
  const std::vector<std::string> map = conf.texts_below("webroot_map");
  if (std::any_of(map.begin(), map.end(), [&folder](const std::string& other) { return other != folder; })) {
    certificate.notes.emplace_back(
        "certbot used several web roots for it; culmen uses " + folder +
        " for all of its names: see that this answers for each, or issue one certificate for each root");
  }
}

void map_certbot_http(const RenewalConf& conf, const ClientFolder& from, FoundCertificate& certificate) {
  const std::string& authenticator = certificate.authenticator;
  if (!from.webroot.empty() && authenticator != "standalone")
    return map_certbot_webroot(conf, from.webroot, certificate);
  if (authenticator == "webroot") {
    std::vector<std::string> roots = conf.texts("webroot_path");
    for (std::string& root : conf.texts_below("webroot_map")) roots.push_back(std::move(root));
    if (!roots.empty()) return map_certbot_webroot(conf, roots.front(), certificate);
    certificate.notes.push_back(note_of_port("certbot's file names no web root"));
  } else if (authenticator != "standalone") {
    certificate.notes.push_back(note_of_port("certbot had \"" + authenticator + "\" answer the CA"));
  }
  renew_by_port(certificate, number_in(conf.text("http01_port"), 1, 65535, 80), conf.text("http01_address"));
}

void map_certbot(const RenewalConf& conf, const ClientFolder& from, FoundCertificate& certificate) {
  const std::string& authenticator = certificate.authenticator;
  const bool is_dns = authenticator.find("dns") != std::string::npos || conf.text("pref_challs").starts_with("dns");
  if (has_wildcard(certificate) || is_dns) {
    std::string member = authenticator.substr(authenticator.rfind(':') + 1) + "_propagation_seconds";
    std::replace(member.begin(), member.end(), '-', '_');
    renew_by_dns(certificate, authenticator, number_in(conf.text(member), 0, 86400, 0), from);
  } else {
    map_certbot_http(conf, from, certificate);
  }
  CertificateSpec& spec = certificate.spec;
  spec.preferred_chain = conf.text("preferred_chain");
  spec.profile = conf.text("preferred_profile");
  if (const std::string profile = conf.text("required_profile"); !profile.empty()) {
    spec.profile = profile;
    spec.profile_required = true;
  }
  spec.must_staple = conf.flag("must_staple");
  spec.allow_subset = conf.flag("allow_subset_of_names");
  spec.reuse_key = conf.flag("reuse_key");
}

void read_certbot_pair(const fs::path& folder, const RenewalConf& conf, FoundCertificate& certificate) {
  fs::path live = folder / "live" / certificate.name;
  std::error_code ignored;
  // A copy of the folder is what it is; only where it has none, the files are where certbot says.
  if (const fs::path elsewhere = conf.top_text("fullchain"); !fs::exists(live, ignored) && elsewhere.is_absolute())
    live = elsewhere.parent_path();
  const fs::path chain_file = live / "fullchain.pem", key_file = live / "privkey.pem";
  read_pair(certificate, required_file(chain_file), chain_file, required_file(key_file), key_file);
}

/// Programs in renewal-hooks/, which certbot runs for each certificate.
struct FolderHooks {
  FolderHooks() = default;
  std::vector<std::pair<Remedy, std::string>> taken;
  std::vector<ImportNote> notes;
};

FolderHooks read_folder_hooks(const fs::path& certbot) {
  FolderHooks hooks;
  for (const auto& [name, kind] : {std::pair("pre", Remedy::pre_hook), std::pair("deploy", Remedy::deploy_hook),
                                   std::pair("post", Remedy::post_hook)}) {
    const fs::path folder = certbot / "renewal-hooks" / name;
    const auto leave = [&, kind = kind](const std::string& text) {
      hooks.notes.emplace_back("certbot ran what is in " + folder.string() + "; culmen does not run " + text, kind);
    };
    std::vector<fs::path> files;
    const std::optional<Error> failed = error_of("reading " + folder.string(), [&] { files = entries_of(folder); });
    if (failed) leave("it, because it cannot be read: " + failed->detail());
    for (const fs::path& file : files) {
      if (file.string().ends_with('~')) continue;  // certbot leaves these alone
      const std::string obstacle = obstacle_of_hook(file.string());
      if (obstacle.empty()) {
        hooks.taken.emplace_back(kind, file.string());
      } else {
        leave(file.filename().string() + " (" + obstacle + ")");
      }
    }
  }
  return hooks;
}

FoundCertificate read_certbot_certificate(const ClientFolder& from, const std::string& name, const FolderHooks& hooks) {
  FoundCertificate certificate;
  certificate.name = name;
  certificate.source = from.folder / "renewal" / (name + ".conf");
  certificate.wrong = error_of("reading " + certificate.source.string(), [&] {
    const RenewalConf conf = RenewalConf::parse(required_file(certificate.source), certificate.source);
    certificate.authenticator = conf.text("authenticator");
    if (certificate.authenticator.empty())
      throw unreadable(certificate.source, "it does not name an authenticator in [renewalparams]");
    certificate.server = server_of(conf);
    certificate.account = conf.text("account");
    read_certbot_pair(from.folder, conf, certificate);
    map_certbot(conf, from, certificate);
    for (const auto& [member, kind] :
         {std::pair("pre_hook", Remedy::pre_hook), std::pair("post_hook", Remedy::post_hook),
          std::pair("renew_hook", Remedy::deploy_hook)}) {
      const std::string hook = conf.text(member);
      if (!hook.empty()) take_hook(certificate, "certbot", hook, member, kind);
    }
    for (const auto& [kind, program] : hooks.taken) take_hook(certificate, "certbot", program, "renewal-hooks", kind);
    if (conf.text("autorenew") == "False")
      certificate.notes.emplace_back("certbot did not renew it by itself (autorenew = False); culmen does");
  });
  return certificate;
}

}  // namespace

FoundState find_of_certbot(const ClientFolder& from) {
  check_client_folder("certbot", from.folder, {"renewal", "accounts"});
  FoundState found;
  const FolderHooks hooks = read_folder_hooks(from.folder);
  for (const fs::path& entry : entries_of(from.folder / "renewal")) {
    if (entry.extension() == ".conf")
      found.certificates.push_back(read_certbot_certificate(from, entry.stem().string(), hooks));
  }
  // The folder's name has lost the scheme and a slash at the end; who names the server tells.
  std::map<std::string, std::string> urls;
  for (const KnownCa& ca : known_cas()) urls.emplace(path_of_server(ca.directory_url), ca.directory_url);
  for (const FoundCertificate& certificate : found.certificates) {
    if (!certificate.server.empty()) urls.insert_or_assign(path_of_server(certificate.server), certificate.server);
  }
  AccountSearch(std::move(urls), found.accounts).below(from.folder / "accounts", "", 0);
  found.notes = hooks.notes;
  return found;
}

}  // namespace culmen::imports
