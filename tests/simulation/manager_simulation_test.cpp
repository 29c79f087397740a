#include "simulation/manager_simulation.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace culmen::simulation;

namespace {

/// Runs seeds until one finds something; how many it took, 0 if none did.
std::uint64_t seeds_to_find(Options options, std::uint64_t most, const std::string& finding, std::string& failure) {
  for (std::uint64_t i = 1; i <= most; ++i, ++options.seed) {
    const Outcome outcome = simulate(options);
    for (const std::string& each : outcome.failures) {
      failure = each.substr(0, each.find('\n'));
      if (failure.find(finding) != std::string::npos) return i;
    }
  }
  return 0;
}

void check_seeds(std::uint64_t first, std::uint64_t count) {
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    Options options;
    options.seed = seed;
    const Outcome outcome = simulate(options);
    for (const std::string& failure : outcome.failures) FAIL_CHECK(failure);
    if (outcome.failure_count > 0) MESSAGE("again: ", command_of(outcome.options));
    CHECK(outcome.failure_count == 0);
  }
}

/// The simulation is worth something only if it finds what it is there for.
void check_bug(Bug bug, const std::string& world, const std::string& finding, std::uint64_t most_seeds = 20) {
  Options options;
  options.world = world;
  options.bug = bug;
  std::string failure;
  const std::uint64_t seeds = seeds_to_find(options, most_seeds, finding, failure);
  CAPTURE(failure);
  CHECK(seeds > 0);
  MESSAGE("seed ", seeds, ": ", failure);
}

}  // namespace

// 200 seeds, each in the world that it chooses.
TEST_CASE("managers: seeds 1 to 25") { check_seeds(1, 25); }
TEST_CASE("managers: seeds 26 to 50") { check_seeds(26, 25); }
TEST_CASE("managers: seeds 51 to 75") { check_seeds(51, 25); }
TEST_CASE("managers: seeds 76 to 100") { check_seeds(76, 25); }
TEST_CASE("managers: seeds 101 to 125") { check_seeds(101, 25); }
TEST_CASE("managers: seeds 126 to 150") { check_seeds(126, 25); }
TEST_CASE("managers: seeds 151 to 175") { check_seeds(151, 25); }
TEST_CASE("managers: seeds 176 to 200") { check_seeds(176, 25); }

TEST_CASE("managers: the same seed is the same run") {
  for (const char* const world : {"mixed", "engine"}) {
    Options options;
    options.world = world;
    options.seed = 5;
    const Outcome once = simulate(options), again = simulate(options);
    CHECK(once.hash == again.hash);
    CHECK(once.asks == again.asks);
    options.seed = 6;
    CHECK(simulate(options).hash != once.hash);
  }
}

TEST_CASE("managers: what a failing seed prints is the same run") {
  Options options;
  options.world = "two-lost";
  options.seed = 7;
  const Outcome chosen = simulate(options);
  CHECK(simulate(chosen.options).hash == chosen.hash);
  CHECK(command_of(chosen.options).find("--world two-lost --names ") != std::string::npos);
}

// Each takes the time that the other has stored for that of a wrong clock. Each keeps to its own Retry-After.
TEST_CASE("managers: with clocks a day apart a CA is not asked more often than by each alone") {
  Options options;
  options.world = "two-clocks";
  options.names = 5;
  options.days = 6;
  options.lifetime = 576'000;
  options.cas = 2;
  for (options.seed = 1; options.seed <= 5; ++options.seed) {
    CAPTURE(options.seed);
    const Outcome outcome = simulate(options);
    // Every 6 h for each name and manager, and once more after each crash and for each new certificate.
    const double expected = 2 * 5 * 6 * 4 + 2 * 5 * static_cast<double>(outcome.crashes) + 100;
    CHECK(static_cast<double>(outcome.cas.questions) < expected);
  }
}

TEST_CASE("managers: a storage that does not look at fences is found") {
  check_bug(Bug::unfenced_write, "pause", "although token");
}
TEST_CASE("managers: a storage that compares first and writes later is found") {
  check_bug(Bug::two_step_compare, "two", "in place of revision");
}
TEST_CASE("managers: leases that end by the wall clock are found") {
  check_bug(Bug::wall_clock_lease, "two-clocks", "the lease");
}
TEST_CASE("managers: a worker that waits its back-off in place is found") {
  check_bug(Bug::sleeping_job, "outage", "a worker has held the certificate");
}
TEST_CASE("managers: renewal information kept for the successor is found") {
  check_bug(Bug::kept_renewal_info, "incident", "issued twice");
}
TEST_CASE("managers: one that asks about renewals twice as often is found, also where two may overlap for long") {
  check_bug(Bug::halved_retry_after, "calm", "its Retry-After");
  check_bug(Bug::halved_retry_after, "pause", "where its Retry-After allows");
}
TEST_CASE("managers: one that does not see what the other has used of the limits is found") {
  check_bug(Bug::forgotten_orders, "two-limits", "is crossed");
}
TEST_CASE("managers: emergencies without a throttle are found") {
  check_bug(Bug::no_throttle, "incident", "because of an incident");
}
TEST_CASE("managers: back-off that is not stored is found") {
  check_bug(Bug::forgotten_back_off, "outage", "the back-off is at least");
}
