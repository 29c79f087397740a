// Runs storage flows in virtual time.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "culmen/storage_conformance.hpp"
#include "culmen/virtual_driver.hpp"

namespace culmen::test {

/// A driver without a network.
class VirtualTime {
 public:
  template <class T>
  T drive(Flow<T> flow, std::string name = {}) {
    return driver.drive(std::move(flow), std::move(name));
  }
  /// Lets time pass.
  void pass(std::chrono::milliseconds duration) { driver.run_until(driver.clock().now() + duration); }

  VirtualDriver driver{
      VirtualClock(std::chrono::system_clock::time_point(std::chrono::seconds(1'790'000'000))), [](const HttpRequest&) {
        return TimedResponse(Error(Errc::connection_failed, "sending a request", "there is no network"));
      }};
};

/// What the tests whose name begins with `name_begin` found: "" if all passed, else a line for each that failed. The
/// number of those that ran goes to `count`.
inline std::string conformance_failures(StorageUnderTest subject, std::string name_begin = {},
                                        std::size_t* count = nullptr) {
  VirtualTime time;
  std::string failures;
  for (const ConformanceResult& result :
       time.drive(check_storage(std::move(subject), std::move(name_begin)), "conformance")) {
    if (count) ++*count;
    if (!result.passed) failures += result.name + ": " + result.detail + "\n";
  }
  return failures;
}

}  // namespace culmen::test
