#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "culmen/driver.hpp"
#include "culmen/error.hpp"
#include "culmen/storage.hpp"
#include "support/virtual_storage.hpp"

using namespace culmen;
using std::chrono::seconds;

namespace {

/// Drives a flow that asks for nothing.
template <class T>
T run_now(Flow<T> flow) {
  Execution<T> execution(std::move(flow), [] { return Instant({}, std::chrono::steady_clock::now()); });
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  return execution.result();
}

}  // namespace

TEST_CASE("memory storage: conforms") {
  std::size_t count = 0;
  const std::shared_ptr<Storage> storage = memory_storage();
  CHECK(test::conformance_failures(StorageUnderTest([storage] { return storage; }), "", &count) == "");
  CHECK(count == storage_conformance().size() - 1);  // all but outages
}

TEST_CASE("memory storage: used by many threads at once") {
  const std::shared_ptr<Storage> storage = memory_storage();
  constexpr int threads = 4, each = 500;
  std::atomic<int> conflicts = 0;
  std::vector<std::thread> running;
  for (int number = 0; number < threads; ++number) {
    running.emplace_back([&] {
      for (int left = each; left > 0;) {
        const auto stored = run_now(load_one(*storage, "counter")).value();
        Write change("counter", std::to_string(stored ? std::stoi(stored->value) + 1 : 1));
        change.expected = stored ? stored->revision : Revision();
        const Result<Revision> written = run_now(write_one(*storage, std::move(change)));
        if (written) {
          --left;
        } else {
          ++conflicts;
        }
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  CHECK(run_now(load_one(*storage, "counter")).value()->value == std::to_string(threads * each));
  CAPTURE(conflicts.load());
}

TEST_CASE("memory storage: each of many that wait for changes is woken, none for other prefixes") {
  test::VirtualTime time;
  const std::shared_ptr<Storage> storage = memory_storage();
  const std::string cursor = time.drive(storage->changed("a/", "", seconds(1))).value();
  int woken = 0, others = 0;
  for (int number = 0; number < 10; ++number) {
    time.driver.start<Result<std::string>>(storage->changed("a/", cursor, seconds(1000)),
                                           [&](Result<std::string> next) { woken += next.value() != cursor; });
    time.driver.start<Result<std::string>>(storage->changed("b/", cursor, seconds(1000)),
                                           [&](Result<std::string> next) { others += next.value() != cursor; });
  }
  time.pass(seconds(10));
  CHECK(woken == 0);
  REQUIRE(time.drive(write_one(*storage, Write("a/x", "value"))));
  time.pass(seconds(1));
  CHECK(woken == 10);
  CHECK(others == 0);
  time.driver.run();
  CHECK(others == 0);
  // A cursor older than what is remembered has changed, for all that is known.
  for (int number = 0; number < 2000; ++number) {
    REQUIRE(time.drive(write_one(*storage, Write("c/x", std::to_string(number)))));
  }
  CHECK(time.drive(storage->changed("b/", cursor, seconds(1000))).value() != cursor);
}

TEST_CASE("memory storage: leases by the clock of the flows") {
  test::VirtualTime time;
  const std::shared_ptr<Storage> storage = memory_storage();
  const Lease lease = *time.drive(storage->acquire("a", "one", seconds(60))).value();
  CHECK(lease.good_until == time.driver.clock().instant().steady + seconds(60));
  time.pass(seconds(59));
  CHECK(!time.drive(storage->acquire("a", "two", seconds(60))).value());
  time.pass(seconds(1));
  const Lease next = *time.drive(storage->acquire("a", "two", seconds(60))).value();
  CHECK(next.token == lease.token + 1);
  Write late("a/b", "value");
  late.fence = lease;
  const Result<Revision> refused = time.drive(write_one(*storage, late));
  REQUIRE(!refused);
  CHECK(refused.error().code() == Errc::fenced);
  CHECK(std::string(refused.error().what()) ==
        "storing \"a/b\": the lease \"a\" with token 1 is not valid any more: it was taken over; nothing was changed");
}
