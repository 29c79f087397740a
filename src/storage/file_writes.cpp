#include "storage/file_writes.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "base/time.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/error.hpp"
#include "culmen/records.hpp"
#include "culmen/storage_engine.hpp"
#include "storage/file_layout.hpp"

namespace culmen::storage {

namespace {

using WallTime = std::chrono::system_clock::time_point;
using namespace std::chrono_literals;

constexpr std::size_t most_expired_in_a_write = 100;
constexpr auto unfinished_age = 1h;  // of what the program has left

bool is_typed(Place::Kind kind) { return kind != Place::Kind::other; }

/// One write, and what is there.
struct Planned {
  const Write* write = nullptr;
  Place place;
  PlaceFiles before;
  bool is_readable = false;  ///< There is a value, and nothing of it is damaged.
};

Planned checked_write(FileStore& store, const Folder& root, const Write& write, WallTime time) {
  Planned planned;
  planned.write = &write;
  planned.place = place_of(write.key);
  if (write.expires_in && is_typed(planned.place.kind)) {
    throw Error(Errc::invalid_argument, "storing \"" + write.key + "\"",
                "accounts, certificates and keys do not expire in files");
  }
  std::optional<FileValue> present;
  try {
    planned.before = read_place(root, planned.place, store.warner());
  } catch (const Error&) {
    if (write.expected || write.value) throw;  // else it is removed, whatever it is
    planned.before = readable_files(root, planned.place);
  }
  try {
    present = value_of(root, planned.place, planned.before);
  } catch (const Error&) {
    if (write.expected) throw;  // else it is replaced, whatever it was
  }
  planned.is_readable = present.has_value();
  if (write.fence) {
    const bool is_newer =
        present && present->stamp.lease == write.fence->name && present->stamp.token > write.fence->token;
    if (is_newer || LeaseBook::token_of(root, write.fence->name) != write.fence->token) throw fenced_error(write);
  }
  if (present && present->stamp.expires_at && *present->stamp.expires_at <= time) present.reset();
  if (write.expected && (present ? present->stored.revision : Revision()) != *write.expected)
    throw conflict_error(write.key, *write.expected, present.has_value());
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
    const PlaceFiles files = files_of(planned.place, *planned.write->value, Stamp());
    const auto link = files.find(live_link);
    if (link == files.end()) continue;
    const std::uint64_t live = generation_number(link->second).value_or(0);
    const Planned* const written = generation_written(folder, live);
    const std::optional<Folder> there = root.find(folder + "/" + link->second);
    if (written ? !written->write->value.has_value() : !there || !there->status("fullchain.pem"))
      refuse(planned.write->key, "its generation " + link->second + " does not exist");
  }
  for (const Planned& planned : all) {
    if (planned.place.kind != Place::Kind::generation || planned.write->value) continue;
    const std::string folder = parent_of(planned.place.folder);
    if (!folders_with_record.contains(folder) && live_generation(root, folder) == planned.place.generation)
      refuse(planned.write->key, "it is the generation that counts, and cannot be removed");
  }
}

/// A folder whose files a new one takes its modes, owners and groups from: the generation that counts, or the last.
std::string model_generation(const Folder& root, const Place& place) {
  const std::string folder = parent_of(place.folder);
  std::uint64_t number = live_generation(root, folder).value_or(0);
  if (number == 0) number = largest_generation(root, folder);
  return number == 0 || number == place.generation ? std::string() : folder + "/" + std::to_string(number);
}

/// Keeps a key that could belong to a certificate.
void set_aside(const Folder& root, Change& change, const std::string& key_pem, WallTime time) {
  std::string moment = base::format_rfc3339(time);
  std::erase_if(moment, [](char c) { return c == '-' || c == ':'; });
  const Stamp stamp = make_stamp(std::nullopt);
  const Place place = place_of(unused_key_of(moment, stamp.revision));
  root.make(place.folder);
  change.put_file(place.folder + "/" + place.file, files_of(place, key_pem, stamp).begin()->second, 0600);
}

/// A key of what cannot be read: of an order or a generation that is damaged, or that a program left when it was
/// killed.
void set_lone_key_aside(const Folder& root, Change& change, const Planned& planned, const PlaceFiles& fresh,
                        WallTime time) {
  const auto key = planned.before.find("key.pem");
  const bool may_hold_key = planned.place.kind == Place::Kind::pending || planned.place.kind == Place::Kind::generation;
  if (!may_hold_key || planned.is_readable || key == planned.before.end() || key->second.empty()) return;
  const auto next = fresh.find("key.pem");
  if (next != fresh.end() && next->second == key->second) return;
  set_aside(root, change, key->second, time);
}

/// Removes a folder with what a program has left there, and sets its key aside.
void remove_left_folder(const Folder& root, Change& change, const std::string& path, WallTime time) {
  const std::optional<Folder> left = root.find(path);
  if (!left) return;
  const Result<std::optional<FileRead>> key = result_of([&] { return left->read("key.pem"); });
  if (!key) throw key.error();
  if (*key && !(*key)->contents.empty()) set_aside(root, change, (*key)->contents, time);
  change.remove(path, true);
}

/// What has no value of its own goes with the record of a certificate: generations and orders that a program was killed
/// over, and a folder in the place of the link.
void remove_leftovers(const Folder& root, Change& change, const Planned& planned, const std::vector<Planned>& all,
                      WallTime time) {
  const std::string& folder = planned.place.folder;
  const std::optional<Folder> certificate = root.find(folder);
  if (planned.place.kind != Place::Kind::record || planned.write->value || !certificate) return;
  for (const std::string& name : certificate->names()) {
    const std::string path = folder + "/" + name;
    const std::optional<struct stat> status = certificate->status(name);
    if (!status || !S_ISDIR(status->st_mode)) continue;
    if (name == live_link) remove_left_folder(root, change, path, time);
    const std::optional<std::uint64_t> number = generation_number(name);
    if (!number && name != "pending") continue;
    if (std::ranges::any_of(all, [&](const Planned& other) { return other.place.folder == path; })) continue;
    Place place;
    place.kind = number ? Place::Kind::generation : Place::Kind::pending;
    place.generation = number.value_or(0);
    place.folder = path;
    const Result<bool> is_left = result_of(
        [&] { return !value_of(root, place, read_place(root, place, [](const std::string&) {})).has_value(); });
    if (is_left && *is_left) remove_left_folder(root, change, path, time);
  }
}

/// Generations that the program had not finished when it was killed, keys among them. It may be at work now.
void remove_unfinished_generations(const Folder& root, Change& change, const Planned& planned, WallTime time) {
  const std::string folder = parent_of(planned.place.folder);
  const std::optional<Folder> certificate = root.find(folder);
  if (!certificate) return;
  const std::uint64_t live = live_generation(root, folder).value_or(0);
  for (const std::string& name : certificate->names()) {
    const std::uint64_t number = generation_number(name).value_or(0);
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
    Stamp stamp = make_stamp(planned.write->fence);
    if (planned.write->expires_in) stamp.expires_at = time + clamped(*planned.write->expires_in);
    fresh = files_of(place, *planned.write->value, stamp);
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
      files.push_back({name, std::move(contents), mode_of_file(name), holds_key(name)});
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
    if (name == live_link && place.kind == Place::Kind::record) {
      change.put_link(path, contents, is_copy_of_generation(root, place));
    } else {
      change.put_file(path, contents, mode_of_file(name));
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
    if (!name.starts_with(begin) || is_continued(name)) continue;
    Place place;
    place.folder = "state";
    place.file = name;
    std::optional<FileValue> found;
    try {
      found = value_of(root, place, read_place(root, place, [](const std::string&) {}));
    } catch (const Error&) {
      continue;  // who loads it hears of it
    }
    if (!found || !found->stamp.expires_at || *found->stamp.expires_at > time) continue;
    remove_file(*state, name);
    if (++removed == most_expired_in_a_write) return;
  }
}

}  // namespace

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
    remove_leftovers(root, change, planned, all, time);
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
      if (is_typed(planned.place.kind) && planned.place.kind != Place::Kind::unused_key) remove_if_empty(root, folder);
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

}  // namespace culmen::storage
