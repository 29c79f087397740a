// The folder of a file storage: how it is opened, and locked for a change. Errors are thrown.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "culmen/file_storage.hpp"
#include "storage/change_log.hpp"
#include "storage/durable_files.hpp"
#include "storage/file_leases.hpp"
#include "storage/file_locks.hpp"
#include "storage/file_values.hpp"
#include "storage/folder.hpp"

namespace culmen::storage {

inline constexpr const char* store_lock = ".lock";

/// What all copies of a storage share with the functions that run for it.
struct FileStore {
  FileStore(std::filesystem::path folder_, FileStorageOptions options_);

  Folder open();
  void warn(const std::string& text);
  Warn warner();

  const std::filesystem::path folder;
  const FileStorageOptions options;
  std::atomic<bool> was_open = false;
  LeaseBook leases;
  std::mutex mutex;
  std::set<std::string> warned;
};

/// The lock of the store, with everything finished that another began.
class LockedStore {
 public:
  /// nullopt while another has the lock.
  static std::optional<LockedStore> take(FileStore& store);
  const Folder& root() const noexcept { return root_; }
  /// `lines` are the keys, one a line.
  void commit(Change& change, const std::string& lines) const;

 private:
  LockedStore(Folder root, FileLock lock);
  Folder root_;
  FileLock lock_;
  ChangeLog log_;
};

/// nullopt if there is none, or it has expired at `time`.
std::optional<FileValue> value_at(FileStore& store, const Folder& root, const std::string& key,
                                  std::chrono::system_clock::time_point time);

}  // namespace culmen::storage
