// Leases in a file storage. Each has a folder: lease.json has the token and says who holds it; on lease.lock the holder
// has an open-file-description lock, which ends with the holder, and writes a beat into it with each renewal.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "culmen/storage.hpp"
#include "storage/file_locks.hpp"
#include "storage/folder.hpp"

namespace culmen::storage {

/// The leases that one storage object holds, and what it has seen of those of others. Thread-safe. All functions that
/// take a folder are for who holds the lock of the store.
class LeaseBook {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  /// The token; nullopt while another holds the lease.
  std::optional<std::uint64_t> acquire(const Folder& root, const std::string& name, const std::string& owner,
                                       std::chrono::seconds ttl, SteadyTime time);
  /// Whether it is still held.
  bool renew(const Folder& root, const Lease& lease, std::chrono::seconds ttl, SteadyTime time);
  /// Whether this object held it, so that nothing is left to do.
  bool release(const Lease& lease);
  /// For a lease that another object holds.
  static void release_of_other(const Folder& root, const Lease& lease);

  /// The last token that was given out for that name; 0 if none was.
  static std::uint64_t token_of(const Folder& root, const std::string& name);

 private:
  struct Held {
    FileLock lock;
    std::uint64_t token = 0;
  };
  /// A beat, and when it was seen the first time.
  struct Seen {
    std::string beat;
    SteadyTime since;
  };
  bool is_silent(const std::string& name, const std::string& beat, SteadyTime time);
  void beat(const Descriptor& file, const Folder& root, const std::string& name, std::chrono::seconds ttl,
            SteadyTime time);

  std::mutex mutex_;
  std::map<std::string, Held> held_;
  std::map<std::string, Seen> seen_;
};

}  // namespace culmen::storage
