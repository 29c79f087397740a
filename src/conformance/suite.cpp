#include <utility>

#include "conformance/bench.hpp"
#include "culmen/error.hpp"
#include "culmen/storage_conformance.hpp"

namespace culmen {

namespace {

using conformance::Bench;
using conformance::Definition;

constexpr std::chrono::minutes longest_test{5};

Flow<Result<void>> run_on_bench(const Definition* definition, StorageUnderTest subject) {
  Bench bench(std::move(subject), definition->folder);
  // What an earlier run may have left.
  Result<void> cleared = co_await bench.remove_all_below(bench.prefix());
  if (cleared) {
    Result<void> passed = co_await definition->run(bench);
    if (!passed) co_return passed;
    cleared = co_await bench.remove_all_below(bench.prefix());
  }
  co_return cleared;
}

Flow<Result<void>> run_test(const Definition* definition, StorageUnderTest subject) {
  std::function<Flow<Result<void>>()> make = [definition, subject] { return run_on_bench(definition, subject); };
  Flow<Result<void>> test = guarded(std::move(make), std::string());
  Result<void> passed = co_await with_deadline(std::move(test), longest_test, definition->name);
  co_return passed;
}

}  // namespace

std::vector<ConformanceCase> storage_conformance() {
  std::vector<ConformanceCase> cases;
  for (const auto* tests :
       {&conformance::value_tests, &conformance::lease_tests, &conformance::engine_tests, &conformance::record_tests}) {
    for (const Definition& definition : *tests) {
      cases.emplace_back(definition.name,
                         [&definition](StorageUnderTest subject) { return run_test(&definition, std::move(subject)); });
    }
  }
  return cases;
}

Flow<std::vector<ConformanceResult>> check_storage(StorageUnderTest subject, std::string name_begin) {
  std::vector<ConformanceResult> results;
  for (const ConformanceCase& test : storage_conformance()) {
    if (!test.name.starts_with(name_begin)) continue;
    if (!subject.outage && test.name.starts_with("outage: ")) continue;  // it would pass without a test
    Flow<Result<void>> run = test.run(subject);
    Result<void> passed = co_await std::move(run);
    ConformanceResult result;
    result.name = test.name;
    result.passed = passed.has_value();
    if (!passed) result.detail = passed.error().what();
    results.push_back(std::move(result));
  }
  co_return results;
}

}  // namespace culmen
