#include "storage/file_store.hpp"

#include <sys/stat.h>

#include <utility>

#include "culmen/error.hpp"
#include "storage/file_layout.hpp"
#include "storage/file_systems.hpp"

namespace culmen::storage {

FileStore::FileStore(std::filesystem::path folder_, FileStorageOptions options_)
    : folder(std::move(folder_)), options(std::move(options_)) {}

Folder FileStore::open() {
  // Once it was there, it is not made again: if it is gone, so is all that is stored, and that is an error.
  if (options.make_folder && !was_open) make_store_folder(folder);
  Folder root = Folder::open(folder);
  was_open = true;
  const std::string doing = "using the state folder " + folder.string();
  if (!options.trust_shared) {
    const std::string refused = refused_file_system_of(root.descriptor(), doing);
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

void FileStore::warn(const std::string& text) {
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

Warn FileStore::warner() {
  return [this](const std::string& text) { warn(text); };
}

std::optional<LockedStore> LockedStore::take(FileStore& store) {
  Folder root = store.open();
  std::optional<FileLock> lock = FileLock::take(root, store_lock);
  if (!lock) return std::nullopt;
  LockedStore locked(std::move(root), std::move(*lock));
  Change::recover(locked.root_, [&locked] { locked.log_.add(""); });
  return locked;
}

void LockedStore::commit(Change& change, const std::string& lines) const {
  change.commit([this, &lines] { log_.add(lines); });
}

LockedStore::LockedStore(Folder root, FileLock lock) : root_(std::move(root)), lock_(std::move(lock)), log_(root_) {}

std::optional<FileValue> value_at(FileStore& store, const Folder& root, const std::string& key,
                                  std::chrono::system_clock::time_point time) {
  const Place place = place_of(key);
  std::optional<FileValue> found = value_of(root, place, read_place(root, place, store.warner()));
  if (found && found->stamp.expires_at && *found->stamp.expires_at <= time) return std::nullopt;
  return found;
}

}  // namespace culmen::storage
