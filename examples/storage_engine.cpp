// A storage engine of one's own, and the tests that every engine has to pass.
//
// The store is a map in memory, in place of what you have: it can compare and set one key, and no more. cas_leases()
// makes leases and fences of that.
#include <culmen/cas_leases.hpp>
#include <culmen/error.hpp>
#include <culmen/storage_conformance.hpp>
#include <culmen/storage_engine.hpp>
#include <culmen/virtual_driver.hpp>

#include <cstdio>
#include <map>

using namespace culmen;

namespace {

class MapStorage final : public Storage {
 public:
  StorageCapabilities capabilities() const noexcept override {
    StorageCapabilities capabilities;
    capabilities.longest_value = 100'000;
    return capabilities;
  }

  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    if (Result<void> valid = storage::check_keys(keys); !valid) co_return valid.error();
    const Instant time = co_await now();
    std::vector<std::optional<StoredValue>> values;
    for (const std::string& key : keys) {
      const Entry* const entry = find(key, time);
      values.push_back(entry ? std::optional(entry->stored) : std::nullopt);
    }
    co_return values;
  }

  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    if (Result<void> valid = storage::check_list(prefix, limit); !valid) co_return valid.error();
    const Instant time = co_await now();
    std::vector<StoredItem> items;
    for (auto at = entries_.upper_bound(after); at != entries_.end() && items.size() < limit; ++at) {
      if (!at->first.starts_with(prefix) || !find(at->first, time)) continue;
      items.emplace_back(at->first, at->second.stored);
      if (!with_values) items.back().stored.value.clear();
    }
    co_return items;
  }

  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    if (Result<void> valid = storage::check_writes(writes, capabilities()); !valid) co_return valid.error();
    const Instant time = co_await now();
    std::vector<Revision> revisions;
    for (Write& write : writes) {  // one at most: there is no many_in_one
      const Entry* const there = find(write.key, time);
      const Revision present = there ? there->stored.revision : Revision();
      if (write.expected && *write.expected != present) {
        co_return storage::conflict_error(write.key, *write.expected, there != nullptr);
      }
      if (!write.value) {
        entries_.erase(write.key);
        revisions.emplace_back();
        continue;
      }
      Entry entry;
      entry.stored = StoredValue(std::move(*write.value), Revision(std::to_string(++changes_)));
      if (write.expires_in) entry.expires_at = time.steady + storage::clamped(*write.expires_in);
      revisions.push_back(entry.stored.revision);
      entries_.insert_or_assign(write.key, std::move(entry));
    }
    co_return revisions;
  }

  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    if (Result<void> valid = storage::check_prefix(prefix); !valid) co_return valid.error();
    Result<std::string> next = co_await storage::changed_by_polling(*this, prefix, cursor, patience);
    co_return next;
  }

  // cas_leases() never calls these.
  Flow<Result<std::optional<Lease>>> acquire(std::string, std::string, std::chrono::seconds) override {
    co_return Error(Errc::not_offered, "acquiring a lease", "this store has none");
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease>, std::chrono::seconds) override {
    co_return Error(Errc::not_offered, "renewing leases", "this store has none");
  }
  Flow<Result<void>> release(Lease) override {
    co_return Error(Errc::not_offered, "releasing a lease", "this store has none");
  }

 private:
  struct Entry {
    StoredValue stored;
    std::chrono::steady_clock::time_point expires_at = std::chrono::steady_clock::time_point::max();
  };
  const Entry* find(const std::string& key, const Instant& time) const {
    const auto found = entries_.find(key);
    return found == entries_.end() || found->second.expires_at <= time.steady ? nullptr : &found->second;
  }
  std::map<std::string, Entry> entries_;
  unsigned long changes_ = 0;
};

}  // namespace

int main() {
  const auto store = std::make_shared<MapStorage>();
  const StorageUnderTest subject([store] { return cas_leases(store); });

  // In virtual time the waits of the tests take none. An engine with a server needs a driver in real time, such as
  // PollDriver.
  VirtualDriver driver(VirtualClock({}), {});
  bool passed = true;
  for (const ConformanceResult& result : driver.drive(check_storage(subject))) {
    std::printf("%s  %s%s%s\n", result.passed ? "passed" : "FAILED", result.name.c_str(), result.passed ? "" : ": ",
                result.detail.c_str());
    passed = passed && result.passed;
  }
  return passed ? 0 : 1;
}
