// The conformance suite in real time, with every driver. tests/unit/storage runs it in virtual time.
#include "culmen/storage_conformance.hpp"

#include <doctest/doctest.h>

#include "culmen/file_storage.hpp"
#include "support/temporary_folder.hpp"
#include "unit/drivers/each_driver.hpp"

using namespace culmen;

namespace {

/// All tests at the same time: each has keys of its own.
Flow<Result<std::string>> failures_of_all(StorageUnderTest subject) {
  const std::vector<ConformanceCase> cases = storage_conformance();
  std::vector<Flow<Result<void>>> flows;
  for (const ConformanceCase& test : cases) flows.push_back(test.run(subject));
  const std::vector<Result<void>> passed = co_await all(std::move(flows));
  std::string failures;
  for (std::size_t number = 0; number < cases.size(); ++number) {
    if (!passed[number]) failures += cases[number].name + ": " + passed[number].error().what() + "\n";
  }
  co_return failures;
}

}  // namespace

TEST_CASE("the conformance suite passes on MemoryStorage with every driver, all tests at once") {
  test::with_each([](auto& driver) {
    const std::shared_ptr<Storage> storage = memory_storage();
    const Result<std::string> failures = driver.run(failures_of_all(StorageUnderTest([storage] { return storage; })));
    CHECK(failures.value() == "");
  });
}

TEST_CASE("the conformance suite passes on FileStorage with every driver, all tests at once") {
  test::with_each([](auto& driver) {
    const test::TemporaryFolder folder;
    const Result<std::string> failures =
        driver.run(failures_of_all(StorageUnderTest([&folder] { return file_storage(folder.path()); })));
    CHECK(failures.value() == "");
  });
}
