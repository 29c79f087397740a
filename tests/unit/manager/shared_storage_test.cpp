// Managers on one storage, and a storage that fails.
#include "support/faulty_storage.hpp"
#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;

TEST_CASE("manager: two of them on one storage order once, and both install it") {
  ManagerWorld world;
  Heard one, other;
  ManagerOptions options = world.options({"a.example", "b.example"});
  options.specs.emplace_back(std::vector<std::string>{"c.example"});
  options.owner = "one";
  const auto first = world.make(options, one);
  options.owner = "other";
  const auto second = world.make(options, other);
  world.run(first);
  world.run(second);
  world.pass(2min);
  INFO(one.all() << "--- other\n" << other.all());
  CHECK(world.orders() == 2);
  CHECK(world.ca().sizes().accounts == 1);
  CHECK(one.installed.size() == 2);
  CHECK(other.installed.size() == 2);
  for (int day = 0; day < 70; ++day) world.pass(24h);
  CHECK(world.orders() == 4);
  CHECK(one.installed.size() == 4);
  CHECK(other.installed.size() == 4);
  CHECK(one.count(EventKind::issued) + other.count(EventKind::issued) == 4);
  CHECK(one.count(EventKind::failed) + other.count(EventKind::failed) == 0);
}

TEST_CASE("manager: a challenge that one manager presents is answered by another one") {
  ManagerWorld world;
  Heard one, other;
  ManagerOptions options = world.options();
  options.share_challenges = true;
  options.owner = "one";
  const auto worker = world.make(options, one);
  options.owner = "web server";
  options.names.clear();
  options.specs.clear();
  const auto server = world.make(options, other);
  world.web_server = server;
  world.run(server);
  world.run(worker);
  world.pass(1min);
  INFO(one.all());
  CHECK(world.live());
  CHECK(world.keys("challenges/").empty());
  CHECK(!server->http01("/index.html"));
}

TEST_CASE("manager: what storage has is installed at the start, and nothing is ordered") {
  ManagerWorld world;
  Heard first, second;
  const auto core = world.make(world.options(), first);
  world.run(core);
  world.pass(1min);
  core->stop();
  world.pass(1s);
  const auto next = world.make(world.options(), second);
  world.run(next);
  world.pass(1min);
  CHECK(world.orders() == 1);
  REQUIRE(second.installed.size() == 1);
  CHECK(second.installed[0].chain_pem == first.installed[0].chain_pem);
  Result<std::optional<InstalledCertificate>> current = world.driver.drive(ManagerCore::current(next, "a.example"));
  REQUIRE(current);
  REQUIRE(*current);
  CHECK((*current)->key_pem == first.installed[0].key_pem);
}

TEST_CASE("manager: while storage is down nothing is ordered, and afterwards all is well") {
  ManagerWorld world;
  Heard heard;
  const auto storage = std::make_shared<FaultyStorage>(world.storage);
  ManagerOptions options = world.options();
  options.storage = storage;
  world.run(world.make(std::move(options), heard));
  storage->set_down(true);
  world.pass(2h);
  INFO(heard.all());
  CHECK(world.orders() == 0);
  CHECK(heard.count(EventKind::storage_failed) == 1);
  CHECK(storage->calls() < 400);
  storage->set_down(false);
  world.pass(5min);
  CHECK(heard.count(EventKind::storage_recovered) == 1);
  CHECK(world.live());
  CHECK(world.orders() == 1);
}

TEST_CASE("manager: a storage that can only be read has failed once, until it can be written to") {
  ManagerWorld world;
  Heard heard;
  bool is_full = true;
  const auto storage = std::make_shared<FaultyStorage>(world.storage, [&](const StorageCall& call) {
    return is_full && call.operation == "write" ? StorageFault::lost_before : StorageFault::none;
  });
  ManagerOptions options = world.options();
  options.storage = storage;
  world.run(world.make(std::move(options), heard));
  world.pass(6h);
  INFO(heard.all());
  CHECK(heard.count(EventKind::storage_failed) == 1);
  CHECK(heard.count(EventKind::storage_recovered) == 0);
  is_full = false;
  world.pass(1h);
  CHECK(heard.count(EventKind::storage_recovered) == 1);
  CHECK(world.live());
}

TEST_CASE("manager: a record that was removed is noticed before the certificate is due") {
  ManagerWorld world;
  Heard heard;
  world.run(world.make(world.options(), heard));
  world.pass(1min);
  REQUIRE(world.orders() == 1);
  Write removal(certificate_record_key("a.example"));
  REQUIRE(world.driver.drive(write_one(*world.storage, removal)));
  world.pass(10min);
  INFO(heard.all());
  CHECK(world.orders() == 2);
  CHECK(world.live());
}

TEST_CASE("manager: with only_recorded, what another process removed is not issued again") {
  ManagerWorld world;
  Heard heard;
  ManagerOptions options = world.options();
  options.only_recorded = true;
  CertificateRecord wanted;
  wanted.spec = CertificateSpec(std::vector<std::string>{"a.example"});
  const std::string key = certificate_record_key("a.example");
  REQUIRE(world.driver.drive(write_one(*world.storage, Write(key, encode(wanted)))));
  world.run(world.make(std::move(options), heard));
  world.pass(1min);
  REQUIRE(world.orders() == 1);
  REQUIRE(world.driver.drive(write_one(*world.storage, Write(key))));
  world.pass(10min);
  INFO(heard.all());
  CHECK(world.orders() == 1);
  CHECK_FALSE(world.driver.drive(world.storage->load({key})).value().front().has_value());
  // Nor by a single run, for which it is neither a failure nor something to wait for.
  ManagerOptions again = world.options();
  again.only_recorded = true;
  const Result<RunSummary> summary = world.driver.drive(world.make(std::move(again), heard)->run_once());
  REQUIRE(summary);
  CHECK(summary->issued.empty());
  CHECK(summary->failed.empty());
  CHECK(summary->waiting.empty());
  CHECK(world.orders() == 1);
}

TEST_CASE("manager: stops within two seconds while storage hangs, and cleans its challenges up") {
  ManagerWorld world;
  Heard heard;
  bool hangs = false;
  ManagerOptions options = world.options();
  options.share_challenges = true;
  options.storage = std::make_shared<FaultyStorage>(
      world.storage, [&hangs](const StorageCall&) { return hangs ? StorageFault::hang : StorageFault::none; });
  const auto core = world.make(std::move(options), heard);
  world.run(core);
  world.pass(1s);  // the challenge is presented, and other processes are given time to see it
  REQUIRE(world.keys("challenges/").size() == 1);
  hangs = true;
  core->stop();
  world.pass(2s);
  CHECK(world.ended_runs == 1);
  CHECK(world.driver.running() == 0);
}

TEST_CASE("manager: a lease that cannot be renewed ends the order before it is finalized, and it is resumed") {
  TestCaOptions ca_options;
  ca_options.validation_delay = 100s;
  ManagerWorld world(1, ca_options);
  Heard heard;
  bool loses = true;
  ManagerOptions options = world.options();
  options.storage = std::make_shared<FaultyStorage>(world.storage, [&loses](const StorageCall& call) {
    return loses && call.operation == "renew" ? StorageFault::lost_before : StorageFault::none;
  });
  world.run(world.make(std::move(options), heard));
  world.pass(65s);
  INFO(heard.all());
  CHECK(heard.count(EventKind::lease_lost) >= 1);
  CHECK(world.count(0, "finalize") == 0);
  CHECK(!world.managers[0]->http01("/.well-known/acme-challenge/"));
  loses = false;
  world.pass(5min);
  CHECK(world.live());
  CHECK(world.orders() == 1);
  CHECK(heard.count(EventKind::failed) == 0);
}

TEST_CASE("manager: what is stored after another process has taken over is refused, and the order is not lost") {
  TestCaOptions ca_options;
  ca_options.validation_delay = 10s;
  ManagerWorld world(1, ca_options);
  Heard heard;
  world.run(world.make(world.options(), heard));
  world.pass(2s);
  REQUIRE(world.stored(pending_order_key("a.example")));
  VirtualDriver thief(world.clock, [](const HttpRequest&) {
    return TimedResponse(Error(Errc::connection_failed, "sending", "no network"));
  });
  Lease held;
  held.name = certificate_lease("a.example");
  held.token = 1;
  REQUIRE(thief.drive(world.storage->release(held)));
  Result<std::optional<Lease>> stolen = thief.drive(world.storage->acquire(held.name, "thief", 300s));
  REQUIRE(stolen);
  REQUIRE(*stolen);
  world.pass(1min);
  INFO(heard.all());
  CHECK(heard.count(EventKind::lease_lost) == 1);
  CHECK(!world.live());
  CHECK(world.stored(pending_order_key("a.example")));
  world.pass(6min);
  CHECK(world.live());
  CHECK(world.orders() == 1);
}
