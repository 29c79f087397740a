// Emergencies that are asked for, and certificates that are waited for.
#include <doctest/doctest.h>

#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;

TEST_CASE("manager: what is revoked is in storage before the CA is asked, and when it is stopped right after") {
  ManagerWorld world;
  Heard first;
  const auto core = world.make(world.options(), first);
  world.run(core);
  world.pass(1min);
  REQUIRE(world.record());
  SUBCASE("the CA does not answer") {
    world.is_down[0] = true;
    world.latency = 30s;
    REQUIRE(core->revoked("a.example", true));
    world.pass(2s);
  }
  SUBCASE("it is stopped at once") {
    REQUIRE(core->revoked("a.example", true));
    core->stop();
    world.pass(1s);
  }
  REQUIRE(world.record());
  CHECK(!world.record()->emergency.empty());
  CHECK(world.record()->key_compromised);
}

TEST_CASE("manager: ensure waits for a certificate that is what is wanted now") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(1min);
  CertificateSpec changed(std::vector<std::string>{"a.example", "b.example"});
  core->set_specs({changed});
  std::optional<Result<void>> ended;
  world.driver.start<Result<void>>(ManagerCore::ensure(core, "a.example"), [&](Result<void> r) { ended = r; });
  world.pass(1ms);
  CHECK(!ended);
  world.pass(1min);
  REQUIRE(ended);
  CHECK(*ended);
  check_pair(*world.live(), {"a.example", "b.example"});
}

TEST_CASE("manager: a set of names that changes while the order is in flight: ensure waits for the second one") {
  ManagerWorld world;
  Heard heard;
  world.latency = 500ms;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(2s);
  std::optional<Result<void>> ended;
  world.driver.start<Result<void>>(ManagerCore::ensure(core, "a.example"), [&](Result<void> r) { ended = r; });
  CertificateSpec changed(std::vector<std::string>{"a.example", "b.example"});
  core->set_specs({changed});
  for (int i = 0; i < 600 && !ended; ++i) world.pass(1s);
  REQUIRE(ended);
  CHECK(*ended);
  check_pair(*world.live(), {"a.example", "b.example"});
}
