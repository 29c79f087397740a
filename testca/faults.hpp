// Faults of single requests: planned ones, and those that TestCaFaults spreads by percentages.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "culmen/test_ca.hpp"
#include "testca/http_message.hpp"
#include "testca/state.hpp"

namespace culmen::testca {

class FaultPlan {
 public:
  void add(TestCaFault fault) { planned_.push_back(std::move(fault)); }
  /// What is planned for this request to `resource`; every matching plan counts it.
  std::optional<TestCaFault> take(std::string_view resource);

 private:
  std::vector<TestCaFault> planned_;
};

/// Throws Error (invalid_argument) for percentages that exceed 100 together, and names that are not valid.
void check_faults(const TestCaFaults& faults);

/// Draws one of the faults that have a percentage. Draws nothing from `state` if there are none.
std::optional<TestCaFault> random_fault(const TestCaFaults& faults, State& state);

/// What a fault puts in the place of an answer.
Reply faulty_reply(const TestCaFault& fault, TimePoint now);

/// Retry-After from TestCaFaults::retry_after: "date:2" becomes an HTTP date.
std::string retry_after_value(std::string_view text, TimePoint now);

}  // namespace culmen::testca
