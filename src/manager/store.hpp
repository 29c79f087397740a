// Storage as the manager uses it: held leases that are renewed, guarded writes, and whether it works at all.
#pragma once

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culmen/event.hpp"
#include "culmen/storage.hpp"
#include "manager/reporter.hpp"

namespace culmen::manager {

/// A lease that this process holds.
struct Hold {
  Hold(Lease lease_, std::function<void()> on_lost_) : lease(std::move(lease_)), on_lost(std::move(on_lost_)) {}
  Lease lease;
  std::function<void()> on_lost;  ///< Called once when it is lost; must not block.
  bool lost = false;
};

/// What an operation does with storage. Where one works, those before it do, most likely.
enum class Access { read, lease, write };

/// Belongs to one execution at a time. Not thread-safe.
class Store {
 public:
  Store(std::shared_ptr<Storage> storage, const Reporter& reporter, std::string owner, std::chrono::seconds ttl);

  Storage& storage() noexcept { return *storage_; }
  const std::shared_ptr<Storage>& shared() const noexcept { return storage_; }
  bool many_in_one() const noexcept { return storage_->capabilities().many_in_one; }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys);
  /// The values of the keys, each with an error of its own: one that is damaged does not keep the others. Fails if
  /// storage as such does.
  Flow<Result<std::vector<Result<std::optional<StoredValue>>>>> load_each(std::vector<std::string> keys);
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, bool with_values);

  /// Makes the changes, guarded by the lease if there is one: fenced if it is lost, or may be before the write arrives.
  /// If the outcome of a write is unknown, looks what is stored, and tries again. With many_in_one all or none;
  /// without, one after the other, until one fails.
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes, std::shared_ptr<Hold> hold);

  /// fenced if the lease is lost, or may be before something that is sent now arrives.
  Flow<Result<void>> check_held(std::shared_ptr<Hold> hold);

  /// nullptr if another process holds it.
  Flow<Result<std::shared_ptr<Hold>>> acquire(std::string name, std::function<void()> on_lost);
  /// Never fails, takes less than a second, and runs also when the caller is cancelled.
  Flow<Result<void>> release(std::shared_ptr<Hold> hold);
  /// Renews what is held, until it is cancelled.
  Flow<Result<void>> keep_leases();
  /// While only writes fail, writes a scratch value from time to time, until it is cancelled: nothing else may be due
  /// for long.
  Flow<Result<void>> keep_trying();
  /// Forgets what an execution held that was destroyed.
  void forget_leases() { holds_.clear(); }

  /// Whether it fails: since the last operation, or since the last write if writes fail and reads do not.
  bool is_down() const noexcept { return down_; }
  /// While it is down: when to try again. A caller that tries postpones it for all others.
  planner::Time retry_at(const Instant& now) const noexcept;
  void postpone_retry(const Instant& now);
  bool may_retry(const Instant& now) const noexcept { return !down_ || now.steady >= retry_at_; }
  /// For whoever has just failed; at least a second.
  planner::Duration until_retry(const Instant& now) const noexcept;
  /// Remembers how an operation ended, and tells when that has changed. `result` must outlive the flow.
  template <class T>
  Flow<Result<void>> note(const Result<T>& result, Access access) {
    return note_error(result ? nullptr : &result.error(), access);
  }
  /// Called when storage works again.
  std::function<void()> on_recovered;

 private:
  Flow<Result<bool>> is_damaged(std::string key);
  Flow<Result<std::vector<Revision>>> write_together(std::vector<Write> writes, std::shared_ptr<Hold> hold);
  Flow<Result<void>> note_error(const Error* error, Access access);
  void lose(Hold& hold);
  void lose_late(std::chrono::steady_clock::time_point now);

  std::shared_ptr<Storage> storage_;
  const Reporter& reporter_;
  const std::string owner_;
  const std::chrono::seconds ttl_;
  std::list<std::shared_ptr<Hold>> holds_;
  Event held_;
  bool down_ = false;
  Access failed_ = Access::read;  ///< While it is down: what fails.
  Event went_down_;
  unsigned failures_ = 0;
  std::chrono::steady_clock::time_point retry_at_;  ///< Of the clock that nobody sets.
};

/// Whether storage as such failed, in contrast to a refusal.
bool is_storage_failure(const Error& error) noexcept;

}  // namespace culmen::manager
