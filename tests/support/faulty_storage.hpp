// A storage with faults: scripted, by chance, or switched on and off. Waits by asking, so it works in virtual time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culmen/error.hpp"
#include "culmen/storage.hpp"

namespace culmen::test {

enum class StorageFault {
  none,
  lost_before,  ///< Nothing is done; the error is timeout.
  lost_after,   ///< It is done, and its answer is lost; the error is timeout.
  conflict,     ///< write(): conflict, and nothing is done. acquire(): held. Everything else: none.
  hang,         ///< Nothing is done until the flow is cancelled.
  slow,         ///< Waits before and after.
  outage,       ///< This call and all others fail for a while; the error is io_failed.
};

/// A call of a storage.
struct StorageCall {
  StorageCall(std::string_view operation_, std::string key_) : operation(operation_), key(std::move(key_)) {}
  std::size_t number = 0;      ///< From 0, in the order in which they begin.
  std::string_view operation;  ///< "load", "list", "write", "acquire", "renew", "release", "changed"
  std::string key;             ///< The first key, prefix or lease name of it.
};

using StorageFaults = std::function<StorageFault(const StorageCall&)>;

/// Faults by the number of the call.
inline StorageFaults faults_at(std::map<std::size_t, StorageFault> script) {
  return [script = std::move(script)](const StorageCall& call) {
    const auto found = script.find(call.number);
    return found == script.end() ? StorageFault::none : found->second;
  };
}

/// A share of the calls, from 0 to 1, has one of `kinds`. Equal seeds have equal faults.
inline StorageFaults faults_by_chance(std::uint64_t seed, double share,
                                      std::vector<StorageFault> kinds = {StorageFault::lost_before,
                                                                         StorageFault::lost_after,
                                                                         StorageFault::conflict, StorageFault::slow}) {
  return [random = std::mt19937_64(seed), share, kinds = std::move(kinds)](const StorageCall&) mutable {
    const double drawn = static_cast<double>(random() >> 11) / static_cast<double>(1ULL << 53);
    const StorageFault kind = kinds[random() % kinds.size()];
    return drawn < share ? kind : StorageFault::none;
  };
}

/// Thread-safe as the storage around which it is.
class FaultyStorage final : public Storage {
 public:
  explicit FaultyStorage(std::shared_ptr<Storage> inner, StorageFaults faults = {})
      : inner_(std::move(inner)), faults_(std::move(faults)) {}

  std::chrono::milliseconds slowness{5000};  ///< Of StorageFault::slow: half of it before, half after.
  std::chrono::seconds outage{300};          ///< How long StorageFault::outage lasts.

  /// Every call fails with io_failed while it is down.
  void set_down(bool down) {
    const std::lock_guard lock(mutex_);
    is_down_ = down;
  }
  /// How many calls there were.
  std::size_t calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

  StorageCapabilities capabilities() const noexcept override { return inner_->capabilities(); }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    using Values = std::vector<std::optional<StoredValue>>;
    StorageCall call("load", keys.empty() ? "" : keys.front());
    return faulty<Values>(std::move(call), [inner = inner_, keys] { return inner->load(keys); });
  }
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    return faulty<std::vector<StoredItem>>(
        StorageCall("list", prefix),
        [inner = inner_, prefix, after, limit, with_values] { return inner->list(prefix, after, limit, with_values); });
  }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    StorageCall call("write", writes.empty() ? "" : writes.front().key);
    Error conflict(Errc::conflict, "storing \"" + call.key + "\"", "a fault of the test; nothing was changed");
    return faulty<std::vector<Revision>>(
        std::move(call), [inner = inner_, writes] { return inner->write(writes); },
        Result<std::vector<Revision>>(std::move(conflict)));
  }
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    return faulty<std::optional<Lease>>(
        StorageCall("acquire", name), [inner = inner_, name, owner, ttl] { return inner->acquire(name, owner, ttl); },
        Result<std::optional<Lease>>(std::optional<Lease>()));
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    StorageCall call("renew", leases.empty() ? "" : leases.front().name);
    return faulty<std::vector<std::optional<Lease>>>(
        std::move(call), [inner = inner_, leases, ttl] { return inner->renew(leases, ttl); });
  }
  Flow<Result<void>> release(Lease lease) override {
    return faulty<void>(StorageCall("release", lease.name), [inner = inner_, lease] { return inner->release(lease); });
  }
  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    return faulty<std::string>(StorageCall("changed", prefix), [inner = inner_, prefix, cursor, patience] {
      return inner->changed(prefix, cursor, patience);
    });
  }

 private:
  template <class T>
  using Perform = std::function<Flow<Result<T>>()>;

  template <class T>
  Flow<Result<T>> faulty(StorageCall call, Perform<T> perform, std::optional<Result<T>> on_conflict = std::nullopt) {
    const std::string doing = std::string(call.operation) + " of \"" + call.key + "\"";
    const Instant begin = co_await now();
    const StorageFault fault = next_fault(std::move(call), begin.steady);
    switch (fault) {
      case StorageFault::none: break;
      case StorageFault::lost_before: co_return Error(Errc::timeout, doing, "a fault of the test: it was not done");
      case StorageFault::lost_after: break;
      case StorageFault::conflict:
        if (on_conflict) co_return std::move(*on_conflict);
        break;
      case StorageFault::hang:
        for (;;) {
          Result<void> waited = co_await wait(std::chrono::hours(24 * 365));
          if (!waited) co_return waited.error();
        }
      case StorageFault::slow: {
        Result<void> waited = co_await wait(slowness / 2);
        if (!waited) co_return waited.error();
        break;
      }
      case StorageFault::outage: co_return Error(Errc::io_failed, doing, "a fault of the test: the storage is down");
    }
    Flow<Result<T>> flow = perform();
    Result<T> result = co_await std::move(flow);
    if (fault == StorageFault::lost_after) {
      co_return Error(Errc::timeout, doing, "a fault of the test: the answer is lost");
    }
    if (fault == StorageFault::slow) {
      Result<void> waited = co_await wait(slowness / 2);
      if (!waited) co_return waited.error();
    }
    co_return result;
  }

  StorageFault next_fault(StorageCall call, std::chrono::steady_clock::time_point time) {
    const std::lock_guard lock(mutex_);
    call.number = calls_++;
    const StorageFault fault = faults_ ? faults_(call) : StorageFault::none;
    if (fault == StorageFault::outage) down_until_ = time + outage;
    return is_down_ || time < down_until_ ? StorageFault::outage : fault;
  }

  std::shared_ptr<Storage> inner_;
  StorageFaults faults_;
  mutable std::mutex mutex_;
  std::size_t calls_ = 0;
  bool is_down_ = false;
  std::chrono::steady_clock::time_point down_until_ = std::chrono::steady_clock::time_point::min();
};

}  // namespace culmen::test
