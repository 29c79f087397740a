#include "host.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <random>
#include <thread>

#include "client_options.hpp"
#include "command.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/deployment.hpp"
#include "culmen/file_storage.hpp"
#include "culmen/key_file_accounts.hpp"
#include "culmen/live_files.hpp"
#include "files.hpp"
#include "hint.hpp"
#include "interrupt.hpp"
#include "nearest.hpp"
#include "output.hpp"
#include "storage_url.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

constexpr int looks_for_lost = 10;
constexpr std::chrono::milliseconds between_looks(100);

fs::path settings_file(const fs::path& local, const std::string& id) {
  return local / "deploy" / (storage_part(id) + ".json");
}

/// Of the certificates that have a file in the folder.
std::vector<std::string> ids_of_files(const fs::path& folder) {
  std::vector<std::string> ids;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    if (entry->path().extension() != ".json") continue;
    if (auto id = storage_part_text(entry->path().stem().string())) ids.push_back(std::move(*id));
  }
  if (failed && failed != std::errc::no_such_file_or_directory)
    throw Error(Errc::io_failed, "reading " + folder.string(), failed.message()).with_system_code(failed);
  std::sort(ids.begin(), ids.end());
  return ids;
}

void remove_file(const fs::path& file) {
  std::error_code failed;
  fs::remove(file, failed);
  if (failed) throw Error(Errc::io_failed, "removing " + file.string(), failed.message()).with_system_code(failed);
}

std::function<void(const std::string&)> warner(Output& output) {
  return [&output](const std::string& warning) { output.warn(printable(warning)); };
}

const fs::path& folder_of_root() {
  static const fs::path folder = "/var/lib/culmen";
  return folder;
}

/// Whether it is there, also if this user may not look into it.
bool is_folder(const fs::path& folder) {
  std::error_code failed;
  return fs::is_directory(folder, failed) || failed == std::errc::permission_denied;
}

/// A disk that cannot be read is not an absent folder: throws Error (io_failed).
fs::file_status status_of(const fs::path& path) {
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (failed && failed != std::errc::no_such_file_or_directory && failed != std::errc::not_a_directory)
    throw Error(Errc::io_failed, "looking for " + path.string(), failed.message()).with_system_code(failed);
  return status;
}

Failure no_folder(const fs::path& folder) {
  std::string advice =
      "Nothing was issued yet? Begin with: culmen issue -d NAME. "
      "If it should be there, see whether its disk is mounted; --dir FOLDER names another one.";
  if (geteuid() != 0 && folder != folder_of_root() && is_folder(folder_of_root()))
    advice = folder_of_root().string() + " is there: run as root (sudo), or give --dir FOLDER.";
  return Failure(exit_failed, "not_found", "there is no state folder " + folder.string(), advice);
}

/// A folder of another user is said to be one, instead of a file in it that could not be opened.
void check_readable(const fs::path& folder) {
  if (access(folder.c_str(), R_OK | X_OK) == 0 || errno != EACCES) return;
  struct stat about {};
  const bool is_roots = stat(folder.c_str(), &about) != 0 || about.st_uid == 0;
  throw Failure(exit_failed, "io_failed", "the state folder " + folder.string() + " may not be read by this user",
                is_roots ? "Run as root (sudo)." : "Run as the user who owns it, or as root.");
}

std::string chosen_url(const StateFlags& flags, const fs::path& folder) {
  check_readable(folder);
  if (!flags.storage.empty()) return flags.storage;
  if (const auto kept = read_json(folder / "local" / "storage.json")) {
    if (const std::string url = kept->text("url"); !url.empty()) return url;
  }
  return "file:" + folder.string();
}

/// Whether culmen has ever stored something in the folder.
bool is_used(const fs::path& folder) {
  constexpr std::array parts = {"accounts", "certificates", "keys", "local", folder_mark};
  return std::any_of(parts.begin(), parts.end(),
                     [&](const char* part) { return fs::exists(status_of(folder / part)); });
}

[[noreturn]] void refuse_unused(const fs::path& folder, const std::string& advice) {
  throw Failure(exit_failed, "not_found", "culmen has stored nothing in " + folder.string(),
                "If certificates were kept there, see whether its disk is mounted, or restore a backup. " + advice);
}

std::shared_ptr<culmen::Storage> opened(const std::string& url, const fs::path& folder, Host::Access access,
                                        bool is_kept, Output& output) {
  if (access == Host::Access::write) {
    make_private_folder(folder);
  } else if (!fs::is_directory(status_of(folder))) {
    if (access == Host::Access::if_there) return memory_storage();
    throw no_folder(folder);
  }
  // One that `culmen storage init` was told of has its mark.
  const fs::path own = folder_of(url);
  if (is_kept && !own.empty() && own != folder && !is_used(own))
    refuse_unused(own, "If it is new: culmen storage init file:" + own.string());
  return open_storage(url, access == Host::Access::write, warner(output));
}

std::string advice_on_name(const std::string& id, const std::vector<std::string>& ids, Host::Guess guess) {
  if (ids.empty()) return "There is none at all.";
  // A wildcard is kept under a name that a folder can have.
  if (id.starts_with("*.")) {
    const std::string stored = id_of(CertificateSpec({id}));
    if (std::find(ids.begin(), ids.end(), stored) != ids.end()) return "It is called " + printable(stored) + " here.";
  }
  const std::string near = guess == Host::Guess::nearest ? nearest(id, ids) : std::string();
  if (!near.empty()) return "Did you mean \"" + printable(near) + "\"?";
  constexpr std::size_t most = 10;
  std::string names;
  for (std::size_t i = 0; i < ids.size() && i < most; ++i) names += (i ? ", " : "") + printable(ids[i]);
  if (ids.size() <= most) return "There are: " + names + ".";
  return "There are: " + names + " and " + std::to_string(ids.size() - most) + " more (" + hint("list") + ").";
}

}  // namespace

void add_state_flags(const Command& command, StateFlags& flags) {
  Command other = command;
  add_dir_flag(other, flags.dir);
  other
      .text("--storage URL", flags.storage,
            "Where certificates are kept: file:FOLDER or postgresql://… (default: files in the state folder)")
      .hide_default();
}

void check_outputs_beside_others(const Host& host, const std::string& id, const HostSettings& settings) {
  const std::vector<std::string> written = written_files(settings);
  const std::optional<JsonObject> before = read_json(settings_file(host.local_folder(), id));
  const std::vector<std::string> own_before =
      before ? written_files(host_settings_from(*before)) : std::vector<std::string>();
  for (const std::string& path : written) {
    // A copy of before that was damaged is written again.
    const bool is_new = std::find(own_before.begin(), own_before.end(), path) == own_before.end();
    const auto there = is_new ? read_file(path) : std::nullopt;
    if (there && !there->empty() && there->find("-----BEGIN ") == std::string::npos) {
      throw Failure(exit_usage, "invalid_argument", path + " is there, and has something else than PEM in it",
                    "It would be replaced. Move it away, or name another file.");
    }
    for (const fs::path& own : {host.folder(), folder_of(host.storage_url())}) {
      if (own.empty() || !is_below(replaced_file(path), replaced_file(own))) continue;
      throw Failure(exit_usage, "invalid_argument", path + " is in the state folder, whose files are culmen's own",
                    "Name a file elsewhere. Servers may also read certificates/NAME/live/ itself.");
    }
  }
  for (const std::string& other : host.ids_with_settings()) {
    const std::optional<JsonObject> kept = read_json(settings_file(host.local_folder(), other));
    if (other == id || !kept) continue;
    const HostSettings theirs = host_settings_from(*kept);
    std::vector<std::string> taken = written_files(theirs);
    taken.insert(taken.end(), {theirs.server_ca, theirs.account_key});
    if (theirs.cert_key_is_input) taken.push_back(theirs.cert_key);
    const std::vector<std::string> theirs_written = written_files(theirs);
    const bool is_their_key = settings.cert_key_is_input &&
                              std::any_of(theirs_written.begin(), theirs_written.end(), [&](const std::string& file) {
                                return replaced_file(file) == replaced_file(settings.cert_key);
                              });
    if (is_their_key) {
      throw Failure(exit_usage, "invalid_argument",
                    "--cert-key: culmen writes " + settings.cert_key + " for the certificate " + printable(other),
                    "Its next renewal may replace it. Name a file of its own, or a key that is made elsewhere.");
    }
    for (const std::string& path : written) {
      for (const std::string& file : taken) {
        if (file.empty() || replaced_file(path) != replaced_file(file)) continue;
        throw Failure(exit_usage, "invalid_argument", path + " is a file of the certificate " + printable(other),
                      "Name another file; each certificate needs its own.");
      }
    }
  }
}

std::string checked_id(const std::string& id) {
  const bool characters_fine = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == ':';
  });
  if (id.empty() || id.size() > 253 || id.front() == '.' || id.front() == '-' || !characters_fine) {
    throw Failure(exit_usage, "invalid_argument",
                  "\"" + printable(id) +
                      "\" cannot be the name of a certificate: a name has letters, digits, '.', '-', '_' and ':' only, "
                      "and begins with neither '.' nor '-'");
  }
  return id;
}

std::string lease_owner() {
  static const std::string owner = [] {
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {'l', 'o', 'c', 'a', 'l', '\0'};
    std::random_device device;
    return std::string(host.data()) + ":" + std::to_string(getpid()) + ":" + std::to_string(device());
  }();
  return owner;
}

Host::Host(const StateFlags& flags, Access access, Output& output)
    : folder_(state_folder(flags.dir)),
      url_(chosen_url(flags, folder_)),
      keeps_files_(!folder_of(url_).empty()),
      output_(output),
      storage_(opened(url_, folder_, access, flags.storage.empty(), output)),
      blocking_(storage_, {}, interrupt_token()),
      files_(keeps_files_ ? nullptr : open_storage("file:" + folder_.string(), false, warner(output))) {}

void Host::warn_of_readable_key(const std::string& key_file) const {
  std::error_code none;
  const fs::perms mode = fs::status(key_file, none).permissions();
  if (!none && (mode & fs::perms::others_read) != fs::perms::none)
    output_.warn(key_file + " holds a private key, and every user of this machine can read it");
}

std::shared_ptr<culmen::Storage> Host::storage_with_account(const std::string& key_file) const {
  if (!key_file.empty()) warn_of_readable_key(key_file);
  return key_file.empty() ? storage_ : with_key_file_account(storage_, key_file);
}

LeaseOptions Host::lease() const {
  LeaseOptions lease;
  lease.owner = lease_owner();
  lease.on_wait = [this](const std::string& name, std::chrono::seconds at_most) {
    output_.say("Waiting up to " + duration_text(at_most) + " for another culmen, which works on " + printable(name));
  };
  return lease;
}

culmen::StoredCertificate Host::certificate(const std::string& id, Guess guess) const {
  std::optional<culmen::StoredCertificate> found = run(find_certificate(storage_, id));
  if (found) return std::move(*found);
  if (is_lost(id)) throw Failure(exit_failed, "not_found", printable(id) + ": " + lost_text(id));
  std::vector<std::string> ids;
  for (const culmen::StoredCertificate& other : certificates()) ids.push_back(other.id);
  throw Failure(exit_usage, "not_found", "there is no certificate \"" + printable(id) + "\" in " + shown_url(url_),
                advice_on_name(id, ids, guess));
}

std::optional<Settings> Host::settings(const culmen::StoredCertificate& certificate) const {
  // What a database says of a host is not obeyed.
  if (!keeps_files_ && !has_settings(certificate.id)) return std::nullopt;
  Settings settings = settings_to_change(certificate);
  // A spec without names is damaged, and an error where it is used.
  if (settings.spec.names.empty() && !certificate.record.spec) return std::nullopt;
  return settings;
}

Settings Host::settings_to_change(const culmen::StoredCertificate& certificate) const {
  std::optional<JsonObject> meta;
  if (certificate.live) meta = JsonObject::parse(certificate.live->meta);
  Settings settings = settings_from_meta(meta ? *meta : JsonObject(), certificate.id);
  if (!keeps_files_) settings.host = HostSettings();
  if (certificate.record.spec) settings.spec = *certificate.record.spec;
  if (const std::optional<JsonObject> kept = read_json(settings_file(local_folder(), certificate.id)))
    settings.host = checked_host_settings(*kept, settings_file(local_folder(), certificate.id).string());
  return settings;
}

std::optional<Settings> Host::settings_of(const std::string& name, const std::vector<std::string>& names) const {
  if (!name.empty()) return settings(certificate(name));
  if (names.empty()) return std::nullopt;
  const std::string id = id_of(CertificateSpec({Identifier::parse(names.front()).value}));
  const std::optional<culmen::StoredCertificate> found = run(find_certificate(storage_, id));
  return found ? settings(*found) : std::nullopt;
}

void Host::want(const std::string& id, const CertificateSpec& spec) const {
  CertificateRecord record;
  record.spec = spec;
  Write write(certificate_record_key(id), encode(record));
  write.expected = Revision();
  try {
    blocking_.write_one(std::move(write));
  } catch (const Error& error) {
    if (error.code() != Errc::conflict) throw;  // it is there
  }
}

bool Host::has_settings(const std::string& id) const {
  return fs::exists(status_of(settings_file(local_folder(), id)));
}

std::vector<std::string> Host::ids_with_settings() const { return ids_of_files(local_folder() / "deploy"); }

/// Another program may be issuing or deleting it: settings come before the record, and go after it.
bool Host::is_lost(const std::string& id) const {
  for (int looks = 1;; ++looks) {
    const std::vector<NameChange> changes = begun_changes();
    const bool is_changing =
        std::any_of(changes.begin(), changes.end(), [&](const NameChange& each) { return each.concerns(id); });
    if (is_changing || run(find_certificate(storage_, id)) || !has_settings(id)) return false;
    if (looks == looks_for_lost || interrupted()) return true;
    std::this_thread::sleep_for(between_looks);
  }
}

std::vector<std::string> Host::lost_ids(const std::vector<culmen::StoredCertificate>& certificates) const {
  const std::vector<NameChange> changes = begun_changes();
  std::vector<std::string> lost;
  for (std::string& id : ids_with_settings()) {
    const bool is_there =
        std::any_of(certificates.begin(), certificates.end(), [&](const auto& each) { return each.id == id; }) ||
        std::any_of(changes.begin(), changes.end(), [&](const NameChange& each) { return each.concerns(id); });
    if (!is_there && is_lost(id)) lost.push_back(std::move(id));
  }
  return lost;
}

std::string Host::lost_text(const std::string& id) const {
  return "this host has settings for it, and it is not in " + place() +
         " any more. Restore it from a backup, or see whether a disk is mounted; culmen delete " + printable(id) +
         " forgets it.";
}

void Host::check_used() const {
  const fs::path own = folder_of(url_);
  if (!own.empty() && !is_used(own)) refuse_unused(own, "culmen issue gets the first certificate.");
}

void Host::keep_settings(const std::string& id, const HostSettings& settings) const {
  const fs::path file = settings_file(local_folder(), id);
  make_private_folder(local_folder());
  make_private_folder(file.parent_path());
  JsonObject object = to_json(settings);
  if (const std::optional<JsonObject> before = read_json(file); before && before->serialized() == object.serialized())
    return;
  write_json(file, object);
}

void Host::keep_files(const InstalledCertificate& certificate) const {
  if (!files_) return;
  blocking_.run<void>(write_live_files(files_, certificate));
}

// ---- Renaming and removing ----

std::string doing_text(const NameChange& change) {
  if (change.to.empty()) return "deleting " + printable(change.from);
  return "renaming " + printable(change.from) + " to " + printable(change.to);
}

ProcessLock Host::lock_changes(std::chrono::seconds patience) const {
  make_private_folder(local_folder());
  const fs::path file = local_folder() / "changes.lock";
  const auto give_up = std::chrono::steady_clock::now() + patience;
  for (;;) {
    if (std::optional<ProcessLock> lock = ProcessLock::take(file)) return std::move(*lock);
    const std::string doing = "locking " + file.string();
    if (interrupted()) throw Error(Errc::cancelled, doing, "interrupted");
    if (std::chrono::steady_clock::now() >= give_up) {
      throw Error(Errc::held, doing,
                  "process " + std::to_string(ProcessLock::holder(file)) +
                      ", another culmen, changes a certificate; run the same command again when it is done");
    }
    std::this_thread::sleep_for(between_looks);
  }
}

fs::path Host::begun_file(const std::string& id) const {
  return local_folder() / "begun" / (storage_part(id) + ".json");
}

std::vector<NameChange> Host::begun_changes() const {
  std::vector<NameChange> changes;
  for (std::string& id : ids_of_files(local_folder() / "begun")) {
    const std::optional<JsonObject> kept = read_json(begun_file(id));
    if (!kept) continue;  // done meanwhile
    NameChange change;
    change.from = std::move(id);
    change.to = kept->text("to");
    changes.push_back(std::move(change));
  }
  return changes;
}

bool Host::finish_change(const NameChange& change, std::chrono::seconds patience) const {
  const ProcessLock changing = lock_changes(patience);
  const std::optional<JsonObject> kept = read_json(begun_file(change.from));
  if (!kept || kept->text("to") != change.to) return false;
  LeaseOptions options = lease();
  options.patience = patience;
  if (patience < LeaseOptions().patience) options.on_wait = nullptr;  // in passing
  try {
    (void)carry_out(change, options);
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;
    remove_file(begun_file(change.from));  // another host deleted it meanwhile: nothing is left to do
  }
  return true;
}

void Host::rename(const std::string& from, const std::string& to) const {
  const ProcessLock changing = lock_changes(lease().patience);
  for (const NameChange& other : begun_changes()) {
    if (other.concerns(from) || other.concerns(to)) (void)carry_out(other, lease());
  }
  (void)certificate(from, Guess::none);  // another program may have been faster
  NameChange change;
  change.from = from;
  change.to = to;
  JsonObject begun;
  begun.set("format", 1);
  begun.set("to", to);
  make_private_folder(begun_file(from).parent_path());
  write_json(begun_file(from), begun);
  try {
    (void)carry_out(change, lease());
  } catch (const Error& error) {
    std::error_code failed;
    const bool is_taken = error.code() == Errc::conflict;  // another program was faster to make one of that name
    if (is_taken || !run(find_certificate(storage_, to))) fs::remove(begun_file(from), failed);  // nothing was begun
    if (error.code() == Errc::not_found) (void)certificate(from);  // another program was faster
    throw;
  }
}

std::vector<std::string> Host::remove(const std::string& id) const {
  const ProcessLock changing = lock_changes(lease().patience);
  // What this host has of one that was renamed is not this one's.
  for (const NameChange& other : begun_changes()) {
    if (other.from == id && !other.to.empty() && !run(find_certificate(storage_, id))) (void)carry_out(other, lease());
  }
  NameChange change;
  change.from = id;
  JsonObject begun;
  begun.set("format", 1);
  make_private_folder(begun_file(id).parent_path());
  write_json(begun_file(id), begun);
  std::vector<std::string> keys;
  try {
    keys = carry_out(change, lease());
  } catch (const Error&) {
    std::error_code failed;
    const auto there = run(find_certificate(storage_, id));
    if (there && there->damage.empty()) fs::remove(begun_file(id), failed);  // nothing was begun
    throw;
  }
  // What was begun with it and cannot be finished is over.
  for (const NameChange& other : begun_changes()) {
    if (other.concerns(id)) remove_file(begun_file(other.from));
  }
  return keys;
}

/// From wherever an earlier try ended.
std::vector<std::string> Host::carry_out(const NameChange& change, const LeaseOptions& lease) const {
  std::vector<std::string> keys;
  const bool is_there = run(find_certificate(storage_, change.from)).has_value();
  try {
    if (is_there && change.to.empty()) keys = run(remove_certificate(storage_, change.from, lease));
    if (is_there && !change.to.empty()) run(rename_certificate(storage_, change.from, change.to, lease));
  } catch (const Error& error) {
    // Another program may have done it meanwhile.
    if (error.code() != Errc::not_found) throw;
    if (!change.to.empty() && !run(find_certificate(storage_, change.to))) throw;
  }
  if (change.to.empty()) {
    drop_own(change.from, lease);
  } else if (run(find_certificate(storage_, change.to))) {
    rename_own(change, lease);
  }
  remove_file(begun_file(change.from));
  return keys;
}

void Host::rename_own(const NameChange& change, const LeaseOptions& lease) const {
  if (files_ && run(find_certificate(files_, change.from)))
    run(rename_certificate(files_, change.from, change.to, lease));
  rename_hook_records(local_folder(), change.from, change.to);
  const fs::path file = settings_file(local_folder(), change.from);
  if (!fs::exists(status_of(file))) return;
  std::error_code failed;
  fs::rename(file, settings_file(local_folder(), change.to), failed);
  if (failed && failed != std::errc::no_such_file_or_directory)
    throw Error(Errc::io_failed, "renaming " + file.string(), failed.message()).with_system_code(failed);
}

void Host::drop_own(const std::string& id, const LeaseOptions& lease) const {
  if (files_ && run(find_certificate(files_, id))) (void)run(remove_certificate(files_, id, lease));
  remove_hook_records(local_folder(), id);
  remove_file(settings_file(local_folder(), id));
}

InstalledCertificate installed_from(const culmen::StoredCertificate& certificate) {
  InstalledCertificate installed;
  installed.id = certificate.id;
  installed.chain_pem = certificate.live->chain_pem;
  installed.key_pem = certificate.live->key_pem;
  installed.generation = certificate.record.live;
  return installed;
}

std::vector<std::pair<NameChange, Error>> finish_begun(const Host& host, std::chrono::seconds patience, Output& output,
                                                       const std::vector<std::string>& kept_apart) {
  std::vector<std::pair<NameChange, Error>> failed;
  for (const NameChange& change : host.begun_changes()) {
    const std::string& left = change.to.empty() ? change.from : change.to;
    const bool is_apart = std::find(kept_apart.begin(), kept_apart.end(), left) != kept_apart.end();
    if (is_apart && (change.to.empty() || host.run(find_certificate(host.storage(), change.from)))) continue;
    try {
      if (host.finish_change(change, patience))
        output.say("Finished what a stopped program had begun: " + doing_text(change));
    } catch (const Error& error) {
      if (error.code() == Errc::cancelled) throw;
      failed.emplace_back(change, error.while_doing("finishing what a stopped program had begun"));
    }
  }
  return failed;
}

void require_finished(const Host& host, const std::string& id, Output& output) {
  for (const auto& [change, error] : finish_begun(host, std::chrono::seconds(30), output)) {
    if (change.concerns(id)) throw error;
    output.warn(printable(error.what(), 4000));
  }
}

std::string Host::place() const { return keeps_files_ ? folder_of(url_).string() : shown_url(url_); }

std::string Host::place_of_key(const std::string& key) const {
  const fs::path own = folder_of(url_);
  return own.empty() ? key : (own / key).string();
}

std::string Host::account_key_file(const std::string& directory_url) const {
  const fs::path own = folder_of(url_);
  if (own.empty()) return account_key_of(directory_url);
  return (own / "accounts" / server_slug(directory_url) / "account.key").string();
}

fs::path Host::live_folder(const std::string& id) const {
  const fs::path own = folder_of(url_);
  return certificate_folder(own.empty() ? folder_ : own, id) / "live";
}

}  // namespace culmen::cli
