// The functions of a Storage as SQL, blocking.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/postgres_storage.hpp"
#include "culmen/result.hpp"
#include "culmen/storage.hpp"
#include "engines/postgres/pool.hpp"

namespace culmen::postgres {

/// The most keys or leases of one step; callers split what is longer.
inline constexpr std::size_t most_in_one_step = 1000;

/// Each function is one step: one transaction, at most two seconds. Thread-safe. Arguments were checked before.
class Database {
 public:
  /// Throws Error (invalid_argument).
  explicit Database(const PostgresOptions& options);

  Result<std::vector<std::optional<StoredValue>>> load(const std::vector<std::string>& keys);
  Result<std::vector<StoredItem>> list(const std::string& prefix, const std::string& after, std::size_t limit,
                                       bool with_values);
  Result<std::vector<Revision>> write(const std::vector<Write>& writes);
  /// The token; nullopt while the lease is held.
  Result<std::optional<std::uint64_t>> acquire(const std::string& name, const std::string& owner,
                                               std::chrono::seconds ttl);
  /// Whether each is still held.
  Result<std::vector<bool>> renew(const std::vector<Lease>& leases, std::chrono::seconds ttl);
  Result<void> release(const Lease& lease);
  /// The present cursor, and whether a key below `prefix` may have changed since `cursor`.
  struct Look {
    std::string cursor;
    bool changed = false;
  };
  Result<Look> look(const std::string& prefix, const std::string& cursor);

  /// Whether sweep() is due; the same answer to one caller only.
  bool sweep_is_due();
  /// Removes rows of values that have expired, and of keys that were removed long ago.
  void sweep();

  Result<void> create_schema();

 private:
  class Step;
  /// Whether all tables and indexes exist.
  bool is_complete(Connection& connection, Deadline deadline) const;
  void check_version(Connection& connection, Deadline deadline) const;
  std::optional<std::int64_t> stored_version(Connection& connection, Deadline deadline) const;
  Error error_of(const SqlFailure& failure, std::string_view doing, bool changes = false) const;
  std::string qualified(std::string_view name) const { return schema_ + "." + std::string(name); }

  const std::string schema_name_;
  const std::string schema_;  // quoted
  ConnectionPool pool_;
  std::mutex sweep_mutex_;
  std::chrono::steady_clock::time_point next_sweep_;
};

}  // namespace culmen::postgres
