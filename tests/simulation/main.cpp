// culmen_simulation [SESSIONS [HOURS [SEED [FAULT_PERCENT]]]]: runs the simulation and prints what came of it. The exit
// status is 1 if a flow did not end, a certificate was wrong, a challenge stayed presented, or the CA grew.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "simulation.hpp"

using namespace culmen;

namespace {

std::size_t total(const TestCaSizes& sizes) {
  return sizes.orders + sizes.authorizations + sizes.certificates + sizes.nonces;
}

void print_sizes(const char* when, const TestCaSizes& sizes) {
  std::printf("%-10s accounts %zu, orders %zu, authorizations %zu, certificates %zu, nonces %zu\n", when,
              sizes.accounts, sizes.orders, sizes.authorizations, sizes.certificates, sizes.nonces);
}

int run(const test::SimulationOptions& options) {
  const test::SimulationResult result = test::simulate(options);
  for (std::size_t hour = 0; hour < result.sizes.size(); ++hour)
    print_sizes(("hour " + std::to_string(hour + 1)).c_str(), result.sizes[hour]);
  for (const auto& [outcome, times] : result.outcomes) std::printf("%6d  %s\n", times, outcome.c_str());
  for (const auto& [resource, times] : result.requests) std::printf("%6d  requests: %s\n", times, resource.c_str());
  std::printf("%d of %d sessions ended, %d wrong certificates, %zu challenges left\n", result.ended, options.sessions,
              result.wrong_certificates, result.left_presented);
  // What expires within two hours and is kept half an hour has reached its full size after a few hours.
  std::size_t early = 0, late = 0;
  for (std::size_t hour = 0; hour < result.sizes.size(); ++hour) {
    std::size_t& most = hour < std::max<std::size_t>(6, result.sizes.size() / 2) ? early : late;
    most = std::max(most, total(result.sizes[hour]));
  }
  const bool grew = late > early + early / 2;
  if (grew) std::printf("the CA grew: %zu objects at first, %zu later\n", early, late);
  const bool good =
      result.ended == options.sessions && result.wrong_certificates == 0 && result.left_presented == 0 && !grew;
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) try {
  const auto argument = [&](int index, int fallback) { return argc > index ? std::atoi(argv[index]) : fallback; };
  test::SimulationOptions options;
  options.sessions = std::clamp(argument(1, options.sessions), 1, 10'000);
  options.duration = std::chrono::hours(std::clamp(argument(2, 24), 1, 24 * 365));
  options.seed = static_cast<std::uint64_t>(std::max(argument(3, 1), 1));
  options.fault_percent = std::clamp(argument(4, options.fault_percent), 0, 14);
  std::printf("%d sessions, %d hours, seed %d, each fault %d %%\n", options.sessions,
              static_cast<int>(options.duration.count()), static_cast<int>(options.seed), options.fault_percent);
  return run(options);
} catch (const std::exception& error) {
  std::fprintf(stderr, "culmen_simulation: %s\n", error.what());
  return 1;
}
