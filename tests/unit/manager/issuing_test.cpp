// A manager that issues and renews, with the real engine, in virtual time.
#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;

TEST_CASE("manager: issues a certificate into an empty storage, and tells") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options({"a.example", "www.a.example"}), heard);
  world.run(core);
  world.pass(1min);
  INFO(heard.all());
  const std::optional<Generation> live = world.live();
  REQUIRE(live);
  check_pair(*live, {"a.example", "www.a.example"});
  CHECK(world.orders() == 1);
  CHECK(heard.count(EventKind::loaded) == 1);
  CHECK(heard.count(EventKind::issuing) == 1);
  CHECK(heard.count(EventKind::issued) == 1);
  CHECK(heard.count(EventKind::failed) == 0);
  REQUIRE(heard.installed.size() == 1);
  CHECK(heard.installed[0].id == "a.example");
  CHECK(heard.installed[0].chain_pem == live->chain_pem);
  CHECK(heard.installed[0].key_pem == live->key_pem);
  CHECK(world.keys("certificates/").size() == 2);  // record and generation: no pending order is left
  CHECK(!world.stored(pending_order_key("a.example")));
  const std::vector<CertificateStatus> status = core->status(world.clock.now());
  REQUIRE(status.size() == 1);
  CHECK(status[0].issued_by == world.directory());
  CHECK(!status[0].in_flight);
  CHECK(status[0].next);
  CHECK(status[0].failures == 0);
}

TEST_CASE("manager: renews over months, and keeps two generations") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  std::set<std::string> keys;
  for (int days = 0; days < 190; days += 10) {
    world.pass(24h * 10);
    const std::optional<Generation> live = world.live();
    REQUIRE(live);
    CHECK(Certificate::from_pem(live->chain_pem).not_after > world.clock.now() + 24h * 20);
    keys.insert(live->key_pem);
  }
  CHECK(world.orders() == 4);  // every 60 days and a little earlier
  CHECK(keys.size() == 4);     // a new key each time
  CHECK(heard.count(EventKind::issued) == 4);
  CHECK(heard.count(EventKind::late) == 0);
  CHECK(heard.installed.size() == 4);
  CHECK(world.keys("certificates/").size() == 3);
  CHECK(world.count(0, "new-account") == 1);
}

TEST_CASE("manager: stops when it is told to, and when it is cancelled") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options(), heard);
  ExecutionBase* execution = &world.run(core);
  world.pass(1min);
  SUBCASE("stop") { core->stop(); }
  SUBCASE("cancel") { world.driver.cancel(*execution); }
  world.pass(1s);
  CHECK(world.ended_runs == 1);
  CHECK(world.driver.running() == 0);
}
