// culmen account: the account's own life.
#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "account_flags.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/stored_accounts.hpp"
#include "hint.hpp"
#include "host.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

struct Flags {
  Flags() = default;
  StateFlags state;
  ServerFlags server;
  ConnectionFlags connection;
  AccountFlags account;
  std::string new_key_type = "ec:P-256";
  bool no_contact = false;
  bool new_key = false;
};

/// One account of one CA, as the verbs use it.
struct Session {
  Session(const Flags& flags_, Output& output_)
      : flags(flags_),
        output(output_),
        host(flags.state, Host::Access::write, output),
        client(connect(flags.server.server, flags.server.server_ca, flags.connection, output)),
        storage(host.storage_with_account(flags.server.account_key)) {}

  Account find() { return client.run(find_stored_account(storage, client.session(), host.lease())); }
  std::string key_file() const {
    if (!flags.server.account_key.empty()) return flags.server.account_key;
    return host.account_key_file(client.directory().url);
  }

  const Flags& flags;
  Output& output;
  Host host;
  blocking::AcmeClient client;
  std::shared_ptr<culmen::Storage> storage;
};

void describe(const Account& account, const Session& session) {
  Output& output = session.output;
  std::string contacts;
  for (const std::string& contact : account.contacts) contacts += (contacts.empty() ? "" : ", ") + printable(contact);
  output.say("Account    " + printable(account.url));
  output.say("Status     " + std::string(to_string(account.status)));
  output.say("Contacts   " + (contacts.empty() ? "none" : contacts));
  output.say("Key        " + session.key_file() + " (" + account.key.private_key().type() + ")");
  output.say("Thumbprint " + account.thumbprint());
  JsonObject& json = output.result();
  json.set("account", account.url);
  json.set("status", to_string(account.status));
  json.set("contacts", account.contacts);
  json.set("key", session.key_file());
  json.set("key_type", account.key.private_key().type());
  json.set("thumbprint", account.thumbprint());
  for (const std::string& warning : account.warnings) output.warn(printable(warning, 1000));
}

void run_register(Session& session) {
  const Flags& flags = session.flags;
  const auto registered = [&](bool replace) {
    return session.client.run(register_stored_account(
        session.storage, session.client.session(), flags.account.key_type,
        [&] { return account_options(flags.account, session.client.directory()); }, replace, session.host.lease()));
  };
  std::string before;
  for (const StoredAccount& known : session.host.run(list_accounts(session.storage)))
    if (known.record.directory_url == session.client.directory().url) before = known.record.url;
  const Account account = [&] {
    try {
      const Account found = registered(flags.new_key);
      return found.status == AccountStatus::valid ? found : registered(true);
    } catch (const Error& error) {
      // One that is deactivated cannot be used any more.
      if (error.code() != Errc::unauthorized || flags.new_key) throw;
      return registered(true);
    }
  }();
  session.output.say(account.created ? "Made an account"
                                     : "This key already had an account; its contacts are unchanged");
  session.output.result().set("created", account.created);
  describe(account, session);
  if (flags.new_key && !before.empty() && before != account.url)
    session.output.say("The account before is not deactivated, and its key is in keys/unused: " + printable(before));
}

void run_show(Session& session) { describe(session.client.get_account(session.find()), session); }

void run_update(Session& session) {
  describe(session.client.update_account(session.find(), contact_urls(session.flags.account.contacts)), session);
}

void run_rollover(Session& session) {
  const Account account = session.client.run(change_stored_account_key(
      session.storage, session.client.session(), session.flags.new_key_type, session.host.lease()));
  session.output.say("The account has a new key; the old one is no longer valid");
  describe(account, session);
}

void run_deactivate(Session& session) {
  const Account account = session.find();
  const std::string key =
      session.client.run(deactivate_stored_account(session.storage, session.client.session(), session.host.lease()));
  const std::string place = session.host.place_of_key(key);
  session.output.say("Deactivated permanently: " + printable(account.url));
  session.output.say("Its key is kept as " + place + ". Create the next account with " + hint("account register") +
                     ".");
  session.output.result().set("account", account.url);
  session.output.result().set("status", "deactivated");
  session.output.result().set("key", place);
}

void run_recover(Session& session) {
  const Account account =
      session.client.run(recover_stored_account(session.storage, session.client.session(), session.host.lease()));
  session.output.say("Found the account of this key");
  describe(account, session);
}

struct Verb {
  const char* name;
  const char* description;
  void (*action)(Session&);
};
constexpr Verb verbs[] = {
    {"register", "Create an account, or find the one that this key already has", run_register},
    {"show", "Show the account as the CA has it", run_show},
    {"update", "Replace the contacts", run_update},
    {"rollover", "Change the key of the account", run_rollover},
    {"deactivate", "Deactivate the account permanently", run_deactivate},
    {"recover", "Look up the lost URL of an account by its key", run_recover},
};

/// The CA of the one account that there is. The default CA is not asked about accounts at others. Throws Failure
/// if there is no account (exit_failed), or no way to choose (exit_usage).
std::string only_server(const Host& host, const std::string& default_server) {
  std::vector<std::string> servers;
  for (const StoredAccount& account : host.run(list_accounts(host.storage())))
    servers.push_back(account.record.directory_url.empty() ? account.server : account.record.directory_url);
  if (servers.empty())
    throw Failure(exit_failed, "account_does_not_exist", "there is no account in " + host.place(),
                  "Create one: " + hint("account register --agree-tos") + ", with --server for another CA than " +
                      default_server + ".");
  if (servers.size() == 1) return servers.front();
  const std::string wanted = directory_url(default_server);
  if (std::find(servers.begin(), servers.end(), wanted) != servers.end()) return wanted;
  std::string all;
  for (const std::string& server : servers) all += (all.empty() ? "" : ", ") + printable(server);
  throw Failure(exit_usage, "invalid_argument", "there are accounts at several CAs: " + all,
                "Say which with --server URL.");
}

/// What this host was told with a certificate of that CA; empty: nothing.
std::string remembered_roots(const Host& host, const std::string& server, Output& output) {
  const std::string directory = directory_url(server);
  for (const culmen::StoredCertificate& certificate : host.certificates()) {
    try {
      const std::optional<Settings> settings = host.settings(certificate);
      if (!settings || settings->host.server_ca.empty()) continue;
      for (const std::string& ca : settings->spec.cas)
        if (directory_url(ca) == directory) return settings->host.server_ca;
    } catch (const Error& error) {
      output.log(printable(error.what(), 2000));  // no matter of accounts
    }
  }
  return {};
}

int run_verb(const Verb& verb, Flags flags, bool server_given, Output& output) {
  output.verbose(flags.connection.verbose);
  if (verb.action == run_update && flags.account.contacts.empty() && !flags.no_contact)
    throw Failure(exit_usage, "invalid_argument", "say what to change: --contact ADDRESS, or --no-contact");
  eab_of(flags.account);  // bad flags show before anything is done
  contact_urls(flags.account.contacts);
  {
    const bool is_new = verb.action == run_register || !flags.server.account_key.empty();
    const Host host(flags.state, Host::Access::if_there, output);
    if (!server_given && !is_new) flags.server.server = only_server(host, flags.server.server);
    if (flags.server.server_ca.empty()) flags.server.server_ca = remembered_roots(host, flags.server.server, output);
  }
  Session session(flags, output);
  verb.action(session);
  return exit_ok;
}

/// What storage has, without asking any CA.
int run_list(const StateFlags& flags, Output& output) {
  const Host host(flags, Host::Access::read, output);
  std::vector<JsonObject> entries;
  bool damaged = false;
  for (const StoredAccount& account : host.run(list_accounts(host.storage()))) {
    JsonObject entry;
    const std::string server = account.record.directory_url.empty() ? account.server : account.record.directory_url;
    entry.set("server", server);
    entry.set("account", account.record.url);
    if (!account.damage.empty()) entry.set("damage", printable(account.damage, 1000));
    output.say(printable(server) + "  " +
               (!account.damage.empty()      ? "damaged: " + printable(account.damage, 1000)
                : account.record.url.empty() ? "a key without an account"
                                             : printable(account.record.url)));
    damaged = damaged || !account.damage.empty();
    entries.push_back(std::move(entry));
  }
  if (entries.empty()) output.say("There is no account in " + host.place());
  output.result().set("accounts", entries);
  return damaged ? exit_failed : exit_ok;
}

}  // namespace

void define_account(Command& command) {
  auto flags = std::make_shared<Flags>();
  for (const Verb& verb : verbs) {
    Command sub = command.subcommand(verb.name, verb.description);
    const Option server = add_server_flags(sub, flags->server);
    if (verb.action == run_register) {
      add_account_flags(sub, flags->account);
      sub.flag("--new-key", flags->new_key, "Create another account with a new key, for instance after a deactivation");
    }
    if (verb.action == run_rollover) add_key_type_flag(sub, "--key-type", flags->new_key_type, "Type of the new key");
    if (verb.action == run_update) {
      add_contact_flag(sub, flags->account.contacts);
      sub.flag("--no-contact", flags->no_contact, "Clear the contacts").excludes("--contact");
    }
    add_state_flags(sub, flags->state);
    add_connection_flags(sub, flags->connection);
    sub.set_action([flags, server, &verb](Output& output) { return run_verb(verb, *flags, server.given(), output); });
  }
  Command list = command.subcommand("list", "Show the accounts of this host, without asking a CA");
  add_state_flags(list, flags->state);
  add_json_flag(list, flags->connection.json);
  list.set_action([flags](Output& output) { return run_list(flags->state, output); });
}

}  // namespace culmen::cli
