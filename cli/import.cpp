// culmen import certbot: accounts and certificates out of certbot's folder, for culmen renew to go on with.
#include <algorithm>
#include <charconv>
#include <memory>
#include <set>

#include "account_store.hpp"
#include "certbot_folder.hpp"
#include "certificate_store.hpp"
#include "challenge_solvers.hpp"
#include "command.hpp"
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
struct Way {
  Way() = default;
  boost::json::object challenge;  ///< As meta.json has it.
  std::string summary;
  std::vector<std::string> notes;
};
Way way_of(const CertbotCertificate& certificate, const ImportFlags& flags);
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
  void one(boost::json::array& entries, boost::json::object entry, Work work);
  void accounts_of(const std::string& server, std::vector<const CertbotAccount*> candidates,
                   boost::json::array& entries);
  void one_account(const CertbotAccount& account, boost::json::object& entry);
  void one_certificate(const Listed& listed, boost::json::object& entry);
  boost::json::object meta_of(const CertbotCertificate& certificate, const Way& way,
                              const CertificateFolder* folder) const;
  std::string account_url(const CertbotCertificate& certificate) const;
  /// culmen's, without making its folder.
  fs::path account_key_file(const std::string& server) const {
    return state_folder(flags_.dir) / "accounts" / server_slug(server) / "account.key";
  }
  bool writes() const noexcept { return !flags_.list && !flags_.dry_run; }
  void note(boost::json::object& entry, const std::vector<std::string>& notes);

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
  boost::json::array accounts, certificates;
  for (auto first = accounts_.begin(); first != accounts_.end();) {
    const std::string server = first->server;
    std::vector<const CertbotAccount*> candidates;
    for (; first != accounts_.end() && first->server == server; ++first) candidates.push_back(&*first);
    accounts_of(server, std::move(candidates), accounts);
  }
  int with_certificate = 0;
  for (const Listed& listed : certificates_) {
    boost::json::object entry;
    entry["name"] = listed.name;
    const int before = imported_;
    one(certificates, std::move(entry), [&](boost::json::object& e) { one_certificate(listed, e); });
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
  boost::json::object& json = output_.result();
  json["changed"] = imported_ > 0;
  json["imported"] = imported_;
  json["failed"] = failed_;
  json["accounts"] = std::move(accounts);
  json["certificates"] = std::move(certificates);
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
void Import::one(boost::json::array& entries, boost::json::object entry, Work work) {
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
    entry["result"] = "failed";
    entry["error"] = std::move(output_.result()["error"]);
    output_.result().erase("error");
  }
  entries.push_back(std::move(entry));
}

// culmen has one account for a server; certbot may have more.
void Import::accounts_of(const std::string& server, std::vector<const CertbotAccount*> candidates,
                         boost::json::array& entries) {
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
    boost::json::object entry;
    entry["server"] = server;
    one(entries, std::move(entry), [&](boost::json::object&) {
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
    boost::json::object entry;
    entry["account_id"] = account->id;
    entry["server"] = account->server;
    one(entries, std::move(entry), [&](boost::json::object& e) { one_account(*account, e); });
  }
}

void Import::one_account(const CertbotAccount& account, boost::json::object& entry) {
  const Account found = account.read();
  entry["account"] = found.url;
  entry["key_type"] = found.key.private_key().type();
  const std::string title =
      "Account " + account.id + " at " + printable(account.server) + " (" + printable(found.url) + "): ";
  const auto conclude = [&](const char* result, const std::string& text) {
    entry["result"] = result;
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

void Import::one_certificate(const Listed& listed, boost::json::object& entry) {
  if (listed.wrong) throw *listed.wrong;
  const CertbotCertificate certificate = read_certificate(from_, listed.name, *listed.conf);
  const Way way = way_of(certificate, flags_);
  entry["names"] = json_strings(certificate.leaf.identifiers);
  entry["server"] = certificate.server;
  entry["authenticator"] = certificate.conf.text("authenticator");
  entry["challenge"] = way.challenge;
  entry["key_type"] = certificate.key.type();
  entry["not_after"] = time_text(certificate.leaf.not_after);
  const auto conclude = [&](const char* result, const std::string& text) {
    entry["result"] = result;
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
    conclude("would import", "would be imported: " + what + "; to be renewed by " + way.summary);
  } else {
    const CertificateFolder folder(state, certificate.name);
    const FolderLock lock = folder.lock();
    if (folder.live()) return conclude("kept", "not imported, culmen has a certificate of that name, and keeps it");
    if (certificate.conf.flag("reuse_key")) {
      write_file_atomically(folder.path() / "reused-key.pem", certificate.key.to_pem(), 0600);
    }
    folder.install(certificate.fullchain, certificate.leaf, certificate.key, meta_of(certificate, way, &folder));
    ++imported_;
    conclude("imported", "imported: " + what + "; to be renewed by " + way.summary);
  }
  std::vector<std::string> notes = way.notes;
  for (std::string& more : notes_of(certificate)) notes.push_back(std::move(more));
  if (account_url(certificate).empty() && !read_file(account_key_file(certificate.server))) {
    notes.push_back(
        "the account that it came from cannot be had from certbot's folder; before it is renewed: culmen "
        "account register --agree-tos --server " +
        certificate.server);
  }
  note(entry, notes);
}

boost::json::object Import::meta_of(const CertbotCertificate& certificate, const Way& way,
                                    const CertificateFolder* folder) const {
  boost::json::object meta;
  meta["server"] = certificate.server;
  meta["account"] = account_url(certificate);
  meta["names"] = json_strings(certificate.leaf.identifiers);
  const std::vector<std::string> types = key_type_names();
  if (std::find(types.begin(), types.end(), certificate.key.type()) != types.end()) {
    meta["key_type"] = certificate.key.type();
  }
  meta["issued"] = time_text(certificate.leaf.not_before);
  meta["imported_from"] = (from_ / "renewal" / (certificate.name + ".conf")).string();
  meta["challenge"] = way.challenge;
  if (!flags_.server_ca.empty()) meta["server_ca"] = fs::absolute(flags_.server_ca).string();
  if (certificate.conf.flag("reuse_key")) meta["cert_key"] = (folder->path() / "reused-key.pem").string();
  if (const std::string chain = certificate.conf.text("preferred_chain"); !chain.empty())
    meta["preferred_chain"] = chain;
  for (const char* member : {"required_profile", "preferred_profile"}) {
    if (const std::string profile = certificate.conf.text(member); !profile.empty()) meta["profile"] = profile;
  }
  if (certificate.conf.flag("must_staple")) meta["must_staple"] = "yes";
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

void Import::note(boost::json::object& entry, const std::vector<std::string>& notes) {
  if (notes.empty()) return;
  entry["notes"] = json_strings(notes);
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

void by_dns(const CertbotCertificate& certificate, const ImportFlags& flags, Way& way) {
  const std::string authenticator = certificate.conf.text("authenticator");
  way.summary = "dns-01";
  way.challenge["type"] = "dns-01";
  std::string member = authenticator.substr(authenticator.rfind(':') + 1) + "_propagation_seconds";
  std::replace(member.begin(), member.end(), '-', '_');
  ChallengeFlags ways;
  ways.dns_hook = flags.dns_hook;
  ways.dns_wait = number_in(certificate.conf, member, 0, 86400, 0);
  note_challenge_flags(ways, way.challenge);
  if (!flags.dns_hook.empty()) {
    way.summary += " with " + flags.dns_hook;
    return;
  }
  way.notes.push_back("certbot changed the DNS by \"" + authenticator +
                      "\", which culmen does not have: it cannot be renewed until it has a hook (docs/dns-hooks.md). "
                      "Import with --dns-hook PROGRAM, or once it is imported: " +
                      command_with(certificate, "--challenge dns-01 --dns-hook PROGRAM"));
}

void by_webroot(const CertbotCertificate& certificate, const std::string& folder, Way& way) {
  way.summary = "http-01 through " + folder;
  way.challenge["webroot"] = folder;
  std::error_code failed;
  if (!fs::is_directory(folder, failed)) way.notes.push_back("the web root " + folder + " is not there now");
  const std::vector<std::string> map = certificate.conf.texts_below("webroot_map");
  if (std::any_of(map.begin(), map.end(), [&folder](const std::string& other) { return other != folder; })) {
    way.notes.push_back(
        "certbot used several web roots for it; culmen uses " + folder +
        " for all of its names: see that this answers for each, or issue one certificate for each root");
  }
}

void by_http(const CertbotCertificate& certificate, const ImportFlags& flags, Way& way) {
  const RenewalConf& conf = certificate.conf;
  const std::string authenticator = conf.text("authenticator");
  way.challenge["type"] = "http-01";
  if (!flags.webroot.empty() && authenticator != "standalone") {
    return by_webroot(certificate, fs::absolute(flags.webroot).string(), way);
  }
  if (authenticator == "webroot") {
    std::vector<std::string> roots = conf.texts("webroot_path");
    for (std::string& root : conf.texts_below("webroot_map")) roots.push_back(std::move(root));
    if (!roots.empty()) return by_webroot(certificate, roots.front(), way);
    way.notes.push_back("certbot's file names no web root: import with --webroot FOLDER, or port 80 has to be free");
  } else if (authenticator != "standalone") {
    way.notes.push_back("certbot had \"" + authenticator +
                        "\" answer the CA; culmen listens on port 80 itself, which has to be free then. With a web "
                        "server on it: import with --webroot FOLDER, or once it is imported: " +
                        command_with(certificate, "--webroot FOLDER"));
  }
  const int port = number_in(conf, "http01_port", 1, 65535, 80);
  way.summary = "http-01 on port " + std::to_string(port);
  way.challenge["http_port"] = port;
  if (const std::string address = conf.text("http01_address"); !address.empty())
    way.challenge["http_address"] = address;
}

Way way_of(const CertbotCertificate& certificate, const ImportFlags& flags) {
  const RenewalConf& conf = certificate.conf;
  const std::string authenticator = conf.text("authenticator");
  const std::string preferred = conf.text("pref_challs");
  const std::vector<Identifier>& names = certificate.leaf.identifiers;
  const bool wildcard = std::any_of(names.begin(), names.end(), [](const Identifier& i) { return i.is_wildcard(); });
  Way way;
  if (wildcard || authenticator.find("dns") != std::string::npos || preferred.starts_with("dns")) {
    by_dns(certificate, flags, way);
  } else {
    by_http(certificate, flags, way);
  }
  return way;
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

Run define_import(CLI::App& app) {
  app.require_subcommand(1);
  auto flags = std::make_shared<ImportFlags>();
  CLI::App* certbot = app.add_subcommand("certbot", "Take over accounts and certificates from certbot");
  certbot->description(
      "Copies certbot's account keys and certificates into culmen's state folder, so that culmen renew goes on with "
      "them.\n"
      "certbot's folder stays as it is, and so does what culmen has already.");
  certbot->add_option("--from", flags->from, "certbot's folder")->type_name("FOLDER")->capture_default_str();
  auto* list = certbot->add_flag("--list", flags->list, "Only show what is there");
  certbot->add_flag("--dry-run", flags->dry_run, "Only say what would be done")->excludes(list);
  certbot->add_option("--account", flags->accounts, "Only this account, by its folder's name; repeatable")
      ->allow_extra_args(false)
      ->type_name("ID");
  certbot->add_option("--name", flags->names, "Only this certificate and its account; repeatable")
      ->allow_extra_args(false)
      ->type_name("NAME");
  certbot->add_option("--webroot", flags->webroot, "Where http-01 answers go that certbot left to a web server")
      ->check(CLI::ExistingDirectory.description(""))
      ->type_name("FOLDER");
  certbot->add_option("--dns-hook", flags->dns_hook, "Program that changes the DNS, in place of certbot's plugins")
      ->type_name("PROGRAM");
  certbot->add_option("--server-ca", flags->server_ca, "PEM file of roots to trust for the CA, beside the system's")
      ->check(CLI::ExistingFile.description(""))
      ->type_name("FILE");
  certbot
      ->add_option("--dir", flags->dir,
                   "State folder (default: /var/lib/culmen for root, else $XDG_DATA_HOME/culmen or "
                   "~/.local/share/culmen)")
      ->type_name("FOLDER");
  certbot->add_flag("--json", flags->json, "Print one JSON object at the end and nothing else, for errors too");
  return [flags](Output& output) { return Import(*flags, output).run(); };
}

}  // namespace culmen::cli
