// Tests for an engine of your own: what docs/storage.md says of every Storage. In culmen::storage-conformance.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/flow.hpp"
#include "culmen/result.hpp"
#include "culmen/storage.hpp"

namespace culmen {

/// The engine to test, and what the tests can do to it. A plain value with callbacks, which are called on the thread
/// that drives the tests, or from call(); they may block and throw.
struct StorageUnderTest {
  StorageUnderTest() = default;
  explicit StorageUnderTest(std::function<std::shared_ptr<Storage>()> open_) : open(std::move(open_)) {}

  /// Required. Opens the store that is tested; each call should make a handle of its own, as another process would have
  /// it. All handles are used at the same time.
  std::function<std::shared_ptr<Storage>()> open;
  /// Restarts the engine; what is durable stays. Handles from before are not used any more. Empty: not tested.
  std::function<void()> restart;
  /// With true: makes the store unreadable, such as by stopping its server. With false: readable again; handles from
  /// before must work again. Empty: not tested.
  std::function<void(bool)> outage;
  /// The tests use keys below this, and remove them. The typed part uses accounts and certificates with names that
  /// contain "conformance", and keys in keys/unused/ of the year 1970.
  std::string scratch = "scratch/conformance";
};

/// One test. A plain value with a callback.
struct ConformanceCase {
  ConformanceCase(std::string name_, std::function<Flow<Result<void>>(StorageUnderTest)> run_)
      : name(std::move(name_)), run(std::move(run_)) {}
  /// Such as "leases: tokens grow". Begins with what it is about: values, keys, list, many, expiry, leases, fences,
  /// changes, cancellation, outage, restart, records.
  std::string name;
  /// Drive the flow with any driver. The error says what was wrong. Takes at most five minutes; waits of several
  /// seconds are part of some tests. Does not throw.
  std::function<Flow<Result<void>>(StorageUnderTest)> run;
};

/// All tests. Each has keys of its own, so they may run at the same time, except with `outage` and `restart`.
std::vector<ConformanceCase> storage_conformance();

/// How a test ended. A plain value.
struct ConformanceResult {
  ConformanceResult() = default;
  std::string name;
  bool passed = false;
  std::string detail;  ///< What was wrong; empty if it passed.
};

/// Runs the tests whose name begins with `name_begin`, one after the other. Leaves out that of outages if it cannot
/// make one.
Flow<std::vector<ConformanceResult>> check_storage(StorageUnderTest subject, std::string name_begin = {});

}  // namespace culmen
