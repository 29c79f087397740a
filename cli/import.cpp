// culmen import: accounts and certificates of another client, for culmen renew to go on with.
#include <algorithm>
#include <cstdlib>
#include <memory>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/imports.hpp"
#include "deploy.hpp"
#include "files.hpp"
#include "hint.hpp"
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
struct ImportSource {
  OtherClient client;
  const char* folder;  ///< By default; "~": below HOME; empty: has to be given.
  const char* description;
  enum class Server { known, may_be_unknown, unknown } server;  ///< Whether the client keeps which CA it was.
  const char* end_of_renewals;                                  ///< How its own renewals end.
};

constexpr ImportSource import_sources[] = {
    {OtherClient::certbot, "/etc/letsencrypt", "Take over accounts and certificates of certbot",
     ImportSource::Server::known, "end certbot's renewals, as with: systemctl disable --now certbot.timer"},
    {OtherClient::lego, "~/.lego", "Take over accounts and certificates of lego", ImportSource::Server::may_be_unknown,
     "remove the crontab line or the timer that runs lego renew"},
    {OtherClient::acme_sh, "~/.acme.sh", "Take over accounts and certificates of acme.sh",
     ImportSource::Server::may_be_unknown, "end those of acme.sh: acme.sh --uninstall-cronjob"},
    {OtherClient::persist, "",
     "Take over accounts and certificates that a program keeps with the library's FilePersist",
     ImportSource::Server::unknown, "end the renewals of the program that kept them"},
};

std::string name_of(const ImportSource& source) { return std::string(to_string(source.client)); }

std::string absolute_or_empty(const std::string& path) { return path.empty() ? path : remembered_path(path).string(); }

ClientFolder client_folder(OtherClient client, const ImportFlags& flags) {
  std::string from = flags.from;
  if (from.starts_with("~/")) {
    const char* const home = std::getenv("HOME");
    if (home == nullptr || *home != '/')
      throw Failure(exit_usage, "invalid_argument", "there is no HOME to look in", "Say where with --from FOLDER.");
    from = home + from.substr(1);
  }
  ClientFolder folder(client, fs::absolute(from).lexically_normal());
  if (!flags.server.empty()) folder.server = directory_url(flags.server);
  folder.webroot = absolute_or_empty(flags.webroot);
  const bool is_path = flags.dns_hook.find('/') != std::string::npos;
  folder.dns_hook = is_path ? absolute_or_empty(flags.dns_hook) : flags.dns_hook;
  return folder;
}

FoundState read_state(const ImportSource& source, const ClientFolder& folder) {
  try {
    return find_client_state(folder);
  } catch (const Error& error) {
    if (error.code() == Errc::not_found)
      throw Failure(exit_failed, "not_found", error.detail(), "Say where it is with --from FOLDER.");
    throw Failure(exit_failed, "io_failed", error.what(),
                  "The folder of " + name_of(source) +
                      " may be for root alone: run this as root, or on a copy that you may read.");
  }
}

[[noreturn]] void throw_wrong(const Error& wrong) {
  if (wrong.code() != Errc::not_found) throw wrong;
  throw Failure(exit_failed, "not_found", wrong.what(), "Say which with --server URL, the URL of its directory.");
}

std::string edit_command(const std::string& id, const std::string& flags) { return hint("edit " + id + " " + flags); }

std::string note_text(const ImportNote& note, const std::string& id) {
  using Remedy = ImportNote::Remedy;
  const auto once_imported = [&](const std::string& flags) {
    return ", or once it is imported: " + edit_command(id, flags);
  };
  switch (note.remedy) {
    case Remedy::none: return note.text;
    case Remedy::webroot:
      return note.text + ". With a web server on it: import with --webroot FOLDER" + once_imported("--webroot FOLDER");
    case Remedy::dns_hook:
      return note.text + ". Import with --dns-hook PROGRAM" + once_imported("--challenge dns-01 --dns-hook PROGRAM");
    case Remedy::pre_hook: return note.text + ": " + edit_command(id, "--pre-hook PROGRAM");
    case Remedy::deploy_hook: return note.text + ": " + edit_command(id, "--deploy-hook PROGRAM");
    case Remedy::post_hook: return note.text + ": " + edit_command(id, "--post-hook PROGRAM");
  }
  return note.text;
}

/// "http-01 on port 80"
std::string challenge_text(const FoundCertificate& certificate) {
  const FoundHostPart& host = certificate.host;
  const std::string& type = certificate.spec.challenge;
  if (type == "dns-01") return host.dns_hook.empty() ? type : type + " with " + printable(host.dns_hook);
  if (!host.webroot.empty()) return type + " through " + printable(host.webroot);
  return type + " on port " + std::to_string(type == "http-01" ? host.http_port : host.tls_port);
}

Settings settings_of(const FoundCertificate& certificate, const std::string& server_ca) {
  const FoundHostPart& found = certificate.host;
  Settings settings;
  settings.spec = certificate.spec;
  HostSettings& host = settings.host;
  host.webroot = found.webroot;
  host.http_port = found.http_port;
  host.http_address = found.http_address;
  host.tls_port = found.tls_port;
  host.challenge.dns_hook = found.dns_hook;
  host.challenge.dns_wait = static_cast<int>(found.dns_wait.count());
  host.server_ca = server_ca;
  host.pre_hooks = found.pre_hooks;
  host.deploy_hooks = found.deploy_hooks;
  host.post_hooks = found.post_hooks;
  return settings;
}

/// The files where it was installed become outputs; if they cannot be written, returns why.
std::string take_outputs(const FoundHostPart& found, HostSettings& settings) {
  HostSettings outputs;
  outputs.out = found.chain_file;
  outputs.cert_key = found.key_file;
  try {
    check_outputs(outputs);
  } catch (const Failure& failure) {
    return failure.message;
  }
  settings.out = found.chain_file;
  settings.cert_key = found.key_file;
  return {};
}

JsonObject challenge_of(const Settings& settings) {
  JsonObject challenge = meta_for_release_before(settings).object("challenge");
  if (settings.spec.challenge == "http-01" && settings.host.webroot.empty())
    challenge.set("http_port", settings.host.http_port);
  return challenge;
}

JsonObject entry_of(const FoundAccount& account) {
  JsonObject entry;
  entry.set("account_id", printable(account.name));
  entry.set("server", printable(account.server));
  if (!account.account) return entry;
  entry.set("account", printable(account.account->url));
  entry.set("key_type", account.account->key.private_key().type());
  return entry;
}

JsonObject entry_of(const FoundCertificate& certificate) {
  JsonObject entry;
  entry.set("name", printable(certificate.name));
  if (certificate.wrong) return entry;
  entry.set("id", certificate.spec.id);
  entry.set("names", certificate.spec.names);
  entry.set("server", printable(certificate.server));
  entry.set("authenticator", printable(certificate.authenticator));
  entry.set("challenge", challenge_of(settings_of(certificate, "")));
  entry.set("key_type", certificate.key->type());
  entry.set("not_after", time_text(certificate.leaf.not_after));
  return entry;
}

std::string account_text(const FoundAccount& account) {
  return "Account " + printable(account.name) + " at " + printable(account.server) + " (" +
         printable(account.account->url) + ")";
}

std::string certificate_text(const FoundCertificate& certificate) {
  return names_text(certificate.leaf.identifiers) + "; until " + time_text(certificate.leaf.not_after) + "; from " +
         printable(certificate.server);
}

class Import {
 public:
  Import(const ImportSource& source, const ImportFlags& flags, Output& output)
      : source_(source), flags_(flags), output_(output), server_ca_(absolute_or_empty(flags.server_ca)) {}

  int run();

 private:
  /// Each is done by itself: what is wrong with one is reported and does not keep the others.
  template <class Work>
  void one(std::vector<JsonObject>& entries, JsonObject entry, const Work& work);
  void conclude(JsonObject& entry, const char* result, const std::string& text);
  void show(const FoundAccount& account, JsonObject& entry);
  void show(const FoundCertificate& certificate, JsonObject& entry);
  void import_one(const AccountImport& plan, JsonObject& entry);
  void import_one(const CertificateImport& plan, JsonObject& entry);
  void store(const CertificateImport& plan, const Settings& settings);
  void say_what_is_next(const std::vector<ImportNote>& notes);

  const ImportSource& source_;
  const ImportFlags& flags_;
  Output& output_;
  const std::string server_ca_;
  std::optional<Host> host_;
  int worst_ = exit_ok;
  int imported_ = 0, failed_ = 0, with_certificate_ = 0;
};

int Import::run() {
  const FoundState found = read_state(source_, client_folder(source_.client, flags_));
  ImportSelection selection;
  selection.certificates = flags_.names;
  selection.accounts = flags_.accounts;
  const FoundState chosen = selected(found, selection);
  std::vector<JsonObject> accounts, certificates;
  if (flags_.list) {
    for (const FoundAccount& account : chosen.accounts)
      one(accounts, entry_of(account), [&](JsonObject& entry) { show(account, entry); });
    for (const FoundCertificate& certificate : chosen.certificates)
      one(certificates, entry_of(certificate), [&](JsonObject& entry) { show(certificate, entry); });
  } else {
    host_.emplace(flags_.state, flags_.dry_run ? Host::Access::if_there : Host::Access::write, output_);
    const ImportPlan plan =
        plan_import(found, selection, host_->run(list_accounts(host_->storage())), host_->certificates());
    for (const AccountImport& account : plan.accounts)
      one(accounts, entry_of(account.found.front()), [&](JsonObject& entry) { import_one(account, entry); });
    for (const CertificateImport& certificate : plan.certificates)
      one(certificates, entry_of(certificate.found), [&](JsonObject& entry) { import_one(certificate, entry); });
  }
  if (accounts.empty() && certificates.empty())
    output_.say("There is nothing to import in " + printable(found.folder.string(), 4096));
  if (with_certificate_ > 0) say_what_is_next(found.notes);
  JsonObject& json = output_.result();
  json.set("changed", imported_ > 0);
  json.set("imported", imported_);
  json.set("failed", failed_);
  json.set("accounts", accounts);
  json.set("certificates", certificates);
  return worst_;
}

void Import::say_what_is_next(const std::vector<ImportNote>& notes) {
  for (const ImportNote& note : notes) output_.say("note: " + printable(note_text(note, "NAME"), 1000));
  const std::string ending = std::string("\nand then ") + source_.end_of_renewals;
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

template <class Work>
void Import::one(std::vector<JsonObject>& entries, JsonObject entry, const Work& work) {
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

void Import::conclude(JsonObject& entry, const char* result, const std::string& text) {
  entry.set("result", result);
  output_.say(text);
}

void Import::show(const FoundAccount& account, JsonObject& entry) {
  if (account.wrong) throw_wrong(*account.wrong);
  conclude(entry, "found", account_text(account) + ": " + account.account->key.private_key().type());
}

void Import::show(const FoundCertificate& certificate, JsonObject& entry) {
  if (certificate.wrong) throw_wrong(*certificate.wrong);
  const std::string& by = certificate.authenticator;
  conclude(entry, "found",
           printable(certificate.name) + ": " + certificate_text(certificate) +
               (by.empty() ? std::string() : "; by " + printable(by)));
}

void Import::import_one(const AccountImport& plan, JsonObject& entry) {
  const FoundAccount& account = plan.found.front();
  using Planned = AccountImport::Verdict;
  switch (plan.verdict) {
    case Planned::wrong: throw_wrong(*account.wrong);
    case Planned::damaged:
      throw Error(Errc::io_failed, "reading " + host_->account_key_file(account.server), plan.damage);
    case Planned::several: {
      entry = JsonObject();
      entry.set("server", printable(account.server));
      std::string names;
      for (const FoundAccount& one : plan.found) names += (names.empty() ? "" : ", ") + printable(one.name);
      throw Failure(exit_usage, "invalid_argument",
                    name_of(source_) + " has " + std::to_string(plan.found.size()) + " accounts at " +
                        printable(account.server) + ", and culmen keeps one for a server: " + names,
                    "Say which with --account ID.");
    }
    case Planned::same: return conclude(entry, "kept", account_text(account) + ": is here already");
    case Planned::other:
      return conclude(entry, "kept",
                      account_text(account) + ": not imported, culmen has another account there, and keeps it");
    case Planned::add: break;
  }
  if (flags_.dry_run) return conclude(entry, "would import", account_text(account) + ": would be imported");
  host_->run(import_account(host_->storage(), account.server, *account.account, host_->lease()));
  ++imported_;
  conclude(entry, "imported", account_text(account) + ": imported");
}

void Import::import_one(const CertificateImport& plan, JsonObject& entry) {
  const FoundCertificate& certificate = plan.found;
  if (plan.verdict == CertificateImport::Verdict::wrong) throw_wrong(*certificate.wrong);
  const std::string title = printable(certificate.name) + ": ";
  const std::string& id = certificate.spec.id;
  if (plan.verdict == CertificateImport::Verdict::keep) {
    return conclude(entry, "kept",
                    title + "not imported, culmen has a certificate " +
                        (id == certificate.name ? "of that name" : "called " + id) + ", and keeps it");
  }
  Settings settings = settings_of(certificate, server_ca_);
  std::vector<std::string> notes;
  for (const ImportNote& note : certificate.notes) notes.push_back(note_text(note, id));
  if (const std::string obstacle = take_outputs(certificate.host, settings.host); !obstacle.empty()) {
    notes.push_back(name_of(source_) + " wrote it to files that culmen cannot write (" + obstacle +
                    "): " + edit_command(id, "--out FILE --cert-key FILE"));
  }
  if (id != certificate.name)
    notes.push_back("it is called " + id + " here, because its name cannot be one of culmen's");
  if (plan.lacks_account) {
    notes.push_back("the account that it came from cannot be had from the folder of " + name_of(source_) +
                    "; before it is renewed: culmen account register --agree-tos --server " + certificate.server);
  }
  const std::string what = certificate_text(certificate) + "; to be renewed by " + challenge_text(certificate);
  if (flags_.dry_run) {
    conclude(entry, "would import", title + "would be imported: " + what);
  } else {
    store(plan, settings);
    ++imported_;
    ++with_certificate_;
    conclude(entry, "imported", title + "imported: " + what);
  }
  if (notes.empty()) return;
  for (std::string& note : notes) {
    note = printable(note, 1000);
    output_.say("  note: " + note);
  }
  entry.set("notes", notes);
}

void Import::store(const CertificateImport& plan, const Settings& settings) {
  const std::string& id = settings.spec.id;
  // What the program of the release before reads from meta.json.
  JsonObject meta = JsonObject::parse(plan.generation.meta).value();
  meta.copy_all(meta_for_release_before(settings));
  meta.set("challenge", challenge_of(settings));
  Generation generation = plan.generation;
  generation.meta = meta.serialized();
  require_finished(*host_, id, output_);
  // The settings come first: a certificate without them would not be renewed here.
  host_->keep_settings(id, settings.host);
  host_->run(import_certificate(host_->storage(), id, plan.record, generation, host_->lease()));
}

}  // namespace

void define_import(Command& command) {
  for (const ImportSource& source : import_sources) {
    auto flags = std::make_shared<ImportFlags>();
    flags->from = source.folder;
    Command sub =
        command.subcommand(name_of(source), std::string(source.description) +
                                                ", so that culmen renew goes on with them.\nIts files stay as "
                                                "they are, and so does what culmen has already.");
    Option from = sub.text("--from FOLDER", flags->from, "The folder of " + name_of(source));
    if (flags->from.empty()) from.required();
    if (source.server != ImportSource::Server::known) {
      Option server =
          sub.text("--server URL", flags->server,
                   "The CA, where its folder does not say: its directory URL, or a name that culmen ca list shows");
      if (source.server == ImportSource::Server::unknown) server.required();
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
    sub.set_action([flags, &source](Output& output) { return Import(source, *flags, output).run(); });
  }
}

}  // namespace culmen::cli
