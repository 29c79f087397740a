// The conformance suite itself: a storage with a mistake of each kind has to be found.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "culmen/error.hpp"
#include "support/faulty_storage.hpp"
#include "support/storage_around.hpp"
#include "support/virtual_storage.hpp"

using namespace culmen;
using std::chrono::seconds;
using test::StorageAround;

namespace {

using Values = std::vector<std::optional<StoredValue>>;
using Leases = std::vector<std::optional<Lease>>;

Flow<Result<void>> a_moment() {
  Result<void> waited = co_await wait(std::chrono::milliseconds(2));
  co_return waited;
}

/// The names of the tests that fail, up to the colon.
std::set<std::string> found_by(StorageUnderTest subject) {
  test::VirtualTime time;
  std::set<std::string> kinds;
  for (const ConformanceResult& result : time.drive(check_storage(std::move(subject)))) {
    if (result.passed) continue;
    CHECK(!result.detail.empty());
    kinds.insert(result.name.substr(0, result.name.find(':')));
  }
  return kinds;
}

template <class Wrong>
std::set<std::string> found_in() {
  const auto storage = std::make_shared<Wrong>(memory_storage());
  return found_by(StorageUnderTest([storage] { return storage; }));
}

/// The same for a storage with outages.
template <class Wrong>
std::set<std::string> found_in_outage() {
  const auto faulty = std::make_shared<test::FaultyStorage>(memory_storage());
  const auto storage = std::make_shared<Wrong>(faulty);
  StorageUnderTest subject([storage] { return storage; });
  subject.outage = [faulty](bool down) { faulty->set_down(down); };
  return found_by(subject);
}

class ForgetsTheFence final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    for (Write& write : writes) {
      if (write.fence && write.fence->token != 0) write.fence.reset();
    }
    return inner->write(std::move(writes));
  }
};

/// Checks the fence first, then writes.
class ChecksTheFenceBefore final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    for (Write& write : writes) {
      if (!write.fence || write.fence->token == 0) continue;
      std::vector<Lease> leases(1, *write.fence);
      auto held = co_await inner->renew(std::move(leases), seconds(60));
      if (!held) co_return held.error();
      if (!held->front()) co_return Error(Errc::fenced, "storing", "the lease was taken over");
      Result<void> waited = co_await a_moment();
      if (!waited) co_return waited.error();
      write.fence.reset();
    }
    auto written = co_await inner->write(std::move(writes));
    co_return written;
  }
};

/// Renews a lease that has ended, for a while.
class EndsLeasesLate final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, seconds ttl) override {
    auto lease = co_await inner->acquire(name, owner, ttl * 2);
    if (lease && *lease) (*lease)->good_until -= ttl;
    co_return lease;
  }
};

class ComparesInTwoSteps final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    for (Write& write : writes) {
      if (!write.expected) continue;
      auto there = co_await load_one(*inner, write.key);
      if (!there) co_return there.error();
      const Revision revision = *there ? (*there)->revision : Revision();
      if (revision != *write.expected) co_return Error(Errc::conflict, "storing", "it is another one");
      write.expected.reset();
      Result<void> waited = co_await a_moment();
      if (!waited) co_return waited.error();
    }
    auto written = co_await inner->write(std::move(writes));
    co_return written;
  }
};

/// Removes the lease with its token when it is released, and begins again with 1.
class ReusesTokens final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, seconds ttl) override {
    auto lease = co_await inner->acquire(name, owner, ttl);
    if (lease && *lease) {
      real_[name] = (*lease)->token;
      (*lease)->token = 1;
    }
    co_return lease;
  }
  Flow<Result<Leases>> renew(std::vector<Lease> leases, seconds ttl) override {
    for (Lease& lease : leases) lease = real(lease);
    auto renewed = co_await inner->renew(std::move(leases), ttl);
    if (renewed) {
      for (auto& lease : *renewed) {
        if (lease) lease->token = 1;
      }
    }
    co_return renewed;
  }
  Flow<Result<void>> release(Lease lease) override { return inner->release(real(lease)); }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    for (Write& write : writes) {
      if (write.fence) write.fence = real(*write.fence);
    }
    return inner->write(std::move(writes));
  }

 private:
  Lease real(Lease lease) const {
    const auto found = real_.find(lease.name);
    if (lease.token == 1 && found != real_.end()) lease.token = found->second;
    return lease;
  }
  std::map<std::string, std::uint64_t> real_;
};

/// Takes what cannot be read for what does not exist.
class HidesErrors final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<Values>> load(std::vector<std::string> keys) override {
    const std::size_t count = keys.size();
    auto loaded = co_await inner->load(std::move(keys));
    if (!loaded && loaded.error().code() == Errc::io_failed) co_return Values(count);
    co_return loaded;
  }
};

class HidesErrorsInLists final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    auto listed = co_await inner->list(std::move(prefix), std::move(after), limit, with_values);
    if (!listed && listed.error().code() == Errc::io_failed) co_return std::vector<StoredItem>();
    co_return listed;
  }
};

/// Lists a folder completely before what follows its name, as a walk through folders does.
class ListsLikeFolders final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    auto listed = co_await inner->list(prefix, std::string(), std::max<std::size_t>(limit, 1'000'000), with_values);
    if (!listed || limit == 0) co_return listed;
    const auto folders_first = [](std::string key) {
      std::ranges::replace(key, '/', '\0');
      return key;
    };
    std::ranges::sort(*listed, {}, [&](const StoredItem& item) { return folders_first(item.key); });
    std::erase_if(*listed, [&](const StoredItem& item) { return folders_first(item.key) <= folders_first(after); });
    if (listed->size() > limit) listed->erase(listed->begin() + static_cast<std::ptrdiff_t>(limit), listed->end());
    co_return listed;
  }
};

class ListsTextPrefixes final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    auto all = co_await inner->list(std::string(), after, 1'000'000, with_values);
    if (!all) co_return all;
    if (prefix.ends_with('/')) prefix.pop_back();
    std::erase_if(*all, [&](const StoredItem& item) { return !item.key.starts_with(prefix); });
    if (all->size() > limit) all->erase(all->begin() + static_cast<std::ptrdiff_t>(limit), all->end());
    co_return all;
  }
};

class WritesOneByOne final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    std::vector<Revision> revisions;
    std::set<std::string> keys;
    for (const Write& write : writes) keys.insert(write.key);
    if (keys.size() < writes.size()) co_return Error(Errc::invalid_argument, "storing", "a key occurs twice");
    for (Write& write : writes) {
      auto written = co_await write_one(*inner, std::move(write));
      if (!written) co_return written.error();
      revisions.push_back(std::move(*written));
    }
    co_return revisions;
  }
};

class ForgetsExpiry final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    for (Write& write : writes) {
      if (write.expires_in > seconds(0)) write.expires_in.reset();
    }
    return inner->write(std::move(writes));
  }
};

class MissesChanges final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, seconds patience) override {
    if (cursor.empty()) {
      auto first = co_await inner->changed(std::move(prefix), std::move(cursor), patience);
      co_return first;
    }
    // What changed before the call is not noticed.
    auto present = co_await inner->changed(prefix, std::string(), patience);
    if (!present) co_return present;
    auto next = co_await inner->changed(prefix, std::string(*present), patience);
    if (next && *next == *present) co_return cursor;
    co_return next;
  }
};

class ReleasesForAnybody final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, seconds ttl) override {
    auto lease = co_await inner->acquire(name, owner, ttl);
    if (lease && *lease) last_[name] = **lease;
    co_return lease;
  }
  Flow<Result<void>> release(Lease lease) override {
    const auto found = last_.find(lease.name);
    return inner->release(found == last_.end() ? lease : found->second);
  }

 private:
  std::map<std::string, Lease> last_;
};

/// Sends what it was given back.
class RenewsWhatIsLost final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<Leases>> renew(std::vector<Lease> leases, seconds ttl) override {
    Leases all(leases.begin(), leases.end());
    auto renewed = co_await inner->renew(std::move(leases), ttl);
    if (!renewed) co_return renewed;
    for (std::size_t at = 0; at < all.size(); ++at) {
      if (!(*renewed)[at]) (*renewed)[at] = all[at];
    }
    co_return renewed;
  }
};

/// Two processes, each with leases of its own.
class LocalLeases final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, seconds ttl) override {
    return leases_->acquire(std::move(name), std::move(owner), ttl);
  }
  Flow<Result<Leases>> renew(std::vector<Lease> leases, seconds ttl) override {
    return leases_->renew(std::move(leases), ttl);
  }
  Flow<Result<void>> release(Lease lease) override { return leases_->release(std::move(lease)); }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    for (Write& write : writes) {
      if (write.fence && write.fence->token != 0) write.fence.reset();
    }
    return inner->write(std::move(writes));
  }

 private:
  std::shared_ptr<Storage> leases_ = memory_storage();
};

class EndsAtNul final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    for (Write& write : writes) {
      if (write.value && write.value->size() < 1000) write.value = std::string(write.value->c_str());
    }
    return inner->write(std::move(writes));
  }
};

/// Sorts what it loads.
class LoadsInKeyOrder final : public StorageAround {
 public:
  using StorageAround::StorageAround;
  Flow<Result<Values>> load(std::vector<std::string> keys) override {
    std::ranges::sort(keys);
    return inner->load(std::move(keys));
  }
};

}  // namespace

TEST_CASE("conformance: names of tests are unique, and say what they are about") {
  std::set<std::string> names;
  for (const ConformanceCase& test : storage_conformance()) {
    CHECK(names.insert(test.name).second);
    CHECK(test.name.find(": ") != std::string::npos);
  }
  CHECK(names.size() > 20);
}

TEST_CASE("conformance: one test at a time, and by the beginning of its name") {
  const std::shared_ptr<Storage> storage = memory_storage();
  const StorageUnderTest subject([storage] { return storage; });
  for (const ConformanceCase& test : storage_conformance()) {
    CAPTURE(test.name);
    test::VirtualTime time;
    CHECK(time.drive(test.run(subject)));
    // Nothing is left.
    CHECK(time.drive(storage->list("", "", 10)).value().empty());
  }
  std::size_t count = 0;
  const std::shared_ptr<Storage> fresh = memory_storage();
  CHECK(test::conformance_failures(StorageUnderTest([fresh] { return fresh; }), "fences: ", &count) == "");
  CHECK(count == 4);
}

TEST_CASE("conformance: a storage that cannot be opened fails every test") {
  for (const StorageUnderTest& subject :
       {StorageUnderTest(), StorageUnderTest([] { return std::shared_ptr<Storage>(); }),
        StorageUnderTest([]() -> std::shared_ptr<Storage> { throw 1; })}) {
    test::VirtualTime time;
    for (const ConformanceResult& result : time.drive(check_storage(subject))) {
      CHECK(!result.passed);
      CHECK(!result.detail.empty());
    }
  }
}

TEST_CASE("conformance: leases and fences that do not hold are found") {
  CHECK(found_in<ForgetsTheFence>().contains("fences"));
  CHECK(found_in<ForgetsTheFence>().contains("restart"));
  CHECK(found_in<ForgetsTheFence>().contains("records"));
  CHECK(found_in<ChecksTheFenceBefore>().contains("fences"));
  CHECK(found_in<ReusesTokens>().contains("leases"));
  CHECK(found_in<ReusesTokens>().contains("fences"));
  CHECK(found_in<ReleasesForAnybody>().contains("leases"));
  CHECK(found_in<RenewsWhatIsLost>().contains("leases"));
  CHECK(found_in<EndsLeasesLate>() == std::set<std::string>{"leases"});

  const std::shared_ptr<Storage> memory = memory_storage();
  CHECK(found_by(StorageUnderTest([memory] { return std::make_shared<LocalLeases>(memory); })).contains("leases"));
}

TEST_CASE("conformance: values that are not kept or compared as they should be are found") {
  CHECK(found_in<ComparesInTwoSteps>() == std::set<std::string>{"values"});
  CHECK(found_in<WritesOneByOne>().contains("many"));
  CHECK(found_in<ForgetsExpiry>() == std::set<std::string>{"expiry"});
  CHECK(found_in<EndsAtNul>().contains("values"));
  CHECK(found_in<LoadsInKeyOrder>() == std::set<std::string>{"values"});
}

TEST_CASE("conformance: lists that are not in order, and changes that are missed, are found") {
  CHECK(found_in<ListsLikeFolders>().contains("list"));
  CHECK(found_in<ListsTextPrefixes>().contains("list"));
  CHECK(found_in<MissesChanges>() == std::set<std::string>{"changes"});
}

TEST_CASE("conformance: what cannot be read and is taken for nothing is found") {
  CHECK(found_in_outage<StorageAround>().empty());
  CHECK(found_in_outage<HidesErrors>() == std::set<std::string>{"outage"});
  CHECK(found_in_outage<HidesErrorsInLists>() == std::set<std::string>{"outage"});
}

TEST_CASE("conformance: a slow storage conforms, cancelled at any of its waits") {
  const auto slow = std::make_shared<test::FaultyStorage>(
      memory_storage(), [](const test::StorageCall&) { return test::StorageFault::slow; });
  slow->slowness = std::chrono::milliseconds(60);
  CHECK(test::conformance_failures(StorageUnderTest([slow] { return slow; })) == "");
}

TEST_CASE("conformance: restarts are made") {
  std::shared_ptr<Storage> memory = memory_storage();
  int opened = 0, restarts = 0;
  StorageUnderTest subject([&] {
    ++opened;
    return memory;
  });
  subject.restart = [&] { ++restarts; };
  CHECK(test::conformance_failures(subject, "restart: ") == "");
  CHECK(restarts == 1);
  CHECK(opened == 4);
  memory = memory_storage();  // without leases of the clock before
  subject.restart = [] { throw std::runtime_error("it does not start"); };
  CHECK(test::conformance_failures(subject, "restart: ").find("it does not start") != std::string::npos);
}
