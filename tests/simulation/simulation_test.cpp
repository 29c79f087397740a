// A small part of `make simulation`.
#include "simulation.hpp"

#include <doctest/doctest.h>

using namespace culmen;
using namespace culmen::test;

namespace {
double requests_an_issuance(const SimulationResult& result) {
  int requests = 0;
  for (const auto& [resource, times] : result.requests) requests += times;
  return static_cast<double>(requests) / result.outcomes.at("issued");
}
}  // namespace

TEST_CASE("simulation: ten sessions with every fault at once for two hours") {
  SimulationOptions options;
  options.sessions = 10;
  options.duration = std::chrono::hours(2);
  options.certificate_lifetime = std::chrono::minutes(15);
  const SimulationResult result = simulate(options);
  CHECK(result.ended == options.sessions);
  CHECK(result.wrong_certificates == 0);
  CHECK(result.left_presented == 0);
  int failed = 0;
  for (const auto& [outcome, times] : result.outcomes) {
    MESSAGE(times, " ", outcome);
    if (outcome != "issued") failed += times;
  }
  const int issued = result.outcomes.at("issued");
  CHECK(issued > 50);
  // Most faults are survived by the client itself, so few attempts fail: that they happen at all shows in the requests.
  CHECK(failed > 0);
  CHECK(failed < issued / 3);
  SimulationOptions without_faults = options;
  without_faults.fault_percent = 0;
  const SimulationResult calm = simulate(without_faults);
  CHECK(calm.outcomes.size() == 1);  // "issued"
  const double more = requests_an_issuance(result) / requests_an_issuance(calm);
  MESSAGE("requests for a certificate: ", more, " times as many as without faults");
  CHECK(more > 1.15);
  REQUIRE(result.sizes.size() == 2);
  for (const TestCaSizes& sizes : result.sizes)
    MESSAGE("accounts ", sizes.accounts, ", orders ", sizes.orders, ", authorizations ", sizes.authorizations,
            ", certificates ", sizes.certificates, ", nonces ", sizes.nonces);
  CHECK(result.sizes.back().accounts == 10);

  const SimulationResult again = simulate(options);
  CHECK(again.outcomes == result.outcomes);
  CHECK(again.requests == result.requests);
  options.seed = 2;
  CHECK(simulate(options).requests != result.requests);
}

TEST_CASE("simulation: what has expired is forgotten, so a day needs no more memory than a few hours") {
  SimulationOptions options;
  options.sessions = 3;
  options.duration = std::chrono::hours(24);
  options.fault_percent = 0;
  options.certificate_lifetime = std::chrono::minutes(30);
  const SimulationResult result = simulate(options);
  CHECK(result.ended == 3);
  CHECK(result.outcomes.at("issued") >= 3 * 24 * 2);
  REQUIRE(result.sizes.size() == 24);
  for (std::size_t hour = 4; hour < 24; ++hour) {
    // Three an hour for each session, for at most an hour, half an hour more, and the time until the next sweep.
    CHECK(result.sizes[hour].orders <= 3 * 3 * 2);
    CHECK(result.sizes[hour].authorizations <= 2 * 3 * 3 * 2);
    CHECK(result.sizes[hour].certificates <= 3 * 3 * 2);
    CHECK(result.sizes[hour].nonces <= result.sizes[3].nonces * 2);
  }
}
