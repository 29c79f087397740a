#include "culmen/cas_leases.hpp"

#include <doctest/doctest.h>

#include <functional>

#include "culmen/error.hpp"
#include "culmen/storage_engine.hpp"
#include "support/faulty_storage.hpp"
#include "support/storage_around.hpp"
#include "support/virtual_storage.hpp"

using namespace culmen;
using std::chrono::seconds;

namespace {

/// An engine that can only compare and set one key, as an object store does. Its revisions depend on the value alone.
class ObjectStore final : public test::StorageAround {
 public:
  using StorageAround::StorageAround;

  StorageCapabilities capabilities() const noexcept override {
    StorageCapabilities capabilities;
    capabilities.prompt_changes = true;
    capabilities.longest_value = 100'000;
    return capabilities;
  }
  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    auto loaded = co_await inner->load(std::move(keys));
    if (loaded) {
      for (auto& stored : *loaded) {
        if (stored) stored->revision = tag_of(stored->value);
      }
    }
    co_return loaded;
  }
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    auto listed = co_await inner->list(std::move(prefix), std::move(after), limit, true);
    if (listed) {
      for (StoredItem& item : *listed) {
        item.stored.revision = tag_of(item.stored.value);
        if (!with_values) item.stored.value.clear();
      }
    }
    co_return listed;
  }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    if (writes.size() > 1) co_return Error(Errc::invalid_argument, "storing objects", "one at a time");
    if (writes.empty()) co_return std::vector<Revision>();
    Write write = std::move(writes.front());
    if (write.fence) co_return Error(Errc::invalid_argument, "storing an object", "there are no leases here");
    std::vector<Revision> revisions(1);
    if (write.value) revisions.front() = tag_of(*write.value);
    Result<void> waited = co_await wait(std::chrono::milliseconds(3));
    if (!waited) co_return waited.error();
    if (write.expected) {
      auto there = co_await load_one(*inner, write.key);
      if (!there) co_return there.error();
      const std::optional<StoredValue>& stored = *there;
      if (*write.expected != (stored ? tag_of(stored->value) : Revision())) {
        co_return Error(Errc::conflict, "storing an object", "it is another one");
      }
      write.expected = stored ? stored->revision : Revision();
    }
    auto written = co_await write_one(*inner, std::move(write));
    if (!written) co_return written.error();
    waited = co_await wait(std::chrono::milliseconds(3));
    if (!waited) co_return waited.error();
    co_return revisions;
  }
  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, seconds patience) override {
    return storage::changed_by_polling(*this, std::move(prefix), std::move(cursor), patience);
  }
  Flow<Result<std::optional<Lease>>> acquire(std::string, std::string, seconds) override {
    co_return Error(Errc::not_offered, "acquiring a lease", "there are no leases here");
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease>, seconds) override {
    co_return Error(Errc::not_offered, "renewing leases", "there are no leases here");
  }
  Flow<Result<void>> release(Lease) override {
    co_return Error(Errc::not_offered, "releasing a lease", "there are no leases here");
  }

 private:
  static Revision tag_of(const std::string& value) {
    return Revision(std::to_string(std::hash<std::string>()(value)) + "-" + std::to_string(value.size()));
  }
};

}  // namespace

TEST_CASE("leases by compare-and-set: conform, over a store of objects") {
  const auto objects = std::make_shared<ObjectStore>(memory_storage());
  CHECK(test::conformance_failures(StorageUnderTest([objects] { return cas_leases(objects); })) == "");
}

TEST_CASE("leases by compare-and-set: conform, over a storage that changes many keys at once") {
  const std::shared_ptr<Storage> memory = memory_storage();
  CHECK(test::conformance_failures(StorageUnderTest([memory] { return cas_leases(memory); })) == "");
}

TEST_CASE("leases by compare-and-set: conform, if one of two processes has a slow connection") {
  const std::shared_ptr<Storage> memory = memory_storage();
  std::size_t opened = 0;
  StorageUnderTest subject([&] {
    const bool is_slow = opened++ % 2 == 0;
    const auto connection = std::make_shared<test::FaultyStorage>(memory, [is_slow](const test::StorageCall& call) {
      return is_slow && call.operation == "write" ? test::StorageFault::slow : test::StorageFault::none;
    });
    connection->slowness = std::chrono::milliseconds(100);
    return cas_leases(connection);
  });
  CHECK(test::conformance_failures(subject) == "");
}

TEST_CASE("leases by compare-and-set: a write that is under way when the lease is taken over is refused") {
  const auto write_of = [](bool removes, bool expects, const Revision& there) {
    Write write("a/value", removes ? std::nullopt : std::optional<std::string>("late"));
    if (expects) write.expected = there;
    return write;
  };
  for (const bool exists : {false, true}) {
    for (const bool removes : {false, true}) {
      for (const bool expects : {false, true}) {
        if (removes && !exists) continue;
        // Each of the requests of a write is the slow one.
        std::size_t refused = 0;
        for (std::size_t slow_call = 0;; ++slow_call) {
          CAPTURE(exists);
          CAPTURE(removes);
          CAPTURE(expects);
          CAPTURE(slow_call);
          test::VirtualTime time;
          const std::shared_ptr<Storage> memory = memory_storage();
          const auto connection =
              std::make_shared<test::FaultyStorage>(memory, [slow_call](const test::StorageCall& call) {
                return call.number == slow_call ? test::StorageFault::slow : test::StorageFault::none;
              });
          connection->slowness = seconds(20);
          const std::shared_ptr<Storage> first = cas_leases(connection), second = cas_leases(memory);
          Revision there;
          if (exists) there = time.drive(write_one(*second, Write("a/value", "before"))).value();

          const Lease lease = *time.drive(second->acquire("a", "one", seconds(60))).value();
          if (exists) there = time.drive(load_one(*second, "a/value")).value()->revision;
          Write write = write_of(removes, expects, there);
          write.fence = lease;
          std::optional<Result<Revision>> late;
          time.driver.start<Result<Revision>>(write_one(*first, write), [&](auto result) { late = std::move(result); });
          time.pass(seconds(5));
          if (late) {
            CHECK(*late);
            break;
          }
          ++refused;
          REQUIRE(time.drive(second->release(lease)));
          const Lease next = *time.drive(second->acquire("a", "two", seconds(60))).value();

          const auto value = [&]() -> std::string {
            const auto stored = time.drive(load_one(*second, "a/value")).value();
            const auto listed = time.drive(second->list("a/", "", 10, true)).value();
            CHECK(listed.size() == (stored ? 1 : 0));
            return stored ? stored->value : "nothing";
          };
          CHECK(value() == (exists ? "before" : "nothing"));
          time.driver.run();
          REQUIRE(late);
          REQUIRE(!*late);
          CHECK(late->error().code() == Errc::fenced);
          CHECK(value() == (exists ? "before" : "nothing"));
          // The new owner is not in the way of itself.
          Write mine("a/value", "mine");
          mine.fence = next;
          CHECK(time.drive(write_one(*second, mine)));
          CHECK(value() == "mine");
        }
        CHECK(refused == (exists ? 3 : 6));
      }
    }
  }
}

TEST_CASE("leases by compare-and-set: what is being created does not exist yet") {
  test::VirtualTime time;
  const std::shared_ptr<Storage> memory = memory_storage();
  const auto connection = std::make_shared<test::FaultyStorage>(memory, [](const test::StorageCall& call) {
    return call.operation == "write" && call.number > 6 ? test::StorageFault::hang : test::StorageFault::none;
  });
  const std::shared_ptr<Storage> first = cas_leases(connection), second = cas_leases(memory);
  Write create("a/value", "new");
  create.fence = *time.drive(first->acquire("a", "one", seconds(60))).value();
  create.expected = Revision();
  ExecutionBase& execution = time.driver.start<Result<Revision>>(write_one(*first, create), {});
  time.pass(seconds(1));
  REQUIRE(time.drive(load_one(*memory, "a/value")).value());
  CHECK(!time.drive(load_one(*second, "a/value")).value());
  CHECK(time.drive(second->list("", "", 10)).value().size() == 1);  // the lease
  CHECK(time.drive(second->list("a/", "", 1)).value().empty());
  REQUIRE(time.drive(write_one(*second, Write("b/1", "x"))));
  const auto one = time.drive(second->list("", "", 1)).value();
  REQUIRE(one.size() == 1);
  CHECK(one.front().key == "b/1");
  time.driver.cancel(execution);
  time.driver.run();
  // Others create it as if nothing had happened.
  Write other("a/value", "other");
  other.expected = Revision();
  REQUIRE(time.drive(write_one(*second, other)));
  CHECK(time.drive(load_one(*second, "a/value")).value()->value == "other");
}

TEST_CASE("leases by compare-and-set: expire only for who has watched them, by its own clock") {
  test::VirtualTime time;
  const std::shared_ptr<Storage> memory = memory_storage();
  const std::shared_ptr<Storage> first = cas_leases(memory), second = cas_leases(memory);
  Lease lease = *time.drive(first->acquire("a", "one", seconds(60))).value();
  time.pass(seconds(3600));
  // How long nobody has renewed it, this one cannot know.
  CHECK(!time.drive(second->acquire("a", "two", seconds(60))).value());
  time.pass(seconds(60));
  CHECK(!time.drive(second->acquire("a", "two", seconds(60))).value());
  // It has ended for its owner, who gives it up: nobody has to watch it any longer.
  CHECK(!time.drive(first->renew({lease}, seconds(60))).value().front());
  lease = *time.drive(first->acquire("a", "one", seconds(60))).value();
  time.pass(seconds(10));
  CHECK(!time.drive(second->acquire("a", "two", seconds(60))).value());
  time.pass(seconds(66));
  CHECK(!time.drive(second->acquire("a", "two", seconds(60))).value());
  time.pass(seconds(1));
  const Lease next = *time.drive(second->acquire("a", "two", seconds(60))).value();
  CHECK(next.token == lease.token + 1);
  CHECK(!time.drive(first->renew({lease}, seconds(60))).value().front());
}

TEST_CASE("leases by compare-and-set: values from before, and values that look like guarded ones") {
  test::VirtualTime time;
  const std::shared_ptr<Storage> memory = memory_storage();
  const std::shared_ptr<Storage> storage = cas_leases(memory);
  REQUIRE(time.drive(write_one(*memory, Write("a/before", "plain"))));
  CHECK(time.drive(load_one(*storage, "a/before")).value()->value == "plain");
  const Lease lease = *time.drive(storage->acquire("a", "one", seconds(60))).value();
  CHECK(time.drive(load_one(*storage, "a/before")).value()->value == "plain");
  CHECK(time.drive(load_one(*memory, "a/before")).value()->value == "culmen-guarded 1 a 1 value\nplain");
  for (const char* text : {"culmen-guarded 1 a 1 none\n", "culmen-guarded 1 ", "culmen-guarded 1 x"}) {
    CAPTURE(text);
    REQUIRE(time.drive(write_one(*storage, Write("a/odd", text))));
    CHECK(time.drive(load_one(*storage, "a/odd")).value()->value == text);
    Write guarded("a/odd", text);
    guarded.fence = lease;
    REQUIRE(time.drive(write_one(*storage, guarded)));
    CHECK(time.drive(load_one(*storage, "a/odd")).value()->value == text);
  }
  // What cannot be read is an error.
  REQUIRE(time.drive(write_one(*memory, Write("a/odd", "culmen-guarded 1 a 1 valu\nx"))));
  CHECK(time.drive(load_one(*storage, "a/odd")).error().code() == Errc::io_failed);
  const auto listed = time.drive(storage->list("a/", "", 10, true)).value();
  REQUIRE(listed.size() == 2);
  CHECK(listed[0].stored.value == "plain");
  CHECK(listed[1].stored.revision.none());
  REQUIRE(time.drive(write_one(*memory, Write("leases/a", "culmen-lease 1 0 1 60\n"))));
  CHECK(time.drive(storage->acquire("a", "two", seconds(60))).error().code() == Errc::io_failed);
}
