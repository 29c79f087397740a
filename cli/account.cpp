// culmen account: the account's own life.
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "account_store.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

struct Flags {
  Flags() = default;
  ServerFlags server;
  AccountFlags account;
  std::string new_key_type = "ec:P-256";
  bool no_contact = false;
};

void describe(const Account& account, const AccountFiles& files, Output& output) {
  std::string contacts;
  for (const std::string& contact : account.contacts) contacts += (contacts.empty() ? "" : ", ") + printable(contact);
  output.say("Account    " + printable(account.url));
  output.say("Status     " + std::string(to_string(account.status)));
  output.say("Contacts   " + (contacts.empty() ? "none" : contacts));
  output.say("Key        " + files.key_path().string() + " (" + account.key.private_key().type() + ")");
  output.say("Thumbprint " + account.thumbprint());
  JsonObject& json = output.result();
  json.set("account", account.url);
  json.set("status", to_string(account.status));
  json.set("contacts", account.contacts);
  json.set("key", files.key_path().string());
  json.set("key_type", account.key.private_key().type());
  json.set("thumbprint", account.thumbprint());
}

void run_register(const Flags& flags, blocking::AcmeClient& client, const AccountFiles& files, Output& output) {
  const Account account = register_account(client, files, flags.account, output);
  output.say(account.created ? "Made an account" : "This key had an account already; its contacts are as they were");
  output.result().set("created", account.created);
  describe(account, files, output);
}

void run_show(const Flags&, blocking::AcmeClient& client, const AccountFiles& files, Output& output) {
  describe(client.get_account(known_account(client, files, output)), files, output);
}

void run_update(const Flags& flags, blocking::AcmeClient& client, const AccountFiles& files, Output& output) {
  const Account before = known_account(client, files, output);
  const Account account = client.update_account(before, contact_urls(flags.account.contacts));
  files.keep_account(account);
  describe(account, files, output);
}

std::optional<Account> account_after_failure(blocking::AcmeClient& client, const AccountFiles& files,
                                             const AccountKey& new_key, Output& output) {
  try {
    Account account = known_account(client, files, output);
    if (account.key.private_key().same_key_as(new_key.private_key())) return account;
  } catch (const Error&) {
    // Not to be settled now: the next command tries again, and the first error tells more.
  }
  return std::nullopt;
}

void run_rollover(const Flags& flags, blocking::AcmeClient& client, const AccountFiles& files, Output& output) {
  const Account before = known_account(client, files, output);
  const AccountKey new_key = AccountKey::generate(flags.new_key_type);
  files.keep_next_key(new_key);
  std::optional<Account> after;
  try {
    after = client.key_change(before, new_key);
    files.take_next_key();
    files.keep_account(*after);
  } catch (const Error&) {
    // Whatever the answer was: the CA may have done it. Both keys are on disk; asking settles which of them counts.
    after = account_after_failure(client, files, new_key, output);
    if (!after) throw;
  }
  output.say("The account has a new key; the old one is of no use any more");
  describe(*after, files, output);
}

void run_deactivate(const Flags&, blocking::AcmeClient& client, const AccountFiles& files, Output& output) {
  const Account account = client.deactivate_account(known_account(client, files, output));
  const auto retired = files.retire();
  output.say("Deactivated, for good: " + printable(account.url));
  output.say("Its key is kept in " + retired.string());
  output.result().set("account", account.url);
  output.result().set("status", to_string(account.status));
  output.result().set("key", retired.string());
}

void run_recover(const Flags&, blocking::AcmeClient& client, const AccountFiles& files, Output& output) {
  const auto key = files.key();
  if (!key) {
    throw Failure(exit_failed, "account_does_not_exist", "there is no account key in " + files.key_path().string(),
                  "Put the key there (mode 0600), or name its file with --account-key FILE.");
  }
  const Account found = client.find_account(*key);
  const Account account = client.get_account(found);
  files.keep_account(account);
  output.say("Found the account of this key");
  describe(account, files, output);
}

using AccountAction = void (*)(const Flags&, blocking::AcmeClient&, const AccountFiles&, Output&);

struct Verb {
  const char* name;
  const char* description;
  AccountAction action;
};
constexpr Verb verbs[] = {
    {"register", "Make an account (or find the one this key has)", run_register},
    {"show", "Show the account as the CA has it", run_show},
    {"update", "Replace the contacts", run_update},
    {"rollover", "Give the account a new key", run_rollover},
    {"deactivate", "End the account, for good", run_deactivate},
    {"recover", "Find the account of a key again", run_recover},
};

int run_verb(const Verb& verb, const Flags& flags, Output& output) {
  output.verbose(flags.server.verbose);
  if (verb.action == run_update && flags.account.contacts.empty() && !flags.no_contact) {
    throw Failure(exit_usage, "invalid_argument", "say what to change: --contact ADDRESS, or --no-contact");
  }
  eab_of(flags.account);  // bad flags show before anything is done
  const AccountFiles files(flags.server, directory_url(flags.server));
  const FolderLock lock = files.lock();
  blocking::AcmeClient client = connect(flags.server, output);
  verb.action(flags, client, files, output);
  return exit_ok;
}

}  // namespace

void define_account(Command& command) {
  auto flags = std::make_shared<Flags>();
  for (const Verb& verb : verbs) {
    Command sub = command.subcommand(verb.name, verb.description);
    add_server_flags(sub, flags->server);
    if (verb.action == run_register) add_account_flags(sub, flags->account);
    if (verb.action == run_rollover) add_key_type_flag(sub, "--key-type", flags->new_key_type, "Type of the new key");
    if (verb.action == run_update) {
      add_contact_flag(sub, flags->account.contacts);
      sub.flag("--no-contact", flags->no_contact, "Clear the contacts").excludes("--contact");
    }
    sub.set_action([flags, &verb](Output& output) { return run_verb(verb, *flags, output); });
  }
}

}  // namespace culmen::cli
