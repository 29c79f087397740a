// What makes a manager renew before the usual time.
#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;

TEST_CASE("manager: a revoked certificate is replaced at once, with a new key") {
  ManagerWorld world;
  Heard heard;
  ManagerOptions options = world.options();
  options.specs.emplace_back(std::vector<std::string>{"k.example"});
  options.specs.back().reuse_key = true;
  const auto core = world.make(std::move(options), heard);
  world.run(core);
  world.pass(1h);
  const std::optional<Generation> old = world.live("k.example");
  REQUIRE(old);
  bool compromised = false;
  SUBCASE("revoked: the key is kept, as the spec wants it") {}
  SUBCASE("the key is compromised") { compromised = true; }
  CHECK(core->revoked("k.example", compromised));
  world.pass(1min);
  INFO(heard.all());
  const std::optional<Generation> fresh = world.live("k.example");
  REQUIRE(fresh);
  CHECK(fresh->chain_pem != old->chain_pem);
  CHECK((fresh->key_pem == old->key_pem) == !compromised);
  CHECK(world.record("k.example")->emergency.empty());
  CHECK(!world.record("k.example")->key_compromised);
  CHECK(world.orders() == 3);
  world.pass(24h);
  CHECK(world.orders() == 3);
  CHECK(!core->revoked("nothing", false));
}

TEST_CASE("manager: an emergency is in storage while the CA is down, and a restart knows of it") {
  ManagerWorld world;
  Heard first;
  const auto core = world.make(world.options(), first);
  world.run(core);
  world.pass(1h);
  world.is_down[0] = true;
  CHECK(core->revoked("a.example", true));
  world.pass(1min);
  REQUIRE(world.record());
  CHECK(!world.record()->emergency.empty());
  CHECK(world.record()->key_compromised);
  core->stop();
  world.pass(1s);
  const std::string old_key = world.live()->key_pem;
  Heard second;
  world.is_down[0] = false;
  world.run(world.make(world.options(), second));
  world.pass(30min);
  INFO(first.all() << "--- then\n" << second.all());
  CHECK(world.live()->key_pem != old_key);
  CHECK(world.record()->emergency.empty());
  CHECK(world.orders() == 2);
}

TEST_CASE("manager: a window of the CA that has passed means at once") {
  ManagerWorld world;
  Heard heard;
  world.run(world.make(world.options(), heard));
  world.pass(10min);
  const std::optional<Generation> old = world.live();
  REQUIRE(old);
  world.ca().set_renewal_window(old->chain_pem, world.clock.now() - 1h, world.clock.now() - 30min);
  world.pass(8h);
  INFO(heard.all());
  CHECK(world.orders() == 2);
  CHECK(world.live()->chain_pem != old->chain_pem);
  world.pass(24h * 3);
  CHECK(world.orders() == 2);
}

TEST_CASE("manager: the CA is asked for renewal information once a Retry-After, and its silence costs nothing (F9)") {
  ManagerWorld world;
  Heard heard;
  world.run(world.make(world.options(), heard));
  world.pass(24h);
  const int asked = world.count(0, "renewal-info");
  CHECK(asked >= 4);
  CHECK(asked <= 5);
  for (int i = 0; i < 200; ++i) {
    TestCaFault fault("renewal-info", TestCaFault::Kind::drop_before);
    world.ca().plan(fault);
  }
  world.pass(24h * 3);
  CHECK(world.count(0, "renewal-info") - asked < 60);  // each question is sent up to four times
  CHECK(heard.count(EventKind::failed) == 0);
  CHECK(heard.count(EventKind::ca_closed) == 0);
  CHECK(world.record()->attempts.at(world.directory()).in_a_row == 0);
}

TEST_CASE("manager: renew_now renews once, whatever the age, also when the CA was slow before") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(1h);
  CHECK(core->renew_now("a.example", "the operator wants it"));
  world.pass(1min);
  CHECK(world.orders() == 2);
  world.pass(24h * 2);
  CHECK(world.orders() == 2);
  const Result<void> unknown = core->renew_now("b.example", "");
  REQUIRE(!unknown);
  CHECK(unknown.error().code() == Errc::not_offered);
}

TEST_CASE("manager: renew_now before the records are read is not forgotten") {
  ManagerWorld world;
  Heard first, second;
  const auto core = world.make(world.options(), first);
  world.run(core);
  world.pass(1h);
  core->stop();
  world.pass(1s);
  const auto next = world.make(world.options(), second);
  CHECK(next->renew_now("a.example", "the operator wants it"));
  world.run(next);
  world.pass(1min);
  CHECK(second.count(EventKind::issued) == 1);
  CHECK(world.orders() == 2);
}
