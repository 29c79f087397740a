// What certbot keeps in its folder, read and never written:
//
//   accounts/<host>/<path>/<id>/        private_key.json (a JWK), regr.json (the account's URL), meta.json
//   renewal/<name>.conf                 how the certificate is renewed
//   renewal-hooks/{pre,deploy,post}/    programs that are run for each certificate
//   live/<name>/                        privkey.pem, fullchain.pem: links into archive/
#include <algorithm>
#include <charconv>
#include <map>
#include <system_error>

#include "command.hpp"
#include "culmen/directory.hpp"
#include "found.hpp"
#include "output.hpp"
#include "renewal_conf.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

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
  if (!url.starts_with("https://") && !url.starts_with("http://"))
    throw unreadable(regr_file, "its \"uri\" is not the URL of an account");
  Account account(std::move(url), std::move(*key));
  account.contacts = regr.object("body").texts("contact");
  return account;
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
      account.id = folder.filename().string();
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
      return other.id == name && other.server == url;  // certbot links from one version of a server to the next
    });
    if (seen) return;
    FoundAccount account;
    account.id = name;
    account.server = url;
    account.wrong = error_of("reading " + folder.string(), [&] { account.account = read_certbot_account(folder); });
    found_.push_back(std::move(account));
  }

  std::map<std::string, std::string> urls_;
  std::vector<FoundAccount>& found_;
};

// ---- Certificates ----

int number_in(const RenewalConf& conf, const std::string& name, int least, int most, int otherwise) {
  const std::string text = conf.text(name);
  int number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool fine = failed == std::errc() && end == text.data() + text.size() && !text.empty();
  return fine && number >= least && number <= most ? number : otherwise;
}

std::string server_of(const RenewalConf& conf) {
  const std::string url = conf.text("server");
  return url.empty() ? resolve_directory_url("letsencrypt") : newest_url(url);
}

void map_certbot_webroot(const RenewalConf& conf, const std::string& folder, FoundCertificate& certificate) {
  renew_by_webroot(certificate, folder);
  const std::vector<std::string> map = conf.texts_below("webroot_map");
  if (std::any_of(map.begin(), map.end(), [&folder](const std::string& other) { return other != folder; })) {
    certificate.notes.push_back(
        "certbot used several web roots for it; culmen uses " + folder +
        " for all of its names: see that this answers for each, or issue one certificate for each root");
  }
}

void map_certbot_http(const RenewalConf& conf, const ImportChoices& choices, FoundCertificate& certificate) {
  const std::string& authenticator = certificate.authenticator;
  if (!choices.webroot.empty() && authenticator != "standalone")
    return map_certbot_webroot(conf, choices.webroot, certificate);
  if (authenticator == "webroot") {
    std::vector<std::string> roots = conf.texts("webroot_path");
    for (std::string& root : conf.texts_below("webroot_map")) roots.push_back(std::move(root));
    if (!roots.empty()) return map_certbot_webroot(conf, roots.front(), certificate);
    certificate.notes.push_back(
        "certbot's file names no web root: import with --webroot FOLDER, or port 80 has to be free");
  } else if (authenticator != "standalone") {
    certificate.notes.push_back(
        "certbot had \"" + authenticator +
        "\" answer the CA; culmen listens on port 80 itself, which has to be free then. With a web server on it: "
        "import with --webroot FOLDER, or once it is imported: " +
        edit_command(certificate, "--webroot FOLDER"));
  }
  renew_by_port(certificate, number_in(conf, "http01_port", 1, 65535, 80), conf.text("http01_address"));
}

void map_certbot(const RenewalConf& conf, const ImportChoices& choices, FoundCertificate& certificate) {
  const std::string& authenticator = certificate.authenticator;
  const bool is_dns = authenticator.find("dns") != std::string::npos || conf.text("pref_challs").starts_with("dns");
  if (has_wildcard(certificate) || is_dns) {
    std::string member = authenticator.substr(authenticator.rfind(':') + 1) + "_propagation_seconds";
    std::replace(member.begin(), member.end(), '-', '_');
    renew_by_dns(certificate, authenticator, number_in(conf, member, 0, 86400, 0), choices);
  } else {
    map_certbot_http(conf, choices, certificate);
  }
  CertificateSpec& spec = certificate.settings.spec;
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
  std::map<std::string, std::vector<std::string>> taken;  ///< By option.
  std::vector<std::string> notes;
};

FolderHooks read_folder_hooks(const fs::path& from) {
  FolderHooks hooks;
  for (const auto& [kind, option] :
       {std::pair("pre", "--pre-hook"), std::pair("deploy", "--deploy-hook"), std::pair("post", "--post-hook")}) {
    const fs::path folder = from / "renewal-hooks" / kind;
    std::vector<std::string> left;
    const std::optional<Error> failed = error_of("reading " + folder.string(), [&, option = option] {
      for (const fs::path& file : entries_of(folder)) {
        if (file.string().ends_with('~')) continue;  // certbot leaves these alone
        if (const std::string obstacle = obstacle_of_hook(file.string()); obstacle.empty()) {
          hooks.taken[option].push_back(file.string());
        } else {
          left.push_back(file.filename().string() + " (" + obstacle + ")");
        }
      }
    });
    if (failed) left.emplace_back(failed->what());
    for (const std::string& text : left) {
      hooks.notes.push_back("certbot ran what is in " + folder.string() + "; culmen does not run " + text +
                            ": culmen edit NAME " + option + " PROGRAM");
    }
  }
  return hooks;
}

FoundCertificate read_certbot_certificate(const ImportChoices& choices, const std::string& name,
                                          const FolderHooks& hooks) {
  FoundCertificate certificate;
  certificate.name = name;
  certificate.source = choices.from / "renewal" / (name + ".conf");
  certificate.wrong = error_of("reading " + certificate.source.string(), [&] {
    const RenewalConf conf = RenewalConf::parse(required_file(certificate.source), certificate.source);
    certificate.authenticator = conf.text("authenticator");
    if (certificate.authenticator.empty())
      throw unreadable(certificate.source, "it does not name an authenticator in [renewalparams]");
    certificate.server = server_of(conf);
    certificate.account_id = conf.text("account");
    read_certbot_pair(choices.from, conf, certificate);
    map_certbot(conf, choices, certificate);
    for (const auto& [member, option] : {std::pair("pre_hook", "--pre-hook"), std::pair("post_hook", "--post-hook"),
                                         std::pair("renew_hook", "--deploy-hook")}) {
      const std::string hook = conf.text(member);
      if (!hook.empty()) take_hook(certificate, "certbot", hook, member, option);
    }
    for (const auto& [option, programs] : hooks.taken) {
      for (const std::string& program : programs) take_hook(certificate, "certbot", program, "renewal-hooks", option);
    }
    if (conf.text("autorenew") == "False")
      certificate.notes.emplace_back("certbot did not renew it by itself (autorenew = False); culmen renew does");
  });
  return certificate;
}

}  // namespace

Found find_of_certbot(const ImportChoices& choices) {
  check_client_folder("certbot", choices.from, {"renewal", "accounts"});
  Found found;
  const FolderHooks hooks = read_folder_hooks(choices.from);
  for (const fs::path& entry : entries_of(choices.from / "renewal")) {
    if (entry.extension() == ".conf")
      found.certificates.push_back(read_certbot_certificate(choices, entry.stem().string(), hooks));
  }
  // The folder's name has lost the scheme and a slash at the end; who names the server tells.
  std::map<std::string, std::string> urls;
  for (const KnownCa& ca : known_cas()) urls.emplace(path_of_server(ca.directory_url), ca.directory_url);
  for (const FoundCertificate& certificate : found.certificates) {
    if (!certificate.server.empty()) urls.insert_or_assign(path_of_server(certificate.server), certificate.server);
  }
  AccountSearch(std::move(urls), found.accounts).below(choices.from / "accounts", "", 0);
  std::stable_sort(found.accounts.begin(), found.accounts.end(),
                   [](const FoundAccount& a, const FoundAccount& b) { return a.server < b.server; });
  found.notes = hooks.notes;
  found.end_of_other_renewals = "end certbot's renewals, as with: systemctl disable --now certbot.timer";
  return found;
}

}  // namespace culmen::cli
