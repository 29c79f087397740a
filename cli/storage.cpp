// culmen storage: where certificates are kept.
#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/records.hpp"
#include "culmen/stored_accounts.hpp"
#include "culmen/version.hpp"
#include "files.hpp"
#include "host.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "storage_copy.hpp"
#include "storage_url.hpp"

namespace culmen::cli {

namespace {

constexpr std::size_t listed_at_once = 100;

struct StorageFlags {
  StorageFlags() = default;
  StateFlags state;
  std::string url, from, to, prefix;
  bool json = false;
};

std::function<void(const std::string&)> warner_of(Output& output) {
  return [&output](const std::string& text) { output.warn(printable(text)); };
}

blocking::Storage opened_for(const std::string& url, bool make, Output& output) {
  return blocking::Storage(open_storage(url, make, warner_of(output)), {}, interrupt_token());
}

/// Runs it, and says how long it took.
template <class Step>
auto timed(const std::string& what, JsonObject& entry, Output& output, Step step) {
  const auto begin = std::chrono::steady_clock::now();
  auto result = step();
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin).count();
  entry.set(what, std::int64_t{took});
  output.say("  " + what + ": " + std::to_string(took) + " ms");
  return result;
}

std::string random_text() {
  std::random_device device;
  return std::to_string(device()) + "-" + std::to_string(device());
}

/// With an absolute folder: the next command may run in another one.
std::string absolute_url(const std::string& url) {
  const std::filesystem::path folder = folder_of(url);
  return folder.empty() ? url : "file:" + folder.string();
}

/// The release before kept what a host does beside the certificate, from where a database does not take it.
void keep_settings_of_files(const StateFlags& flags, Output& output) {
  const Host before(flags, Host::Access::read, output);
  if (!before.keeps_files()) return;
  for (const culmen::StoredCertificate& certificate : before.certificates()) {
    if (before.has_settings(certificate.id)) continue;
    if (const auto settings = before.settings(certificate)) before.keep_settings(certificate.id, settings->host);
  }
}

int run_storage_init(const StorageFlags& flags, Output& output) {
  if (has_password(flags.url)) {
    throw Failure(exit_usage, "invalid_argument",
                  "the URL has a password, and is kept in a file: " + printable(shown_url(flags.url)),
                  "Leave the password out, and put it into ~/.pgpass (mode 0600, host:port:database:user:password), or "
                  "into another such file that the URL names: postgresql://user@host/database?passfile=FILE");
  }
  const std::filesystem::path folder = state_folder(flags.state.dir);
  const std::string url = absolute_url(flags.url);
  const blocking::Storage storage = opened_for(url, true, output);
  init_storage(url);
  (void)storage.list("certificates/", {}, 1);  // what the other commands need
  if (const std::filesystem::path own = folder_of(url); !own.empty()) {
    JsonObject mark;
    mark.set("format", 1);
    if (!read_json(own / folder_mark)) write_json(own / folder_mark, mark);
  }

  make_private_folder(folder);
  if (folder_of(url).empty()) keep_settings_of_files(flags.state, output);
  make_private_folder(folder / "local");
  JsonObject kept;
  kept.set("format", 1);
  kept.set("url", url);
  write_json(folder / "local" / "storage.json", kept);
  output.say("Certificates are kept in " + shown_url(url) + " from now on");
  output.result().set("storage", shown_url(url));

  const std::filesystem::path own = folder_of(url);
  std::error_code failed;
  const bool left = own != folder && std::filesystem::is_directory(folder / "accounts", failed);
  if (left) {
    output.say("What was kept in files of " + folder.string() +
               " stays there. To take it along: culmen storage copy file:" + folder.string() + " " + shown_url(url));
  }
  return exit_ok;
}

int run_storage_check(const StorageFlags& flags, Output& output) {
  const std::string url = flags.url.empty() ? Host(flags.state, Host::Access::read, output).storage_url() : flags.url;
  output.say(shown_url(url));
  JsonObject& json = output.result();
  json.set("storage", shown_url(url));
  json.set("culmen", CULMEN_VERSION);
  JsonObject times;
  const blocking::Storage storage = opened_for(url, false, output);
  const std::string name = "scratch/check", value = random_text(), key = name + "/" + value;
  // The first call connects, and compares the version of the tables.
  timed("connect and read", times, output, [&] { return storage.list("certificates/", {}, 1); });
  const std::optional<Lease> lease = timed(
      "take a lease", times, output, [&] { return storage.acquire(name, lease_owner(), std::chrono::seconds(10)); });
  if (!lease) {
    throw Error(Errc::held, "checking " + shown_url(url), "another culmen storage check is at work");
  }
  Write write(key, value);
  write.fence = lease;
  write.expires_in = std::chrono::minutes(1);
  Write removal(key);
  removal.fence = lease;
  timed("write", times, output, [&] { return storage.write_one(write); });
  const std::optional<StoredValue> read = timed("read", times, output, [&] { return storage.load_one(key); });
  timed("remove", times, output, [&] { return storage.write_one(removal); });
  timed("release the lease", times, output, [&] {
    storage.release(*lease);
    return true;
  });
  if (!read || read->value != value) {
    throw Error(Errc::io_failed, "checking " + shown_url(url), "what was written was not read again");
  }
  json.set("milliseconds", times);
  output.say("It works. This is culmen " CULMEN_VERSION ".");
  return exit_ok;
}

/// Whatever the folders are called.
void check_apart(const std::string& from, const std::string& to) {
  const std::filesystem::path source = folder_of(from), target = folder_of(to);
  std::error_code failed;
  const bool are_folders = !source.empty() && !target.empty();
  const std::string one = std::filesystem::weakly_canonical(source / "", failed).string(),
                    other = std::filesystem::weakly_canonical(target / "", failed).string();
  const auto with_slash = [](const std::string& path) { return path.ends_with('/') ? path : path + "/"; };
  const bool is_same = from == to || (are_folders && with_slash(one) == with_slash(other));
  if (is_same) throw Failure(exit_usage, "invalid_argument", "both storages are the same: " + shown_url(from));
  if (!are_folders) return;
  if (with_slash(other).starts_with(with_slash(one)) || with_slash(one).starts_with(with_slash(other))) {
    throw Failure(exit_usage, "invalid_argument", "one of the two folders is in the other: " + one + " and " + other,
                  "Name a folder beside it.");
  }
}

/// What can be read and is of no use, such as a certificate with the key of another one.
std::map<std::string, std::string> damaged_units(const blocking::Storage& source,
                                                 const std::shared_ptr<culmen::Storage>& storage) {
  std::map<std::string, std::string> damaged;
  for (const culmen::StoredCertificate& certificate : source.run(list_certificates(storage))) {
    if (!certificate.damage.empty()) damaged.emplace(certificate_lease(certificate.id), certificate.damage.front());
  }
  for (const StoredAccount& account : source.run(list_accounts(storage))) {
    if (!account.damage.empty()) damaged.emplace("accounts/" + storage_part(account.server), account.damage);
  }
  return damaged;
}

int run_storage_copy(const StorageFlags& flags, Output& output) {
  const std::string from = absolute_url(flags.from), to = absolute_url(flags.to);
  check_apart(from, to);
  const std::string doing = "copying " + shown_url(from) + " to " + shown_url(to);
  try {
    const std::shared_ptr<culmen::Storage> stored = open_storage(from, false, warner_of(output));
    const blocking::Storage source(stored, {}, interrupt_token());
    const std::map<std::string, std::string> damaged = damaged_units(source, stored);
    init_storage(to);
    const CopyResult copied = copy_storage(source, opened_for(to, true, output), damaged, output);
    JsonObject counts;
    std::string text;
    for (const auto& [kind, count] : copied.verified) {
      counts.set(kind, static_cast<std::int64_t>(count));
      text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + kind;
    }
    for (const std::string& key : copied.refused) output.warn("not copied: " + key);
    output.say(
        "Copied and compared: " + (text.empty() ? "nothing" : text) +
        (copied.there_before == 0 ? "" : "; " + std::to_string(copied.there_before) + " values were there before"));
    output.result().set("copied", counts);
    output.result().set("there_before", static_cast<std::int64_t>(copied.there_before));
    output.result().set("not_copied", copied.refused);
    if (!copied.refused.empty()) return exit_failed;
    output.say("To use it from now on: culmen storage init " + shown_url(to));
    return exit_ok;
  } catch (const Error& error) {
    throw error.while_doing(doing);
  }
}

int list_keys(const StorageFlags& flags, Output& output) {
  const Host host(flags.state, Host::Access::read, output);
  std::string prefix = flags.prefix;
  if (!prefix.empty() && !prefix.ends_with('/')) prefix += '/';
  std::vector<JsonObject> entries;
  bool damaged = false;
  std::string after;
  for (bool more = true; more;) {
    const std::vector<StoredItem> items = host.run(host.storage()->list(prefix, after, listed_at_once, true));
    for (const StoredItem& item : items) {
      JsonObject entry;
      entry.set("key", item.key);
      if (item.stored.revision.none()) {
        entry.set("damaged", true);
        damaged = true;
      } else {
        entry.set("size", static_cast<std::int64_t>(item.stored.value.size()));
      }
      output.say(item.key + "  " +
                 (item.stored.revision.none() ? "damaged" : std::to_string(item.stored.value.size()) + " bytes"));
      entries.push_back(std::move(entry));
    }
    more = items.size() == listed_at_once;
    if (more) after = items.back().key;
  }
  if (entries.empty())
    output.say("There is nothing" + (prefix.empty() ? "" : " below " + prefix) + " in " + host.place());
  output.result().set("storage", shown_url(host.storage_url()));
  output.result().set("keys", entries);
  return damaged ? exit_failed : exit_ok;
}

}  // namespace

void define_storage(Command& command) {
  auto flags = std::make_shared<StorageFlags>();
  Command init = command.subcommand("init", "Prepare a storage, and use it on this host from now on");
  init.argument("url URL", flags->url, "file:FOLDER or postgresql://USER@HOST/DATABASE, without a password").required();
  add_dir_flag(init, flags->state.dir);
  add_json_flag(init, flags->json);
  init.set_action([flags](Output& output) { return run_storage_init(*flags, output); });

  Command check = command.subcommand("check", "Connect, write, read and remove a value, and report how long it takes");
  check.argument("url URL", flags->url, "Which storage (default: the one that this host uses)");
  add_state_flags(check, flags->state);
  add_json_flag(check, flags->json);
  check.set_action([flags](Output& output) { return run_storage_check(*flags, output); });

  Command copy = command.subcommand("copy", "Copy everything from one storage to another, and compare");
  copy.argument("from FROM", flags->from, "URL of the storage to read; it is not changed").required();
  copy.argument("to TO", flags->to, "URL of the storage to write: empty, or an unfinished copy").required();
  add_json_flag(copy, flags->json);
  copy.set_action([flags](Output& output) { return run_storage_copy(*flags, output); });

  Command list = command.subcommand("list", "Show the keys of a storage and the sizes of their values");
  list.argument("prefix PREFIX", flags->prefix, "Only keys below it, such as certificates");
  add_state_flags(list, flags->state);
  add_json_flag(list, flags->json);
  list.set_action([flags](Output& output) { return list_keys(*flags, output); });
}

}  // namespace culmen::cli
