// culmen import: accounts and certificates of another client, for culmen renew to go on with.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <set>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/stored_accounts.hpp"
#include "files.hpp"
#include "found.hpp"
#include "host.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

namespace fs = std::filesystem;

struct ImportFlags {
  ImportFlags() = default;
  StateFlags state;
  std::string from;
  std::string server;
  std::string server_ca;
  std::string webroot;
  std::string dns_hook;
  std::vector<std::string> accounts;
  std::vector<std::string> names;
  bool list = false;
  bool dry_run = false;
  bool json = false;
};

/// A client that culmen takes over from.
struct OtherClient {
  const char* name;
  const char* from;  ///< Where its folder is by default; "~": below HOME; empty: has to be given.
  const char* description;
  Found (*find)(const ImportChoices& choices);
  enum class Server { known, may_be_unknown, unknown } server;  ///< Whether the client keeps which CA it was.
};

std::string absolute_or_empty(const std::string& path) { return path.empty() ? path : remembered_path(path).string(); }

ImportChoices choices_of(const ImportFlags& flags) {
  ImportChoices choices;
  std::string from = flags.from;
  if (from.starts_with("~/")) {
    const char* const home = std::getenv("HOME");
    if (home == nullptr || *home != '/')
      throw Failure(exit_usage, "invalid_argument", "there is no HOME to look in", "Say where with --from FOLDER.");
    from = home + from.substr(1);
  }
  choices.from = fs::absolute(from).lexically_normal();
  if (!flags.server.empty()) choices.server = directory_url(flags.server);
  choices.server_ca = absolute_or_empty(flags.server_ca);
  choices.webroot = absolute_or_empty(flags.webroot);
  const bool is_path = flags.dns_hook.find('/') != std::string::npos;
  choices.dns_hook = is_path ? absolute_or_empty(flags.dns_hook) : flags.dns_hook;
  return choices;
}

/// What the program of the release before reads from meta.json.
JsonObject meta_of(const FoundCertificate& certificate, const std::string& account_url) {
  JsonObject meta;
  meta.set("server", certificate.server);
  meta.set("account", account_url);
  meta.set("names", certificate.settings.spec.names);
  meta.set("key_type", certificate.settings.spec.key_types.front());
  meta.set("issued", time_text(certificate.leaf.not_before));
  meta.set("imported_from", printable(certificate.source.string(), 4096));
  meta.copy_all(meta_for_release_before(certificate.settings));
  if (certificate.settings.spec.challenge == "http-01" && certificate.settings.host.webroot.empty()) {
    JsonObject challenge = meta.object("challenge");
    challenge.set("http_port", certificate.settings.host.http_port);
    meta.set("challenge", challenge);
  }
  return meta;
}

class Import {
 public:
  Import(const OtherClient& client, const ImportFlags& flags, Output& output)
      : client_(client), flags_(flags), output_(output), choices_(choices_of(flags)) {}

  int run();

 private:
  void choose();
  /// Each is done by itself: what is wrong with one is reported and does not keep the others.
  template <class Work>
  void one(std::vector<JsonObject>& entries, JsonObject entry, Work work);
  std::vector<const FoundAccount*> chosen_accounts(std::vector<const FoundAccount*> candidates,
                                                   const std::string& server) const;
  void accounts_of(const std::string& server, std::vector<const FoundAccount*> candidates,
                   std::vector<JsonObject>& entries);
  void one_account(const FoundAccount& account, JsonObject& entry);
  void one_certificate(FoundCertificate& certificate, JsonObject& entry);
  void store(const std::string& id, const FoundCertificate& certificate);
  std::optional<StoredAccount> stored_account(const std::string& server) const;
  const FoundAccount* account_for(const FoundCertificate& certificate) const;
  std::string account_url(const FoundCertificate& certificate) const;
  void note(JsonObject& entry, const std::vector<std::string>& notes);
  void say_what_is_next();
  bool writes() const noexcept { return !flags_.list && !flags_.dry_run; }

  const OtherClient& client_;
  const ImportFlags& flags_;
  Output& output_;
  ImportChoices choices_;
  Found found_;
  std::optional<Host> host_;
  int worst_ = exit_ok;
  int imported_ = 0, failed_ = 0, with_certificate_ = 0;
};

int Import::run() {
  found_ = client_.find(choices_);
  for (FoundCertificate& certificate : found_.certificates) certificate.settings.host.server_ca = choices_.server_ca;
  choose();
  host_.emplace(flags_.state, writes() ? Host::Access::write : Host::Access::if_there, output_);
  std::vector<JsonObject> accounts, certificates;
  for (auto first = found_.accounts.begin(); first != found_.accounts.end();) {
    const std::string server = first->server;
    std::vector<const FoundAccount*> candidates;
    for (; first != found_.accounts.end() && first->server == server; ++first) candidates.push_back(&*first);
    accounts_of(server, std::move(candidates), accounts);
  }
  for (FoundCertificate& certificate : found_.certificates) {
    JsonObject entry;
    entry.set("name", printable(certificate.name));
    one(certificates, std::move(entry), [&](JsonObject& e) { one_certificate(certificate, e); });
  }
  if (accounts.empty() && certificates.empty())
    output_.say("There is nothing to import in " + printable(choices_.from.string(), 4096));
  if (with_certificate_ > 0) say_what_is_next();
  JsonObject& json = output_.result();
  json.set("changed", imported_ > 0);
  json.set("imported", imported_);
  json.set("failed", failed_);
  json.set("accounts", accounts);
  json.set("certificates", certificates);
  return worst_;
}

void Import::say_what_is_next() {
  for (const std::string& text : found_.notes) output_.say("note: " + printable(text, 1000));
  const std::string ending =
      found_.end_of_other_renewals.empty() ? std::string() : "\nand then " + found_.end_of_other_renewals;
  if (host_->keeps_files()) {
    output_.say("culmen renew renews them from now on. Let your servers read key and chain from\n  " +
                (host_->live_folder("NAME").parent_path().parent_path() / "<name>/live/").string() + ending);
  } else {
    output_.say(
        "culmen renew renews them from now on. Say where your servers read key and chain, with\n  culmen edit "
        "NAME --cert-key FILE --out FILE" +
        ending);
  }
}

// Names and accounts that are not there are errors before anything is done.
void Import::choose() {
  const auto check = [this](const std::string& what, const std::vector<std::string>& asked,
                            const std::vector<std::string>& known) {
    for (const std::string& one : asked) {
      if (std::find(known.begin(), known.end(), one) != known.end()) continue;
      std::string there;
      for (const std::string& name : known) there += (there.empty() ? "" : ", ") + printable(name);
      throw Failure(exit_usage, "not_found",
                    "there is no " + what + " \"" + printable(one) + "\" in " + choices_.from.string(),
                    "There is: " + (there.empty() ? "none" : there));
    }
  };
  std::vector<std::string> names, ids;
  for (const FoundCertificate& certificate : found_.certificates) names.push_back(certificate.name);
  for (const FoundAccount& account : found_.accounts) ids.push_back(account.id);
  check("certificate", flags_.names, names);
  check("account", flags_.accounts, ids);
  if (flags_.names.empty()) return;
  std::erase_if(found_.certificates, [this](const FoundCertificate& certificate) {
    return std::find(flags_.names.begin(), flags_.names.end(), certificate.name) == flags_.names.end();
  });
}

template <class Work>
void Import::one(std::vector<JsonObject>& entries, JsonObject entry, Work work) {
  int code = exit_ok;
  try {
    work(entry);
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    code = output_.fail(error);
  } catch (const Failure& failure) {
    code = output_.fail(failure);
  } catch (const std::exception& thrown) {
    code = output_.fail(Error(Errc::io_failed, "importing", thrown.what()));
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

// culmen has one account for a server; others may have more.
std::vector<const FoundAccount*> Import::chosen_accounts(std::vector<const FoundAccount*> candidates,
                                                         const std::string& server) const {
  std::set<std::string> in_use;
  for (const FoundCertificate& certificate : found_.certificates) {
    if (certificate.server == server) in_use.insert(certificate.account_id);
  }
  const auto keep = [&candidates](const auto& wanted) {
    std::erase_if(candidates, [&](const FoundAccount* account) {
      return std::find(wanted.begin(), wanted.end(), account->id) == wanted.end();
    });
  };
  const bool some_in_use = std::any_of(candidates.begin(), candidates.end(),
                                       [&](const FoundAccount* account) { return in_use.contains(account->id); });
  if (!flags_.accounts.empty()) {
    keep(flags_.accounts);
  } else if (!flags_.list && (!flags_.names.empty() || (candidates.size() > 1 && some_in_use))) {
    keep(in_use);
  }
  return candidates;
}

void Import::accounts_of(const std::string& server, std::vector<const FoundAccount*> candidates,
                         std::vector<JsonObject>& entries) {
  candidates = chosen_accounts(std::move(candidates), server);
  if (!flags_.list && candidates.size() > 1) {
    JsonObject entry;
    entry.set("server", printable(server));
    one(entries, std::move(entry), [&](JsonObject&) {
      std::string ids;
      for (const FoundAccount* account : candidates) ids += (ids.empty() ? "" : ", ") + printable(account->id);
      throw Failure(exit_usage, "invalid_argument",
                    std::string(client_.name) + " has " + std::to_string(candidates.size()) + " accounts at " +
                        printable(server) + ", and culmen keeps one for a server: " + ids,
                    "Say which with --account ID.");
    });
    return;
  }
  for (const FoundAccount* account : candidates) {
    JsonObject entry;
    entry.set("account_id", printable(account->id));
    entry.set("server", printable(account->server));
    one(entries, std::move(entry), [&](JsonObject& e) { one_account(*account, e); });
  }
}

void Import::one_account(const FoundAccount& account, JsonObject& entry) {
  if (account.wrong) throw *account.wrong;
  const Account& found = *account.account;
  entry.set("account", printable(found.url));
  entry.set("key_type", found.key.private_key().type());
  const std::string title =
      "Account " + printable(account.id) + " at " + printable(account.server) + " (" + printable(found.url) + "): ";
  const auto conclude = [&](const char* result, const std::string& text) {
    entry.set("result", result);
    output_.say(title + text);
  };
  if (flags_.list) return conclude("found", found.key.private_key().type());
  if (const std::optional<StoredAccount> present = stored_account(account.server)) {
    const AccountRecord& record = present->record;
    if (!present->damage.empty()) {
      throw Error(Errc::io_failed, "reading " + host_->account_key_file(account.server), present->damage);
    }
    const bool is_same = AccountKey::from_pem(record.key_pem).private_key().same_key_as(found.key.private_key());
    if (!record.url.empty() || !record.next_key_pem.empty() || (is_same && found.url.empty())) {
      return conclude("kept",
                      is_same ? "is here already" : "not imported, culmen has another account there, and keeps it");
    }
  }
  if (!writes()) return conclude("would import", "would be imported");
  host_->run(import_account(host_->storage(), account.server, found, host_->lease()));
  ++imported_;
  conclude("imported", "imported");
}

void Import::one_certificate(FoundCertificate& certificate, JsonObject& entry) {
  if (certificate.wrong) throw *certificate.wrong;
  const Settings& settings = certificate.settings;
  if (!to_json(settings.host).has_only_utf8()) {
    throw Error(Errc::io_failed, "importing " + printable(certificate.name),
                "a path or a program in " + printable(certificate.source.string(), 4096) + " is not UTF-8");
  }
  const std::string id = checked_id(id_for(certificate));
  entry.set("id", id);
  entry.set("names", settings.spec.names);
  entry.set("server", printable(certificate.server));
  entry.set("authenticator", printable(certificate.authenticator));
  entry.set("challenge", meta_of(certificate, "").object("challenge"));
  entry.set("key_type", certificate.key->type());
  entry.set("not_after", time_text(certificate.leaf.not_after));
  const auto conclude = [&](const char* result, const std::string& text) {
    entry.set("result", result);
    output_.say(printable(certificate.name) + ": " + text);
  };
  const std::string what = names_text(certificate.leaf.identifiers) + "; until " +
                           time_text(certificate.leaf.not_after) + "; from " + printable(certificate.server);
  if (flags_.list) {
    const std::string& by = certificate.authenticator;
    return conclude("found", what + (by.empty() ? std::string() : "; by " + printable(by)));
  }
  const std::optional<culmen::StoredCertificate> present = host_->run(find_certificate(host_->storage(), id));
  // Without a record it is what an import left that did not end.
  if (present && (present->live || present->record.live > 0 || present->record.spec))
    return conclude("kept", "not imported, culmen has a certificate of that name, and keeps it");
  if (!writes()) {
    conclude("would import", "would be imported: " + what + "; to be renewed by " + printable(certificate.summary));
  } else {
    store(id, certificate);
    ++imported_;
    ++with_certificate_;
    conclude("imported", "imported: " + what + "; to be renewed by " + printable(certificate.summary));
  }
  if (id != certificate.name)
    certificate.notes.push_back("it is called " + id + " here, because its name cannot be one of culmen's");
  if (!account_for(certificate) && !stored_account(certificate.server)) {
    certificate.notes.push_back(
        "the account that it came from cannot be had from the folder of " + std::string(client_.name) +
        "; before it is renewed: culmen account register --agree-tos --server " + certificate.server);
  }
  note(entry, certificate.notes);
}

void Import::store(const std::string& id, const FoundCertificate& certificate) {
  const Result<void> good = check_spec(certificate.settings.spec);
  if (!good) throw good.error();
  CertificateRecord record;
  record.spec = certificate.settings.spec;
  record.spec->id = id;
  record.server = certificate.server;
  record.account = account_url(certificate);
  Generation generation;
  generation.key_pem = certificate.key->to_pem();
  generation.chain_pem = certificate.fullchain;
  generation.meta = meta_of(certificate, record.account).serialized();
  require_finished(*host_, id, output_);
  // The settings come first: a certificate without them would not be renewed here.
  host_->keep_settings(id, certificate.settings.host);
  host_->run(import_certificate(host_->storage(), id, record, generation, host_->lease()));
}

std::optional<StoredAccount> Import::stored_account(const std::string& server) const {
  for (StoredAccount& account : host_->run(list_accounts(host_->storage()))) {
    if (account.server == server_slug(server)) return std::move(account);
  }
  return std::nullopt;
}

/// The account that the certificate came from; null when it is not there any more, or damaged.
const FoundAccount* Import::account_for(const FoundCertificate& certificate) const {
  for (const FoundAccount& account : found_.accounts) {
    if (account.id == certificate.account_id && account.server == certificate.server && account.account)
      return &account;
  }
  return nullptr;
}

std::string Import::account_url(const FoundCertificate& certificate) const {
  const FoundAccount* const account = account_for(certificate);
  return account ? account->account->url : std::string();
}

void Import::note(JsonObject& entry, const std::vector<std::string>& notes) {
  if (notes.empty()) return;
  std::vector<std::string> shown;
  for (const std::string& text : notes) shown.push_back(printable(text, 1000));
  entry.set("notes", shown);
  for (const std::string& text : shown) output_.say("  note: " + text);
}

constexpr OtherClient other_clients[] = {
    {"certbot", "/etc/letsencrypt", "Take over accounts and certificates of certbot", find_of_certbot,
     OtherClient::Server::known},
    {"lego", "~/.lego", "Take over accounts and certificates of lego", find_of_lego,
     OtherClient::Server::may_be_unknown},
    {"acme.sh", "~/.acme.sh", "Take over accounts and certificates of acme.sh", find_of_acme_sh,
     OtherClient::Server::may_be_unknown},
    {"persist", "", "Take over accounts and certificates that a program keeps with the library's FilePersist",
     find_of_persist, OtherClient::Server::unknown},
};

}  // namespace

void define_import(Command& command) {
  for (const OtherClient& client : other_clients) {
    auto flags = std::make_shared<ImportFlags>();
    flags->from = client.from;
    Command sub = command.subcommand(client.name, std::string(client.description) +
                                                      ", so that culmen renew goes on with them.\nIts files stay as "
                                                      "they are, and so does what culmen has already.");
    Option from = sub.text("--from FOLDER", flags->from, std::string("The folder of ") + client.name);
    if (flags->from.empty()) from.required();
    if (client.server != OtherClient::Server::known) {
      Option server =
          sub.text("--server URL", flags->server,
                   "The CA, where its folder does not say: its directory URL, or a name that culmen ca list shows");
      if (client.server == OtherClient::Server::unknown) server.required();
    }
    sub.flag("--list", flags->list, "Only show what is there");
    sub.flag("--dry-run", flags->dry_run, "Only report what would be done").excludes("--list");
    sub.list("--account ID", flags->accounts, "Only this account, by its name in that client; repeatable");
    sub.list("--name NAME", flags->names, "Only this certificate and its account; repeatable");
    sub.text("--webroot FOLDER", flags->webroot,
             "Web root for certificates that the other client validated through a web server plugin")
        .existing_folder();
    sub.text("--dns-hook PROGRAM", flags->dns_hook, "Program that changes the DNS, in place of the other client's");
    sub.text("--server-ca FILE", flags->server_ca, "PEM file of roots to trust for the CA, in addition to the system's")
        .existing_file();
    add_state_flags(sub, flags->state);
    add_json_flag(sub, flags->json);
    sub.set_action([flags, &client](Output& output) { return Import(client, *flags, output).run(); });
  }
}

}  // namespace culmen::cli
