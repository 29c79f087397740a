#include "culmen/file_storage.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <mutex>
#include <set>
#include <system_error>
#include <utility>

#include "base/time.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/error.hpp"
#include "culmen/records.hpp"
#include "culmen/storage_engine.hpp"
#include "storage/durable_files.hpp"
#include "storage/file_layout.hpp"
#include "storage/file_leases.hpp"
#include "storage/file_systems.hpp"
#include "storage/file_values.hpp"

namespace culmen {

namespace {

namespace fs = std::filesystem;
using storage::Change;
using storage::ChangeLog;
using storage::FileLock;
using storage::FileValue;
using storage::Folder;
using storage::Place;
using storage::PlaceFiles;
using WallTime = std::chrono::system_clock::time_point;
using namespace std::chrono_literals;

constexpr const char* store_lock = ".lock";
constexpr auto lock_patience = 30s;
constexpr std::chrono::microseconds first_pause = 1ms, longest_pause = 30ms;
constexpr auto look_interval = 1s;      // of changed()
constexpr unsigned unlocked_tries = 3;  // of readers, which then take the lock
constexpr std::size_t keys_in_a_step = 200, leases_in_a_step = 200;
constexpr std::size_t most_expired_in_a_write = 100;
constexpr auto unfinished_age = 1h;  // of what the program has left

/// What all copies of a storage share with the functions that run for it.
struct FileStore {
  FileStore(fs::path folder_, FileStorageOptions options_) : folder(std::move(folder_)), options(std::move(options_)) {}

  Folder open() {
    if (options.make_folder) storage::make_store_folder(folder);
    Folder root = Folder::open(folder);
    const std::string doing = "using the state folder " + folder.string();
    if (!options.trust_shared) {
      const std::string refused = storage::refused_file_system_of(root.descriptor(), doing);
      if (!refused.empty()) {
        throw Error(Errc::io_failed, doing,
                    "it is on " + refused +
                        ", where locks do not exclude each other reliably; use a local folder, "
                        "NFSv4 or a database, or set trust_shared if only one machine uses it");
      }
    }
    const std::optional<struct stat> status = root.status(".");
    if (status && (status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
      warn("other users can write to the state folder " + folder.string() + "; remove that: chmod go-w");
    return root;
  }

  void warn(const std::string& text) {
    if (!options.on_warning) return;
    {
      const std::lock_guard lock(mutex);
      if (!warned.insert(text).second) return;
    }
    try {
      options.on_warning(text);
    } catch (...) {
      // A warning that cannot be delivered must not stop anything.
    }
  }
  storage::Warn warner() {
    return [this](const std::string& text) { warn(text); };
  }

  const fs::path folder;
  const FileStorageOptions options;
  storage::LeaseBook leases;
  std::mutex mutex;
  std::set<std::string> warned;
};

// ---- Under the lock ----

/// The lock of the store, with everything finished that another began.
class LockedStore {
 public:
  /// nullopt while another has the lock.
  static std::optional<LockedStore> take(FileStore& store) {
    Folder root = store.open();
    std::optional<FileLock> lock = FileLock::take(root, store_lock);
    if (!lock) return std::nullopt;
    LockedStore locked(std::move(root), std::move(*lock));
    Change::recover(locked.root_, [&locked] { locked.log_.add(""); });
    return locked;
  }
  const Folder& root() const noexcept { return root_; }
  /// `lines` are the keys, one a line.
  void commit(Change& change, const std::string& lines) const {
    change.commit([this, &lines] { log_.add(lines); });
  }

 private:
  LockedStore(Folder root, FileLock lock) : root_(std::move(root)), lock_(std::move(lock)), log_(root_) {}
  Folder root_;
  FileLock lock_;
  ChangeLog log_;
};

/// Reads without the lock, and looks afterwards whether something was changed meanwhile. nullopt: try again.
template <class T>
std::optional<T> read_store(FileStore& store, unsigned tries, const std::function<T(const Folder&)>& read) {
  if (tries < unlocked_tries) {
    const Folder root = store.open();
    const std::string before = ChangeLog::look(root);
    if (!Change::pending(root)) {
      std::optional<T> found;
      std::exception_ptr failure;
      try {
        found.emplace(read(root));
      } catch (const Error&) {
        failure = std::current_exception();
      }
      if (Change::pending(root) || ChangeLog::look(root) != before) return std::nullopt;
      if (failure) std::rethrow_exception(failure);
      return found;
    }
  }
  const std::optional<LockedStore> locked = LockedStore::take(store);
  if (!locked) return std::nullopt;
  return read(locked->root());
}

std::optional<FileValue> value_at(FileStore& store, const Folder& root, const std::string& key, WallTime time) {
  const Place place = storage::place_of(key);
  std::optional<FileValue> found = storage::value_of(root, place, storage::read_place(root, place, store.warner()));
  if (found && found->stamp.expires_at && *found->stamp.expires_at <= time) return std::nullopt;
  return found;
}

// ---- Writing ----

bool is_typed(Place::Kind kind) { return kind != Place::Kind::other; }

/// One write, and what is there.
struct Planned {
  const Write* write = nullptr;
  Place place;
  PlaceFiles before;
};

Planned checked_write(FileStore& store, const Folder& root, const Write& write, WallTime time) {
  Planned planned;
  planned.write = &write;
  planned.place = storage::place_of(write.key);
  if (write.expires_in && is_typed(planned.place.kind)) {
    throw Error(Errc::invalid_argument, "storing \"" + write.key + "\"",
                "accounts, certificates and keys do not expire in files");
  }
  planned.before = storage::read_place(root, planned.place, store.warner());
  std::optional<FileValue> present;
  try {
    present = storage::value_of(root, planned.place, planned.before);
  } catch (const Error&) {
    if (write.expected) throw;  // else it is replaced, whatever it was
  }
  if (write.fence) {
    const bool is_newer =
        present && present->stamp.lease == write.fence->name && present->stamp.token > write.fence->token;
    if (is_newer || storage::LeaseBook::token_of(root, write.fence->name) != write.fence->token)
      throw storage::fenced_error(write);
  }
  if (present && present->stamp.expires_at && *present->stamp.expires_at <= time) present.reset();
  if (write.expected && (present ? present->stored.revision : Revision()) != *write.expected)
    throw storage::conflict_error(write.key, *write.expected, present.has_value());
  return planned;
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

/// That a record names a generation which exists, and that no generation is removed that a record names.
void require_live_generations(const Folder& root, const std::vector<Planned>& all) {
  const auto generation_written = [&](const std::string& folder, std::uint64_t number) -> const Planned* {
    for (const Planned& planned : all) {
      if (planned.place.kind == Place::Kind::generation && planned.place.generation == number &&
          parent_of(planned.place.folder) == folder)
        return &planned;
    }
    return nullptr;
  };
  const auto refuse = [](const std::string& key, const std::string& detail) {
    throw Error(Errc::invalid_argument, "storing \"" + key + "\"", detail);
  };
  std::set<std::string> folders_with_record;
  for (const Planned& planned : all) {
    if (planned.place.kind != Place::Kind::record) continue;
    const std::string& folder = planned.place.folder;
    folders_with_record.insert(folder);
    if (!planned.write->value) continue;
    const PlaceFiles files = storage::files_of(planned.place, *planned.write->value, storage::Stamp());
    const auto link = files.find(storage::live_link);
    if (link == files.end()) continue;
    const std::uint64_t live = storage::generation_number(link->second).value_or(0);
    const Planned* const written = generation_written(folder, live);
    const std::optional<Folder> there = root.find(folder + "/" + link->second);
    if (written ? !written->write->value.has_value() : !there || !there->status("fullchain.pem"))
      refuse(planned.write->key, "its generation " + link->second + " does not exist");
  }
  for (const Planned& planned : all) {
    if (planned.place.kind != Place::Kind::generation || planned.write->value) continue;
    const std::string folder = parent_of(planned.place.folder);
    if (!folders_with_record.contains(folder) && storage::live_generation(root, folder) == planned.place.generation)
      refuse(planned.write->key, "it is the generation that counts, and cannot be removed");
  }
}

/// A folder whose files a new one takes its modes, owners and groups from: the generation that counts, or the last.
std::string model_generation(const Folder& root, const Place& place) {
  const std::string folder = parent_of(place.folder);
  std::uint64_t number = storage::live_generation(root, folder).value_or(0);
  if (number == 0) number = storage::largest_generation(root, folder);
  return number == 0 || number == place.generation ? std::string() : folder + "/" + std::to_string(number);
}

/// Keeps a key that could belong to a certificate.
void set_aside(const Folder& root, Change& change, const std::string& key_pem, WallTime time) {
  std::string moment = base::format_rfc3339(time);
  std::erase_if(moment, [](char c) { return c == '-' || c == ':'; });
  const storage::Stamp stamp = storage::make_stamp(std::nullopt);
  const Place place = storage::place_of(unused_key_of(moment, stamp.revision));
  root.make(place.folder);
  change.put_file(place.folder + "/" + place.file, storage::files_of(place, key_pem, stamp).begin()->second, 0600);
}

/// A key without its order is left where the program was killed.
void set_lone_key_aside(const Folder& root, Change& change, const Planned& planned, const PlaceFiles& fresh,
                        WallTime time) {
  const auto key = planned.before.find("key.pem");
  if (planned.place.kind != Place::Kind::pending || key == planned.before.end()) return;
  const auto next = fresh.find("key.pem");
  if (planned.before.contains("order.json") || (next != fresh.end() && next->second == key->second)) return;
  set_aside(root, change, key->second, time);
}

/// Generations that the program had not finished when it was killed, keys among them. It may be at work now.
void remove_unfinished_generations(const Folder& root, Change& change, const Planned& planned, WallTime time) {
  const std::string folder = parent_of(planned.place.folder);
  const std::optional<Folder> certificate = root.find(folder);
  if (!certificate) return;
  const std::uint64_t live = storage::live_generation(root, folder).value_or(0);
  for (const std::string& name : certificate->names()) {
    const std::uint64_t number = storage::generation_number(name).value_or(0);
    if (number == 0 || number == live || number == planned.place.generation) continue;
    const std::optional<struct stat> status = certificate->status(name);
    if (!status || !S_ISDIR(status->st_mode) || WallTime::clock::from_time_t(status->st_mtime) + unfinished_age > time)
      continue;
    const std::optional<Folder> unfinished = certificate->find(name);
    if (!unfinished || unfinished->status("meta.json")) continue;
    if (const auto key = unfinished->read("key.pem")) set_aside(root, change, key->contents, time);
    change.remove(folder + "/" + name, true);
  }
}

void add_to(const Folder& root, Change& change, const Planned& planned, WallTime time) {
  const Place& place = planned.place;
  const bool is_folder = place.kind == Place::Kind::generation || place.kind == Place::Kind::pending;
  PlaceFiles fresh;
  if (planned.write->value) {
    storage::Stamp stamp = storage::make_stamp(planned.write->fence);
    if (planned.write->expires_in) stamp.expires_at = time + storage::clamped(*planned.write->expires_in);
    fresh = storage::files_of(place, *planned.write->value, stamp);
  }
  set_lone_key_aside(root, change, planned, fresh, time);
  if (place.kind == Place::Kind::generation && planned.write->value)
    remove_unfinished_generations(root, change, planned, time);
  const std::optional<Folder> there = root.find(place.folder);
  if (fresh.empty() && is_folder) {
    if (there) change.remove(place.folder, true);
    return;
  }
  if (is_folder && (!there || there->names().empty())) {
    root.make(parent_of(place.folder));
    std::vector<Change::NewFile> files;
    for (auto& [name, contents] : fresh) {
      files.push_back({name, std::move(contents), storage::mode_of_file(name)});
    }
    change.put_folder(place.folder, files,
                      place.kind == Place::Kind::generation ? model_generation(root, place) : std::string());
    return;
  }
  if (!fresh.empty()) root.make(place.folder);
  for (const auto& [name, contents] : fresh) {
    const auto before = planned.before.find(name);
    if (before != planned.before.end() && before->second == contents) continue;
    const std::string path = place.folder + "/" + name;
    if (name == storage::live_link && place.kind == Place::Kind::record) {
      change.put_link(path, contents);
    } else {
      change.put_file(path, contents, storage::mode_of_file(name));
    }
  }
  for (const auto& [name, contents] : planned.before) {
    if (!fresh.contains(name)) change.remove(place.folder + "/" + name);
  }
}

void remove_expired(const Folder& root, const std::string& key, WallTime time) {
  const std::optional<Folder> state = root.find("state");
  if (!state) return;
  std::size_t removed = 0;
  const std::string begin = key.substr(0, key.find('/')) + "+";
  for (const std::string& name : state->names()) {
    if (!name.starts_with(begin) || storage::is_continued(name)) continue;
    Place place;
    place.folder = "state";
    place.file = name;
    std::optional<FileValue> found;
    try {
      found = storage::value_of(root, place, storage::read_place(root, place, [](const std::string&) {}));
    } catch (const Error&) {
      continue;  // who loads it hears of it
    }
    if (!found || !found->stamp.expires_at || *found->stamp.expires_at > time) continue;
    storage::remove_file(*state, name);
    if (++removed == most_expired_in_a_write) return;
  }
}

std::optional<std::vector<Revision>> write_store(FileStore& store, const std::vector<Write>& writes, WallTime time) {
  const std::optional<LockedStore> locked = LockedStore::take(store);
  if (!locked) return std::nullopt;
  const Folder& root = locked->root();
  std::vector<Planned> all;
  for (const Write& write : writes) all.push_back(checked_write(store, root, write, time));
  require_live_generations(root, all);
  for (const Planned& planned : all) {
    if (!planned.write->expires_in) continue;
    remove_expired(root, planned.write->key, time);
    break;
  }
  Change change(root);
  std::string keys;
  for (const Planned& planned : all) {
    keys += (keys.empty() ? "" : "\n") + planned.write->key;
    add_to(root, change, planned, time);
    // What the program leaves when it is killed, keys among it. It may be at work now.
    remove_unfinished_files(root.path() / planned.place.folder, unfinished_age);
  }
  locked->commit(change, keys);

  std::vector<Revision> revisions;
  for (const Planned& planned : all) {
    if (!planned.write->value) {
      const std::string folder = planned.place.kind == Place::Kind::record || planned.place.kind == Place::Kind::account
                                     ? planned.place.folder
                                     : parent_of(planned.place.folder);
      if (is_typed(planned.place.kind) && planned.place.kind != Place::Kind::unused_key)
        storage::remove_if_empty(root, folder);
      revisions.emplace_back();
      continue;
    }
    const std::optional<FileValue> written = value_at(store, root, planned.write->key, WallTime::min());
    if (!written) {
      throw Error(Errc::io_failed, "storing \"" + planned.write->key + "\"",
                  "it was stored, and is not there any more: something else changes the state folder");
    }
    revisions.push_back(written->stored.revision);
  }
  return revisions;
}

// ---- Listing ----

/// The names in a folder, of folders alone if asked for; long ones put together again.
std::vector<std::string> long_names(const Folder& folder, bool folders_only) {
  std::vector<std::string> all;
  for (std::string& name : folder.names()) {
    if (storage::is_continued(name)) {
      const std::optional<Folder> next = folder.find(name);
      if (!next) continue;
      name.pop_back();
      for (const std::string& rest : long_names(*next, folders_only)) all.push_back(name + rest);
      continue;
    }
    const std::optional<struct stat> status = folders_only ? folder.status(name) : std::nullopt;
    if (!folders_only || (status && (S_ISDIR(status->st_mode) || S_ISLNK(status->st_mode))))
      all.push_back(std::move(name));
  }
  return all;
}

std::vector<std::string> long_names(const Folder& root, const std::string& path, bool folders_only) {
  const std::optional<Folder> folder = root.find(path);
  return folder ? long_names(*folder, folders_only) : std::vector<std::string>();
}

/// The first keys after `after`, in order. They may turn out to have no value.
class KeySearch {
 public:
  KeySearch(std::string prefix, std::string after, std::size_t count)
      : prefix_(std::move(prefix)), after_(std::move(after)), count_(count) {}

  std::vector<std::string> run(const Folder& root) {
    if (may_have("accounts/")) {
      for (const std::string& name : long_names(root, "accounts", true)) {
        if (const auto part = storage::account_part(name)) offer("accounts/" + *part + "/account");
      }
    }
    if (may_have("certificates/")) search_certificates(root);
    if (may_have("keys/unused/")) {
      for (const std::string& name : long_names(root, "keys/unused", false)) offer("keys/unused/" + name);
    }
    for (const std::string& name : long_names(root, "state", false)) {
      if (const auto key = storage::other_key(name)) offer(*key);
    }
    return {found_.begin(), found_.end()};
  }

 private:
  bool may_have(std::string_view begin) const { return prefix_.starts_with(begin) || begin.starts_with(prefix_); }
  void offer(std::string key) {
    if (!key.starts_with(prefix_) || key <= after_) return;
    if (found_.size() == count_ && key > *found_.rbegin()) return;
    if (!storage::check_key(key)) return;  // a file that is not culmen's
    found_.insert(std::move(key));
    if (found_.size() > count_) found_.erase(std::prev(found_.end()));
  }
  void search_certificates(const Folder& root) {
    std::vector<std::pair<std::string, std::string>> folders;  // the beginning of the keys, and the folder
    for (std::string& name : long_names(root, "certificates", true)) {
      const auto part = storage::certificate_part(name);
      if (!part) continue;
      std::string begin = "certificates/" + *part + "/";
      if (may_have(begin) && begin + "~" > after_) folders.emplace_back(std::move(begin), std::move(name));
    }
    std::sort(folders.begin(), folders.end());
    for (const auto& [begin, name] : folders) {
      if (found_.size() == count_ && begin > *found_.rbegin()) return;
      const std::optional<Folder> folder = root.find("certificates/" + storage::split_name(name));
      if (!folder) continue;
      bool has_record = false;
      for (const std::string& entry : folder->names()) {
        has_record = has_record || entry == "record.json" || entry == storage::live_link;
        if (entry == "pending" || storage::generation_number(entry)) offer(begin + entry);
      }
      if (has_record) offer(begin + "record");
    }
  }

  std::string prefix_, after_;
  std::size_t count_;
  std::set<std::string> found_;
};

struct Page {
  std::vector<StoredItem> items;
  std::string last;  // the last key that was looked at
  bool is_end = false;
};

/// What says nothing about one file.
bool is_of_the_process(const std::error_code& code) {
  return code == std::errc::too_many_files_open || code == std::errc::too_many_files_open_in_system ||
         code == std::errc::not_enough_memory;
}

Page page_of(FileStore& store, const Folder& root, const std::string& prefix, const std::string& after,
             std::size_t count, bool with_values, WallTime time) {
  Page page;
  const std::vector<std::string> keys = KeySearch(prefix, after, count).run(root);
  page.is_end = keys.size() < count;
  if (!keys.empty()) page.last = keys.back();
  for (const std::string& key : keys) {
    StoredValue stored;
    try {
      std::optional<FileValue> found = value_at(store, root, key, time);
      if (!found) continue;
      stored = std::move(found->stored);
    } catch (const Error& error) {
      if (error.code() != Errc::io_failed || is_of_the_process(error.system_code())) throw;
      // One that is damaged must not hide the others: it is listed without a revision, and load() says why.
    }
    if (!with_values) stored.value.clear();
    page.items.emplace_back(key, std::move(stored));
  }
  return page;
}

// ---- Flows ----

Error busy_error(const FileStore& store) {
  std::string holder = "another process";
  try {
    if (const long process = FileLock::holder(Folder::open(store.folder), store_lock); process != 0)
      holder = "process " + std::to_string(process);
  } catch (const Error&) {
    // it stays without a name
  }
  return Error(
      Errc::io_failed, "using the state folder " + store.folder.string(),
      holder + " has held the lock " + (store.folder / store_lock).string() +
          " for more than 30 seconds, which takes milliseconds; it may be stopped: let it continue, or end it");
}

/// Tries until `attempt` returns something, with pauses. Its argument is how often it was tried before.
template <class T>
Flow<Result<T>> patiently(std::shared_ptr<FileStore> store, std::function<std::optional<T>(unsigned)> attempt) {
  const Instant begin = co_await now();
  std::chrono::microseconds pause = first_pause;
  for (unsigned tries = 0;; ++tries) {
    const auto outcome = std::make_shared<std::optional<T>>();
    const std::function<Result<void>()> step = [outcome, attempt, tries] {
      *outcome = attempt(tries);
      return Result<void>();
    };
    Result<void> called = co_await call_storing(step);
    if (!called) co_return called.error();
    if (*outcome) co_return std::move(**outcome);
    const Instant time = co_await now();
    if (time.steady - begin.steady > lock_patience) co_return busy_error(*store);
    Result<void> waited = co_await wait(pause);
    if (!waited) co_return waited.error();
    pause = std::min(pause * 2, longest_pause);
  }
}

class FileStorage final : public Storage {
 public:
  FileStorage(fs::path folder, FileStorageOptions options)
      : store_(std::make_shared<FileStore>(std::move(folder), std::move(options))) {}

  StorageCapabilities capabilities() const noexcept override {
    StorageCapabilities capabilities;
    capabilities.many_in_one = true;
    capabilities.prompt_changes = true;
    capabilities.typed = true;
    return capabilities;
  }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    using Values = std::vector<std::optional<StoredValue>>;
    if (Result<void> valid = storage::check_keys(keys); !valid) co_return valid.error();
    const Instant time = co_await now();
    Values all;
    for (std::size_t begin = 0; begin < keys.size(); begin += keys_in_a_step) {
      const std::vector<std::string> some(
          keys.begin() + static_cast<std::ptrdiff_t>(begin),
          keys.begin() + static_cast<std::ptrdiff_t>(std::min(begin + keys_in_a_step, keys.size())));
      const std::function<Values(const Folder&)> read = [store = store_, some, time](const Folder& root) {
        Values values;
        for (const std::string& key : some) {
          std::optional<FileValue> found = value_at(*store, root, key, time.wall);
          values.push_back(found ? std::optional(std::move(found->stored)) : std::nullopt);
        }
        return values;
      };
      const std::function<std::optional<Values>(unsigned)> attempt = [store = store_, read](unsigned tries) {
        return read_store<Values>(*store, tries, read);
      };
      Result<Values> values = co_await patiently<Values>(store_, attempt);
      if (!values) co_return values.error();
      std::move(values->begin(), values->end(), std::back_inserter(all));
    }
    co_return all;
  }

  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    if (Result<void> valid = storage::check_list(prefix, limit); !valid) co_return valid.error();
    const Instant time = co_await now();
    std::vector<StoredItem> items;
    while (items.size() < limit) {
      const std::size_t count = std::min(keys_in_a_step, limit - items.size());
      const std::function<Page(const Folder&)> read = [store = store_, prefix, after, count, with_values,
                                                       time](const Folder& root) {
        return page_of(*store, root, prefix, after, count, with_values, time.wall);
      };
      const std::function<std::optional<Page>(unsigned)> attempt = [store = store_, read](unsigned tries) {
        return read_store<Page>(*store, tries, read);
      };
      Result<Page> page = co_await patiently<Page>(store_, attempt);
      if (!page) co_return page.error();
      std::move(page->items.begin(), page->items.end(), std::back_inserter(items));
      if (page->is_end) break;
      after = page->last;
    }
    co_return items;
  }

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    using Revisions = std::vector<Revision>;
    if (Result<void> valid = storage::check_writes(writes, capabilities()); !valid) co_return valid.error();
    if (writes.empty()) co_return Revisions();
    const Instant time = co_await now();
    const std::function<std::optional<Revisions>(unsigned)> attempt = [store = store_, writes, time](unsigned) {
      return write_store(*store, writes, time.wall);
    };
    Result<Revisions> revisions = co_await patiently<Revisions>(store_, attempt);
    co_return revisions;
  }

  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    using Token = std::optional<std::uint64_t>;
    if (Result<void> valid = storage::check_lease(name, ttl); !valid) co_return valid.error();
    const Instant time = co_await now();
    const std::function<std::optional<Token>(unsigned)> attempt = [store = store_, name, owner, ttl,
                                                                   time](unsigned) -> std::optional<Token> {
      const std::optional<LockedStore> locked = LockedStore::take(*store);
      if (!locked) return std::nullopt;
      return store->leases.acquire(locked->root(), name, owner, ttl, time.steady);
    };
    Result<Token> token = co_await patiently<Token>(store_, attempt);
    if (!token) co_return token.error();
    std::optional<Lease> lease;
    if (*token) {
      lease.emplace();
      lease->name = std::move(name);
      lease->token = **token;
      lease->good_until = time.steady + storage::clamped(ttl);
    }
    co_return lease;
  }

  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    using Held = std::vector<std::optional<Lease>>;
    for (const Lease& lease : leases) {
      if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
      if (Result<void> valid = storage::check_lease(lease.name, ttl); !valid) co_return valid.error();
    }
    Held all;
    for (std::size_t begin = 0; begin < leases.size(); begin += leases_in_a_step) {
      const Instant time = co_await now();
      const std::vector<Lease> some(
          leases.begin() + static_cast<std::ptrdiff_t>(begin),
          leases.begin() + static_cast<std::ptrdiff_t>(std::min(begin + leases_in_a_step, leases.size())));
      const std::function<std::optional<Held>(unsigned)> attempt = [store = store_, some, ttl,
                                                                    time](unsigned) -> std::optional<Held> {
        const std::optional<LockedStore> locked = LockedStore::take(*store);
        if (!locked) return std::nullopt;
        Held held;
        for (Lease lease : some) {
          const bool is_held = store->leases.renew(locked->root(), lease, ttl, time.steady);
          lease.good_until = time.steady + storage::clamped(ttl);
          held.push_back(is_held ? std::optional(std::move(lease)) : std::nullopt);
        }
        return held;
      };
      Result<Held> held = co_await patiently<Held>(store_, attempt);
      if (!held) co_return held.error();
      std::move(held->begin(), held->end(), std::back_inserter(all));
    }
    co_return all;
  }

  Flow<Result<void>> release(Lease lease) override {
    if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
    const std::function<std::optional<bool>(unsigned)> attempt = [store = store_, lease](unsigned) {
      std::optional<bool> done;
      if (store->leases.release(lease)) {
        done = true;
      } else if (const std::optional<LockedStore> locked = LockedStore::take(*store)) {
        storage::LeaseBook::release_of_other(locked->root(), lease);
        done = true;
      }
      return done;
    };
    Result<bool> released = co_await patiently<bool>(store_, attempt);
    if (!released) co_return released.error();
    co_return Result<void>();
  }

  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    if (Result<void> valid = storage::check_prefix(prefix); !valid) co_return valid.error();
    const Instant begin = co_await now();
    const auto end = begin.steady + storage::clamped(patience);
    const auto seen = std::make_shared<std::string>(), next = std::make_shared<std::string>();
    while (true) {
      const std::function<Result<void>()> look = [store = store_, seen, next, prefix, cursor] {
        const Folder root = store->open();
        std::string present = ChangeLog::look(root);
        if (present == *seen) return Result<void>();
        *next = cursor.empty() ? ChangeLog::cursor(root)
                               : ChangeLog::changed_since(root, cursor, prefix).value_or(std::string());
        *seen = std::move(present);
        return Result<void>();
      };
      Result<void> looked = co_await call_storing(look);
      if (!looked) co_return looked.error();
      if (!next->empty()) co_return *next;
      const Instant time = co_await now();
      if (time.steady >= end) co_return cursor;
      const auto left = std::chrono::ceil<std::chrono::microseconds>(end - time.steady);
      Result<void> waited = co_await wait(std::min<std::chrono::microseconds>(look_interval, left));
      if (!waited) co_return waited.error();
    }
  }

 private:
  const std::shared_ptr<FileStore> store_;
};

}  // namespace

std::filesystem::path certificate_folder(const std::filesystem::path& folder, std::string_view id) {
  return folder / storage::place_of(certificate_record_key(id)).folder;
}

std::shared_ptr<Storage> file_storage(fs::path folder, FileStorageOptions options) {
  if (folder.empty()) throw Error(Errc::invalid_argument, "opening a file storage", "the path of its folder is empty");
  return std::make_shared<FileStorage>(std::move(folder), std::move(options));
}

}  // namespace culmen
