#include <algorithm>
#include <charconv>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>

#include "culmen/event.hpp"
#include "culmen/storage.hpp"
#include "storage/keys.hpp"

namespace culmen {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::size_t most_changes_remembered = 1024;

struct MemoryValue {
  std::string value;
  std::uint64_t revision = 0;
  SteadyTime expires_at = SteadyTime::max();
};

struct MemoryLease {
  std::uint64_t token = 0;
  SteadyTime expires_at;
};

/// A flow that waits in changed().
struct Watcher {
  explicit Watcher(std::string prefix_) : prefix(std::move(prefix_)) {}
  std::string prefix;
  Event event;
};

Revision revision_of(std::uint64_t number) { return Revision(std::to_string(number)); }

/// Everything that one memory storage keeps. Thread-safe. Times are arguments: those of the flows that ask.
class Memory {
 public:
  std::vector<std::optional<StoredValue>> load(const std::vector<std::string>& keys, SteadyTime time) const {
    std::vector<std::optional<StoredValue>> found;
    found.reserve(keys.size());
    const std::lock_guard lock(mutex_);
    for (const std::string& key : keys) {
      const MemoryValue* const value = present(key, time);
      found.push_back(value ? std::optional(StoredValue(value->value, revision_of(value->revision))) : std::nullopt);
    }
    return found;
  }

  std::vector<StoredItem> list(const std::string& prefix, const std::string& after, std::size_t limit, bool with_values,
                               SteadyTime time) const {
    std::vector<StoredItem> items;
    const std::lock_guard lock(mutex_);
    for (auto at = after < prefix ? values_.lower_bound(prefix) : values_.upper_bound(after);
         at != values_.end() && at->first.starts_with(prefix) && items.size() < limit; ++at) {
      const auto& [key, value] = *at;
      if (value.expires_at <= time) continue;
      items.emplace_back(key, StoredValue(with_values ? value.value : std::string(), revision_of(value.revision)));
    }
    return items;
  }

  Result<std::vector<Revision>> write(std::vector<Write> writes, SteadyTime time) {
    std::vector<Revision> revisions;
    std::vector<Event> woken;
    {
      const std::lock_guard lock(mutex_);
      remove_expired(time);
      for (const Write& write : writes) {
        if (Result<void> allowed = check(write, time); !allowed) return allowed.error();
      }
      for (Write& write : writes) revisions.push_back(apply(std::move(write), time, woken));
    }
    for (const Event& event : woken) event.set();
    return revisions;
  }

  /// The new token; nullopt while the lease is held.
  std::optional<std::uint64_t> acquire(const std::string& name, std::chrono::seconds ttl, SteadyTime time) {
    const std::lock_guard lock(mutex_);
    MemoryLease& lease = leases_[name];
    if (lease.token != 0 && lease.expires_at > time) return std::nullopt;
    lease.expires_at = time + storage::clamped(ttl);
    return ++lease.token;
  }
  bool renew(const Lease& lease, std::chrono::seconds ttl, SteadyTime time) {
    const std::lock_guard lock(mutex_);
    MemoryLease* const held = lease_of(lease);
    if (!held || held->expires_at <= time) return false;
    held->expires_at = time + storage::clamped(ttl);
    return true;
  }
  void release(const Lease& lease, SteadyTime time) {
    const std::lock_guard lock(mutex_);
    if (MemoryLease* const held = lease_of(lease)) held->expires_at = std::min(held->expires_at, time);
  }

  std::string cursor() const {
    const std::lock_guard lock(mutex_);
    return std::to_string(last_revision_);
  }
  /// Whether a key below `prefix` may have changed since the cursor was returned.
  bool has_changed(const std::string& prefix, const std::string& cursor) const {
    std::uint64_t known = 0;
    const char* const end = cursor.data() + cursor.size();
    const auto [rest, failed] = std::from_chars(cursor.data(), end, known);
    if (failed != std::errc() || rest != end) return true;  // of another storage
    const std::lock_guard lock(mutex_);
    for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
      if (change->first == known) return false;
      if (change->second.starts_with(prefix)) return true;
    }
    return known != forgotten_revision_;
  }
  void watch(Watcher& watcher) {
    const std::lock_guard lock(mutex_);
    watchers_.push_back(&watcher);
  }
  void unwatch(Watcher& watcher) {
    const std::lock_guard lock(mutex_);
    watchers_.remove(&watcher);
  }

 private:
  // With the mutex locked.

  const MemoryValue* present(const std::string& key, SteadyTime time) const {
    const auto found = values_.find(key);
    return found == values_.end() || found->second.expires_at <= time ? nullptr : &found->second;
  }
  MemoryLease* lease_of(const Lease& lease) {
    const auto found = leases_.find(lease.name);
    return found == leases_.end() || found->second.token != lease.token ? nullptr : &found->second;
  }

  Result<void> check(const Write& write, SteadyTime time) {
    if (write.fence && !lease_of(*write.fence)) return storage::fenced_error(write);
    if (!write.expected) return {};
    const MemoryValue* const there = present(write.key, time);
    const Revision revision = there ? revision_of(there->revision) : Revision();
    if (revision == *write.expected) return {};
    return storage::conflict_error(write.key, *write.expected, there != nullptr);
  }

  Revision apply(Write write, SteadyTime time, std::vector<Event>& woken) {
    const auto found = values_.find(write.key);
    if (!write.value && found == values_.end()) return Revision();
    ++last_revision_;
    for (const Watcher* watcher : watchers_) {
      if (write.key.starts_with(watcher->prefix)) woken.push_back(watcher->event);
    }
    remember_change(write.key);
    if (!write.value) {
      values_.erase(found);
      return Revision();
    }
    MemoryValue& stored = found == values_.end() ? values_[write.key] : found->second;
    stored.value = std::move(*write.value);
    stored.revision = last_revision_;
    stored.expires_at = SteadyTime::max();
    if (write.expires_in) {
      stored.expires_at = time + storage::clamped(*write.expires_in);
      expirations_.emplace(stored.expires_at, std::move(write.key));
    }
    return revision_of(last_revision_);
  }

  void remember_change(const std::string& key) {
    changes_.emplace_back(last_revision_, key);
    if (changes_.size() <= most_changes_remembered) return;
    forgotten_revision_ = changes_.front().first;
    changes_.pop_front();
  }

  void remove_expired(SteadyTime time) {
    while (!expirations_.empty() && expirations_.begin()->first <= time) {
      const auto found = values_.find(expirations_.begin()->second);
      if (found != values_.end() && found->second.expires_at <= time) values_.erase(found);
      expirations_.erase(expirations_.begin());
    }
  }

  mutable std::mutex mutex_;
  std::map<std::string, MemoryValue> values_;
  std::multimap<SteadyTime, std::string> expirations_;  // of values that were stored, some replaced since
  std::map<std::string, MemoryLease> leases_;           // kept forever, so that tokens only grow
  std::uint64_t last_revision_ = 0;
  std::uint64_t forgotten_revision_ = 0;  // of the last change that is not in changes_ any more
  std::deque<std::pair<std::uint64_t, std::string>> changes_;
  std::list<Watcher*> watchers_;
};

/// Watches while it exists.
class Watch {
 public:
  Watch(Memory& memory, std::string prefix) : memory_(memory), watcher_(std::move(prefix)) { memory_.watch(watcher_); }
  ~Watch() { memory_.unwatch(watcher_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  const Event& event() const noexcept { return watcher_.event; }

 private:
  Memory& memory_;
  Watcher watcher_;
};

Flow<Result<void>> wait_at_most(std::chrono::steady_clock::duration duration) {
  Result<void> waited = co_await wait(std::chrono::ceil<std::chrono::microseconds>(duration));
  co_return waited;
}

class MemoryStorage final : public Storage {
 public:
  StorageCapabilities capabilities() const noexcept override {
    StorageCapabilities capabilities;
    capabilities.many_in_one = true;
    capabilities.prompt_changes = true;
    return capabilities;
  }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    if (Result<void> valid = storage::check_keys(keys); !valid) co_return valid.error();
    const Instant time = co_await now();
    co_return memory_.load(keys, time.steady);
  }

  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    if (Result<void> valid = storage::check_list(prefix, limit); !valid) co_return valid.error();
    const Instant time = co_await now();
    co_return memory_.list(prefix, after, limit, with_values, time.steady);
  }

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    if (Result<void> valid = storage::check_writes(writes, capabilities()); !valid) co_return valid.error();
    const Instant time = co_await now();
    co_return memory_.write(std::move(writes), time.steady);
  }

  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string, std::chrono::seconds ttl) override {
    if (Result<void> valid = storage::check_lease(name, ttl); !valid) co_return valid.error();
    const Instant time = co_await now();
    const std::optional<std::uint64_t> token = memory_.acquire(name, ttl, time.steady);
    std::optional<Lease> lease;
    if (token) {
      lease.emplace();
      lease->name = std::move(name);
      lease->token = *token;
      lease->good_until = time.steady + storage::clamped(ttl);
    }
    co_return lease;
  }

  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    for (const Lease& lease : leases) {
      if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
      if (Result<void> valid = storage::check_lease(lease.name, ttl); !valid) co_return valid.error();
    }
    const Instant time = co_await now();
    std::vector<std::optional<Lease>> renewed;
    renewed.reserve(leases.size());
    for (Lease& lease : leases) {
      const bool held = memory_.renew(lease, ttl, time.steady);
      lease.good_until = time.steady + storage::clamped(ttl);
      renewed.push_back(held ? std::optional(std::move(lease)) : std::nullopt);
    }
    co_return renewed;
  }

  Flow<Result<void>> release(Lease lease) override {
    if (Result<void> valid = storage::check_held(lease); !valid) co_return valid.error();
    const Instant time = co_await now();
    memory_.release(lease, time.steady);
    co_return Result<void>();
  }

  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    if (Result<void> valid = storage::check_prefix(prefix); !valid) co_return valid.error();
    if (cursor.empty()) co_return memory_.cursor();
    const Watch watch(memory_, prefix);  // before the first look, so that no change is missed
    const Instant begin = co_await now();
    const SteadyTime end = begin.steady + storage::clamped(patience);
    for (;;) {
      std::string next = memory_.cursor();  // before the look: what changes between the two is found again
      if (memory_.has_changed(prefix, cursor)) co_return next;
      const Instant time = co_await now();
      if (time.steady >= end) co_return cursor;
      std::vector<Flow<Result<void>>> either;
      either.push_back(watch.event().wait());
      either.push_back(wait_at_most(end - time.steady));
      First<Result<void>> first = co_await first_of(std::move(either));
      if (!first.result) co_return first.result.error();
    }
  }

 private:
  Memory memory_;
};

}  // namespace

std::shared_ptr<Storage> memory_storage() { return std::make_shared<MemoryStorage>(); }

}  // namespace culmen
