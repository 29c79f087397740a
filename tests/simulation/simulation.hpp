// Many clients beside each other that keep certificates fresh at a CA that fails in every way, in virtual time.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "culmen/test_ca.hpp"

namespace culmen::test {

struct SimulationOptions {
  int sessions = 50;
  std::chrono::hours duration{24};
  std::uint64_t seed = 1;
  int fault_percent = 3;  ///< Each of the faults of TestCaFaults::everything().
  std::chrono::minutes certificate_lifetime{90};
};

struct SimulationResult {
  int ended = 0;                        ///< Sessions whose flow ended.
  std::map<std::string, int> outcomes;  ///< Of issuances: "issued", or "step: error".
  std::map<std::string, int> requests;  ///< As TestCa::request_counts().
  int wrong_certificates = 0;           ///< For another key or other names.
  std::size_t left_presented = 0;       ///< Challenges that were not cleaned up.
  std::vector<TestCaSizes> sizes;       ///< At the end of each hour.
};

/// Reproducible: the same options give the same result.
SimulationResult simulate(const SimulationOptions& options);

}  // namespace culmen::test
