// culmen import certbot: accounts and certificates out of certbot's folder, for culmen renew to go on with.
#include <algorithm>
#include <charconv>
#include <memory>
#include <set>

#include "account_store.hpp"
#include "certbot_folder.hpp"
#include "certificate_store.hpp"
#include "challenge_solvers.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/atomic_file.hpp"
#include "files.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

namespace fs = std::filesystem;

struct ImportFlags {
  ImportFlags() = default;
  std::string from = "/etc/letsencrypt";
  std::string dir;
  std::string server_ca;
  std::string webroot;
  std::string dns_hook;
  std::vector<std::string> accounts;
  std::vector<std::string> names;
  bool list = false;
  bool dry_run = false;
  bool json = false;
};

/// How culmen will prove control of the names, and what the user should know about it.
struct ChallengeMapping {
  ChallengeMapping() = default;
  JsonObject challenge;  ///< As meta.json has it.
  std::string summary;
  std::vector<std::string> notes;
};
ChallengeMapping mapping_of(const CertbotCertificate& certificate, const ImportFlags& flags);
std::vector<std::string> notes_of(const CertbotCertificate& certificate);

class Import {
 public:
  Import(const ImportFlags& flags, Output& output)
      : flags_(flags), output_(output), from_(fs::absolute(flags.from).lexically_normal()) {}

  int run();

 private:
  struct Listed {
    std::string name;
    std::optional<RenewalConf> conf;
    std::optional<Error> wrong;
  };

  void read_folder();
  void check_choices() const;
  /// Each is done by itself: what is wrong with one is reported and does not keep the others.
  template <class Work>
  void one(std::vector<JsonObject>& entries, JsonObject entry, Work work);
  void accounts_of(const std::string& server, std::vector<const CertbotAccount*> candidates,
                   std::vector<JsonObject>& entries);
  void one_account(const CertbotAccount& account, JsonObject& entry);
  void one_certificate(const Listed& listed, JsonObject& entry);
  JsonObject meta_of(const CertbotCertificate& certificate, const ChallengeMapping& mapping,
                     const CertificateFolder* folder) const;
  std::string account_url(const CertbotCertificate& certificate) const;
  /// culmen's, without making its folder.
  fs::path account_key_file(const std::string& server) const {
    return state_folder(flags_.dir) / "accounts" / server_slug(server) / "account.key";
  }
  bool writes() const noexcept { return !flags_.list && !flags_.dry_run; }
  void note(JsonObject& entry, const std::vector<std::string>& notes);

  const ImportFlags& flags_;
  Output& output_;
  fs::path from_;
  std::vector<CertbotAccount> accounts_;
  std::vector<Listed> certificates_;
  int worst_ = exit_ok;
  int imported_ = 0, failed_ = 0;
};

int Import::run() {
  check_certbot_folder(from_);
  read_folder();
  check_choices();
  std::vector<JsonObject> accounts, certificates;
  for (auto first = accounts_.begin(); first != accounts_.end();) {
    const std::string server = first->server;
    std::vector<const CertbotAccount*> candidates;
    for (; first != accounts_.end() && first->server == server; ++first) candidates.push_back(&*first);
    accounts_of(server, std::move(candidates), accounts);
  }
  int with_certificate = 0;
  for (const Listed& listed : certificates_) {
    JsonObject entry;
    entry.set("name", listed.name);
    const int before = imported_;
    one(certificates, std::move(entry), [&](JsonObject& e) { one_certificate(listed, e); });
    with_certificate += imported_ - before;
  }
  if (accounts.empty() && certificates.empty()) output_.say("There is nothing to import in " + from_.string());
  if (with_certificate > 0) {
    for (const char* kind : {"pre", "deploy", "post"}) {
      std::error_code none;
      const fs::path hooks = from_ / "renewal-hooks" / kind;
      if (fs::is_empty(hooks, none) || none) continue;
      output_.say("note: certbot ran what is in " + hooks.string() + "; culmen does not");
    }
    output_.say("From now on culmen renew takes care of them. Let your servers read key and chain from\n  " +
                (state_folder(flags_.dir) / "certificates/<name>/live/").string() +
                "\nand then end certbot's renewals, as with: systemctl disable --now certbot.timer");
  }
  JsonObject& json = output_.result();
  json.set("changed", imported_ > 0);
  json.set("imported", imported_);
  json.set("failed", failed_);
  json.set("accounts", accounts);
  json.set("certificates", certificates);
  return worst_;
}

void Import::read_folder() {
  const auto chosen = [this](const std::string& name) {
    return flags_.names.empty() || std::find(flags_.names.begin(), flags_.names.end(), name) != flags_.names.end();
  };
  accounts_ = certbot_accounts(from_);
  for (const std::string& name : certbot_names(from_)) {
    if (!chosen(name)) continue;
    Listed listed;
    listed.name = name;
    try {
      listed.conf = read_renewal_conf(from_, name);
    } catch (const Error& error) {
      listed.wrong = error;
    }
    certificates_.push_back(std::move(listed));
  }
}

void Import::check_choices() const {
  const auto refuse = [this](const std::string& what, const std::string& asked, const std::vector<std::string>& known) {
    std::string there;
    for (const std::string& one : known) there += (there.empty() ? "" : ", ") + one;
    throw Failure(exit_usage, "not_found", "there is no " + what + " \"" + asked + "\" in " + from_.string(),
                  "There is: " + (there.empty() ? "none" : there));
  };
  const std::vector<std::string> names = certbot_names(from_);
  for (const std::string& name : flags_.names) {
    if (std::find(names.begin(), names.end(), name) == names.end()) refuse("certificate", name, names);
  }
  std::vector<std::string> ids;
  for (const CertbotAccount& account : accounts_) ids.push_back(account.id);
  for (const std::string& id : flags_.accounts) {
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) refuse("account", id, ids);
  }
}

template <class Work>
void Import::one(std::vector<JsonObject>& entries, JsonObject entry, Work work) {
  int code = exit_ok;
  try {
    work(entry);
  } catch (const Error& error) {
    code = output_.fail(error);
  } catch (const Failure& failure) {
    code = output_.fail(failure);
  }
  if (code != exit_ok) {
    ++failed_;
    worst_ = std::max(worst_, code);
    entry.set("result", "failed");
    entry.copy("error", output_.result());
    output_.result().erase("error");
  }
  entries.push_back(std::move(entry));
}

// culmen has one account for a server; certbot may have more.
void Import::accounts_of(const std::string& server, std::vector<const CertbotAccount*> candidates,
                         std::vector<JsonObject>& entries) {
  std::set<std::string> in_use;
  for (const Listed& listed : certificates_) {
    if (listed.conf && server_of(*listed.conf) == server) in_use.insert(listed.conf->text("account"));
  }
  const auto keep = [&candidates](const auto& wanted) {
    std::erase_if(candidates, [&](const CertbotAccount* account) {
      return std::find(wanted.begin(), wanted.end(), account->id) == wanted.end();
    });
  };
  const bool some_in_use = std::count_if(candidates.begin(), candidates.end(), [&](const CertbotAccount* account) {
                             return in_use.contains(account->id);
                           }) > 0;
  if (!flags_.accounts.empty()) {
    keep(flags_.accounts);
  } else if (!flags_.list && (!flags_.names.empty() || (candidates.size() > 1 && some_in_use))) {
    keep(in_use);
  }
  if (!flags_.list && candidates.size() > 1) {
    JsonObject entry;
    entry.set("server", server);
    one(entries, std::move(entry), [&](JsonObject&) {
      std::string ids;
      for (const CertbotAccount* account : candidates) ids += (ids.empty() ? "" : ", ") + account->id;
      throw Failure(exit_usage, "invalid_argument",
                    "certbot has " + std::to_string(candidates.size()) + " accounts at " + server +
                        ", and culmen keeps one for a server: " + ids,
                    "Say which with --account ID.");
    });
    return;
  }
  for (const CertbotAccount* account : candidates) {
    JsonObject entry;
    entry.set("account_id", account->id);
    entry.set("server", account->server);
    one(entries, std::move(entry), [&](JsonObject& e) { one_account(*account, e); });
  }
}

void Import::one_account(const CertbotAccount& account, JsonObject& entry) {
  const Account found = account.read();
  entry.set("account", found.url);
  entry.set("key_type", found.key.private_key().type());
  const std::string title =
      "Account " + account.id + " at " + printable(account.server) + " (" + printable(found.url) + "): ";
  const auto conclude = [&](const char* result, const std::string& text) {
    entry.set("result", result);
    output_.say(title + text);
  };
  if (flags_.list) return conclude("found", found.key.private_key().type());
  const auto same_or_other = [&](const AccountKey& present) {
    if (present.private_key().same_key_as(found.key.private_key())) return conclude("kept", "is here already");
    conclude("kept", "not imported, culmen has another account there, and keeps it");
  };
  if (!writes()) {
    const auto present = read_file(account_key_file(account.server));
    if (present) return same_or_other(AccountKey::from_pem(*present));
    return conclude("would import", "would be imported");
  }
  ServerFlags server;
  server.server = account.server;
  server.dir = flags_.dir;
  const AccountFiles files(server, account.server);
  const FolderLock lock = files.lock();
  if (const auto present = files.key()) return same_or_other(*present);
  files.keep_key(found.key);
  files.keep_account(found);
  ++imported_;
  conclude("imported", "imported");
}

void Import::one_certificate(const Listed& listed, JsonObject& entry) {
  if (listed.wrong) throw *listed.wrong;
  const CertbotCertificate certificate = read_certificate(from_, listed.name, *listed.conf);
  const ChallengeMapping mapping = mapping_of(certificate, flags_);
  entry.set("names", name_list(certificate.leaf.identifiers));
  entry.set("server", certificate.server);
  entry.set("authenticator", certificate.conf.text("authenticator"));
  entry.set("challenge", mapping.challenge);
  entry.set("key_type", certificate.key.type());
  entry.set("not_after", time_text(certificate.leaf.not_after));
  const auto conclude = [&](const char* result, const std::string& text) {
    entry.set("result", result);
    output_.say(certificate.name + ": " + text);
  };
  const std::string what = names_text(certificate.leaf.identifiers) + "; until " +
                           time_text(certificate.leaf.not_after) + "; from " + printable(certificate.server);
  if (flags_.list) return conclude("found", what + "; by " + printable(certificate.conf.text("authenticator")));
  const fs::path state = state_folder(flags_.dir);
  if (const auto present = CertificateFolder::find(state, certificate.name); present && present->live()) {
    return conclude("kept", "not imported, culmen has a certificate of that name, and keeps it");
  }
  if (!writes()) {
    conclude("would import", "would be imported: " + what + "; to be renewed by " + mapping.summary);
  } else {
    const CertificateFolder folder(state, certificate.name);
    const FolderLock lock = folder.lock();
    if (folder.live()) return conclude("kept", "not imported, culmen has a certificate of that name, and keeps it");
    if (certificate.conf.flag("reuse_key")) {
      write_file_atomically(folder.path() / "reused-key.pem", certificate.key.to_pem(), 0600);
    }
    folder.install(certificate.fullchain, certificate.leaf, certificate.key, meta_of(certificate, mapping, &folder));
    ++imported_;
    conclude("imported", "imported: " + what + "; to be renewed by " + mapping.summary);
  }
  std::vector<std::string> notes = mapping.notes;
  for (std::string& more : notes_of(certificate)) notes.push_back(std::move(more));
  if (account_url(certificate).empty() && !read_file(account_key_file(certificate.server))) {
    notes.push_back(
        "the account that it came from cannot be had from certbot's folder; before it is renewed: culmen "
        "account register --agree-tos --server " +
        certificate.server);
  }
  note(entry, notes);
}

JsonObject Import::meta_of(const CertbotCertificate& certificate, const ChallengeMapping& mapping,
                           const CertificateFolder* folder) const {
  JsonObject meta;
  meta.set("server", certificate.server);
  meta.set("account", account_url(certificate));
  meta.set("names", name_list(certificate.leaf.identifiers));
  const std::vector<std::string> types = key_type_names();
  if (std::find(types.begin(), types.end(), certificate.key.type()) != types.end()) {
    meta.set("key_type", certificate.key.type());
  }
  meta.set("issued", time_text(certificate.leaf.not_before));
  meta.set("imported_from", (from_ / "renewal" / (certificate.name + ".conf")).string());
  meta.set("challenge", mapping.challenge);
  if (!flags_.server_ca.empty()) meta.set("server_ca", fs::absolute(flags_.server_ca).string());
  if (certificate.conf.flag("reuse_key")) meta.set("cert_key", (folder->path() / "reused-key.pem").string());
  if (const std::string chain = certificate.conf.text("preferred_chain"); !chain.empty())
    meta.set("preferred_chain", chain);
  for (const char* member : {"required_profile", "preferred_profile"}) {
    if (const std::string profile = certificate.conf.text(member); !profile.empty()) meta.set("profile", profile);
  }
  if (certificate.conf.flag("must_staple")) meta.set("must_staple", "yes");
  return meta;
}

/// Of the account that the certificate came from; empty when it is not there any more.
std::string Import::account_url(const CertbotCertificate& certificate) const {
  for (const CertbotAccount& account : accounts_) {
    if (account.id != certificate.account_id || account.server != certificate.server) continue;
    try {
      return account.read().url;
    } catch (const Error&) {
      return {};  // reported where the account is looked at
    }
  }
  return {};
}

void Import::note(JsonObject& entry, const std::vector<std::string>& notes) {
  if (notes.empty()) return;
  entry.set("notes", notes);
  for (const std::string& text : notes) output_.say("  note: " + printable(text, 1000));
}

int number_in(const RenewalConf& conf, const std::string& name, int least, int most, int otherwise) {
  const std::string text = conf.text(name);
  int number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool fine = failed == std::errc() && end == text.data() + text.size() && !text.empty();
  return fine && number >= least && number <= most ? number : otherwise;
}

/// The command that says once and for all how the certificate is to be renewed.
std::string command_with(const CertbotCertificate& certificate, const std::string& flags) {
  std::string names;
  for (const Identifier& identifier : certificate.leaf.identifiers)
    names += (names.empty() ? "" : ",") + identifier.value;
  return "culmen issue --name " + certificate.name + " --server " + certificate.server + " -d '" + names + "' " +
         flags + " --force";
}

void by_dns(const CertbotCertificate& certificate, const ImportFlags& flags, ChallengeMapping& mapping) {
  const std::string authenticator = certificate.conf.text("authenticator");
  mapping.summary = "dns-01";
  mapping.challenge.set("type", "dns-01");
  std::string member = authenticator.substr(authenticator.rfind(':') + 1) + "_propagation_seconds";
  std::replace(member.begin(), member.end(), '-', '_');
  ChallengeFlags challenge_flags;
  challenge_flags.dns_hook = flags.dns_hook;
  challenge_flags.dns_wait = number_in(certificate.conf, member, 0, 86400, 0);
  note_challenge_flags(challenge_flags, mapping.challenge);
  if (!flags.dns_hook.empty()) {
    mapping.summary += " with " + flags.dns_hook;
    return;
  }
  mapping.notes.push_back(
      "certbot changed the DNS by \"" + authenticator +
      "\", which culmen does not have: it cannot be renewed until it has a hook (docs/dns-hooks.md). "
      "Import with --dns-hook PROGRAM, or once it is imported: " +
      command_with(certificate, "--challenge dns-01 --dns-hook PROGRAM"));
}

void by_webroot(const CertbotCertificate& certificate, const std::string& folder, ChallengeMapping& mapping) {
  mapping.summary = "http-01 through " + folder;
  mapping.challenge.set("webroot", folder);
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) mapping.notes.push_back("the web root " + folder + " is not there now");
  const std::vector<std::string> map = certificate.conf.texts_below("webroot_map");
  if (std::any_of(map.begin(), map.end(), [&folder](const std::string& other) { return other != folder; })) {
    mapping.notes.push_back(
        "certbot used several web roots for it; culmen uses " + folder +
        " for all of its names: see that this answers for each, or issue one certificate for each root");
  }
}

void by_http(const CertbotCertificate& certificate, const ImportFlags& flags, ChallengeMapping& mapping) {
  const RenewalConf& conf = certificate.conf;
  const std::string authenticator = conf.text("authenticator");
  mapping.challenge.set("type", "http-01");
  if (!flags.webroot.empty() && authenticator != "standalone") {
    return by_webroot(certificate, fs::absolute(flags.webroot).string(), mapping);
  }
  if (authenticator == "webroot") {
    std::vector<std::string> roots = conf.texts("webroot_path");
    for (std::string& root : conf.texts_below("webroot_map")) roots.push_back(std::move(root));
    if (!roots.empty()) return by_webroot(certificate, roots.front(), mapping);
    mapping.notes.push_back(
        "certbot's file names no web root: import with --webroot FOLDER, or port 80 has to be free");
  } else if (authenticator != "standalone") {
    mapping.notes.push_back("certbot had \"" + authenticator +
                            "\" answer the CA; culmen listens on port 80 itself, which has to be free then. With a web "
                            "server on it: import with --webroot FOLDER, or once it is imported: " +
                            command_with(certificate, "--webroot FOLDER"));
  }
  const int port = number_in(conf, "http01_port", 1, 65535, 80);
  mapping.summary = "http-01 on port " + std::to_string(port);
  mapping.challenge.set("http_port", port);
  if (const std::string address = conf.text("http01_address"); !address.empty())
    mapping.challenge.set("http_address", address);
}

ChallengeMapping mapping_of(const CertbotCertificate& certificate, const ImportFlags& flags) {
  const RenewalConf& conf = certificate.conf;
  const std::string authenticator = conf.text("authenticator");
  const std::string preferred = conf.text("pref_challs");
  const std::vector<Identifier>& names = certificate.leaf.identifiers;
  const bool wildcard = std::any_of(names.begin(), names.end(), [](const Identifier& i) { return i.is_wildcard(); });
  ChallengeMapping mapping;
  if (wildcard || authenticator.find("dns") != std::string::npos || preferred.starts_with("dns")) {
    by_dns(certificate, flags, mapping);
  } else {
    by_http(certificate, flags, mapping);
  }
  return mapping;
}

std::vector<std::string> notes_of(const CertbotCertificate& certificate) {
  std::vector<std::string> notes;
  for (const char* member : {"pre_hook", "post_hook", "renew_hook"}) {
    if (const std::string hook = certificate.conf.text(member); !hook.empty()) {
      notes.push_back("certbot ran \"" + hook + "\" (" + member +
                      "); culmen runs no such hooks: do it where culmen renew --json says \"changed\"");
    }
  }
  if (certificate.conf.text("autorenew") == "False") {
    notes.push_back("certbot did not renew it by itself (autorenew = False); culmen renew does");
  }
  const std::vector<std::string> types = key_type_names();
  if (std::find(types.begin(), types.end(), certificate.key.type()) == types.end()) {
    notes.push_back("its key is of type " + certificate.key.type() +
                    ", which culmen does not make: the next is ec:P-256");
  }
  return notes;
}

}  // namespace

void define_import(Command& command) {
  auto flags = std::make_shared<ImportFlags>();
  Command certbot = command.subcommand(
      "certbot",
      "Copies certbot's account keys and certificates into culmen's state folder, so that culmen renew goes on with "
      "them.\n"
      "certbot's folder stays as it is, and so does what culmen has already.");
  certbot.text("--from FOLDER", flags->from, "certbot's folder");
  certbot.flag("--list", flags->list, "Only show what is there");
  certbot.flag("--dry-run", flags->dry_run, "Only say what would be done").excludes("--list");
  certbot.list("--account ID", flags->accounts, "Only this account, by its folder's name; repeatable");
  certbot.list("--name NAME", flags->names, "Only this certificate and its account; repeatable");
  certbot.text("--webroot FOLDER", flags->webroot, "Where http-01 answers go that certbot left to a web server")
      .existing_folder();
  certbot.text("--dns-hook PROGRAM", flags->dns_hook, "Program that changes the DNS, in place of certbot's plugins");
  certbot.text("--server-ca FILE", flags->server_ca, "PEM file of roots to trust for the CA, beside the system's")
      .existing_file();
  add_dir_flag(certbot, flags->dir);
  add_json_flag(certbot, flags->json);
  certbot.set_action([flags](Output& output) { return Import(*flags, output).run(); });
}

}  // namespace culmen::cli
