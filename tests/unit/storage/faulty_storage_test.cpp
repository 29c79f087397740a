#include "support/faulty_storage.hpp"

#include <doctest/doctest.h>

#include "support/virtual_storage.hpp"

using namespace culmen;
using namespace culmen::test;
using std::chrono::seconds;

namespace {

std::string value_in(VirtualTime& time, const std::shared_ptr<Storage>& storage) {
  const auto stored = time.drive(load_one(*storage, "a")).value();
  return stored ? stored->value : "nothing";
}

/// The code of a write with that fault, and what is stored then.
std::pair<std::string, std::string> written_with(StorageFault fault) {
  VirtualTime time;
  const std::shared_ptr<Storage> memory = memory_storage();
  FaultyStorage storage(memory, faults_at({{0, fault}}));
  const Result<Revision> written = time.drive(write_one(storage, Write("a", "value")));
  return {written ? "done" : std::string(to_string(written.error().code())), value_in(time, memory)};
}

using Outcome = std::pair<std::string, std::string>;

}  // namespace

TEST_CASE("faulty storage: what each fault does to a write") {
  CHECK(written_with(StorageFault::none) == Outcome("done", "value"));
  CHECK(written_with(StorageFault::lost_before) == Outcome("timeout", "nothing"));
  CHECK(written_with(StorageFault::lost_after) == Outcome("timeout", "value"));
  CHECK(written_with(StorageFault::conflict) == Outcome("conflict", "nothing"));
  CHECK(written_with(StorageFault::slow) == Outcome("done", "value"));
  CHECK(written_with(StorageFault::outage) == Outcome("io_failed", "nothing"));
}

TEST_CASE("faulty storage: slow, hanging, down for a while") {
  VirtualTime time;
  const auto storage = std::make_shared<FaultyStorage>(
      memory_storage(),
      faults_at(
          {{0, StorageFault::slow}, {1, StorageFault::hang}, {2, StorageFault::outage}, {6, StorageFault::conflict}}));
  const auto begin = time.driver.clock().now();
  CHECK(time.drive(load_one(*storage, "a")));
  CHECK(time.driver.clock().now() - begin == seconds(5));

  std::optional<Result<std::optional<StoredValue>>> hanging;
  ExecutionBase& execution = time.driver.start<Result<std::optional<StoredValue>>>(
      load_one(*storage, "a"), [&](auto result) { hanging = std::move(result); });
  time.pass(std::chrono::hours(24 * 1000));
  CHECK(!hanging);
  time.driver.cancel(execution);
  time.driver.run();
  REQUIRE(hanging);
  CHECK(hanging->error().code() == Errc::cancelled);

  CHECK(time.drive(load_one(*storage, "a")).error().code() == Errc::io_failed);
  time.pass(seconds(299));
  CHECK(time.drive(load_one(*storage, "a")).error().code() == Errc::io_failed);
  time.pass(seconds(1));
  CHECK(time.drive(load_one(*storage, "a")));
  storage->set_down(true);
  CHECK(time.drive(load_one(*storage, "a")).error().code() == Errc::io_failed);
  storage->set_down(false);
  CHECK(!time.drive(storage->acquire("a", "one", seconds(60))).value());
  CHECK(time.drive(storage->acquire("a", "one", seconds(60))).value());
  CHECK(storage->calls() == 8);
}

TEST_CASE("faulty storage: equal seeds have equal faults") {
  const auto faults_of = [](std::uint64_t seed) {
    StorageFaults faults = faults_by_chance(seed, 0.25);
    std::vector<StorageFault> drawn;
    for (int number = 0; number < 1000; ++number) drawn.push_back(faults(StorageCall("load", "a")));
    return drawn;
  };
  CHECK(faults_of(1) == faults_of(1));
  CHECK(faults_of(1) != faults_of(2));
  const std::vector<StorageFault> drawn = faults_of(1);
  const auto none = std::ranges::count(drawn, StorageFault::none);
  CHECK(none > 650);
  CHECK(none < 850);
}

TEST_CASE("faulty storage: the conformance suite ends, and says what is wrong, whatever fails") {
  std::size_t failed = 0;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const std::shared_ptr<Storage> memory = memory_storage();
    const auto faulty = std::make_shared<FaultyStorage>(memory, faults_by_chance(seed, 0.02));
    failed += conformance_failures(StorageUnderTest([faulty] { return faulty; })).empty() ? 0 : 1;
  }
  CHECK(failed == 5);
}
