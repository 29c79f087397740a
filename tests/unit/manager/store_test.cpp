// Storage as the manager uses it, while the wall clock is set.
#include "manager/store.hpp"

#include <doctest/doctest.h>

#include "support/faulty_storage.hpp"
#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;

namespace {
Flow<Result<int>> load_something(manager::Store& store) {
  std::vector<std::string> keys(1, "a");
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await store.load(std::move(keys));
  co_return loaded ? Result<int>(1) : Result<int>(0);
}
}  // namespace

TEST_CASE("store: when storage is tried again does not depend on the wall clock") {
  ManagerWorld world;
  const auto storage = std::make_shared<FaultyStorage>(world.storage);
  storage->set_down(true);
  const ManagerOptions options = world.options();
  const manager::Reporter reporter(options);
  manager::Store store(storage, reporter, "test", 60s);
  Result<int> loaded = world.driver.drive(load_something(store));
  REQUIRE(loaded);
  REQUIRE(*loaded == 0);
  REQUIRE(store.is_down());
  const Instant failed = world.clock.instant();
  for (const std::chrono::seconds step : {-50s, -3600s, 0s, 50s, 3600s}) {
    CAPTURE(step.count());
    Instant early = failed, later = failed;
    early.wall += step + 1s;
    early.steady += 1s;
    later.wall += step + 2s;
    later.steady += 2s;
    CHECK_FALSE(store.may_retry(early));
    CHECK(store.may_retry(later));
    CHECK(store.retry_at(early) == early.wall + 1s);
    CHECK(store.until_retry(early) == 1s);
  }
}
