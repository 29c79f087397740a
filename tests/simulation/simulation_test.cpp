// A small part of `make simulation`.
#include "simulation.hpp"

#include <doctest/doctest.h>

using namespace culmen;
using namespace culmen::test;

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
  CHECK(result.outcomes.at("issued") > 50);
  CHECK(failed > 3);
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
