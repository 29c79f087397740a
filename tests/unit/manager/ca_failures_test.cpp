// What a manager does when a CA fails, refuses, or is slow.
#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;

TEST_CASE("manager: another CA is asked when the first one is down, and the first one again later") {
  ManagerWorld world(2);
  Heard heard;
  world.is_down[0] = true;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(10min);
  INFO(heard.all());
  REQUIRE(world.record());
  CHECK(world.record()->server == world.directory(1));
  CHECK(world.orders(0) == 0);
  CHECK(world.orders(1) == 1);
  world.is_down[0] = false;
  world.pass(24h * 62);
  CHECK(world.record()->server == world.directory(0));
  CHECK(world.orders(0) == 1);
  CHECK(world.orders(1) == 1);
  CHECK(heard.count(EventKind::expired) == 0);
}

TEST_CASE("manager: a CA that is down is left alone for longer and longer, and comes back") {
  ManagerWorld world;
  Heard heard;
  world.is_down[0] = true;
  std::vector<CertificateSpec> specs;
  for (int i = 0; i < 20; ++i) specs.emplace_back(std::vector<std::string>(1, "n" + std::to_string(i) + ".example"));
  ManagerOptions options = world.options({});
  options.specs = specs;
  const auto core = world.make(std::move(options), heard);
  world.run(core);
  world.pass(3h);
  INFO(heard.all());
  CHECK(heard.count(EventKind::ca_closed) >= 1);
  const std::size_t tried = world.requests;
  CHECK(tried < 120);  // by twenty certificates, in three hours
  world.is_down[0] = false;
  world.pass(45min);
  CHECK(heard.count(EventKind::ca_open) == 1);
  CHECK(heard.count(EventKind::issued) == 20);
}

TEST_CASE("manager: who waited for a connection that failed does not wait for another one") {
  const auto time_of_run = [](int certificates) {
    ManagerWorld world;
    Heard heard;
    world.is_down[0] = true;
    ManagerOptions options = world.options({});
    for (int i = 0; i < certificates; ++i)
      options.specs.emplace_back(std::vector<std::string>(1, "n" + std::to_string(i) + ".example"));
    const auto core = world.make(std::move(options), heard);
    const Result<RunSummary> summary = world.driver.drive(core->run_once());
    REQUIRE(summary);
    CHECK(summary->failed.size() == static_cast<std::size_t>(certificates));
    return world.clock.now() - ManagerWorld::start;
  };
  CHECK(time_of_run(4) < time_of_run(1) * 2);
}

TEST_CASE("manager: back-off outlives a restart (F11)") {
  TestCaOptions ca_options;
  ca_options.blocked_names = {"a.example"};
  ManagerWorld world(1, ca_options);
  Heard first;
  const auto core = world.make(world.options(), first);
  world.run(core);
  world.pass(10min);
  CHECK(world.orders() == 1);
  REQUIRE(world.record());
  CHECK(world.record()->live == 0);
  CHECK(world.record()->attempts.at(world.directory()).in_a_row == 1);
  CHECK(world.record()->last_error.find("a.example") != std::string::npos);
  core->stop();
  world.pass(1s);
  REQUIRE(world.ended_runs == 1);
  Heard second;
  const auto next = world.make(world.options(), second);
  world.run(next);
  world.pass(1h);
  CHECK(world.orders() == 1);  // refused names are tried again after hours
  const std::vector<CertificateStatus> status = next->status(world.clock.now());
  REQUIRE(status.size() == 1);
  CHECK(status[0].failures == 1);
  CHECK(status[0].last_error.find("a.example") != std::string::npos);
  world.pass(12h);
  CHECK(world.orders() > 1);
}

TEST_CASE("manager: what fails for one name does not hold up the others (E7)") {
  TestCaOptions ca_options;
  ca_options.blocked_names = {"bad.example"};
  ManagerWorld world(1, ca_options);
  Heard heard;
  ManagerOptions options = world.options({});
  options.specs.emplace_back(std::vector<std::string>{"bad.example"});
  options.specs.emplace_back(std::vector<std::string>{"good.example"});
  world.run(world.make(std::move(options), heard));
  world.pass(1min);
  CHECK(world.live("good.example"));
  CHECK(!world.live("bad.example"));
  CHECK(heard.count(EventKind::failed) == 1);
}

TEST_CASE("manager: many new certificates do not hold up renewals until they expire") {
  TestCaOptions ca;
  ca.certificate_lifetime = 10min;
  ManagerWorld world(1, ca);
  world.latency = 200ms;
  Heard heard;
  std::vector<CertificateSpec> specs;
  for (int i = 0; i < 10; ++i) specs.emplace_back(std::vector<std::string>(1, "old" + std::to_string(i) + ".example"));
  ManagerOptions options = world.options({});
  options.specs = specs;
  options.width = 1;
  const auto core = world.make(std::move(options), heard);
  world.run(core);
  world.pass(4min);
  REQUIRE(heard.count(EventKind::issued) == 10);
  for (int i = 0; i < 400; ++i) specs.emplace_back(std::vector<std::string>(1, "new" + std::to_string(i) + ".example"));
  core->set_specs(specs);
  world.pass(8min);  // one after the other they would take longer
  const std::size_t issued = heard.count(EventKind::issued);
  CHECK(issued > 60);
  CHECK(issued < 400);
  CHECK(heard.count(EventKind::expired) == 0);
}

TEST_CASE("manager: an order that takes long is given up soon if the life is short, and gone on with") {
  TestCaOptions ca;
  ca.certificate_lifetime = 64s;
  ca.validation_delay = 12s;
  ManagerWorld world(1, ca);
  Heard heard;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(75s);
  INFO(heard.all());
  CHECK(heard.count(EventKind::issued) == 2);
  CHECK(heard.count(EventKind::failed) > 0);
  CHECK(heard.count(EventKind::expired) == 0);
  CHECK(world.orders() == 2);
}

TEST_CASE("manager: a proxy answers the challenge or the CSR in place of the CA: a few seconds, not a time-out") {
  for (const char* resource : {"challenge", "finalize"}) {
    CAPTURE(resource);
    ManagerWorld world;
    Heard heard;
    world.ca().plan(TestCaFault(resource, TestCaFault::Kind::garbage));
    const auto core = world.make(world.options(), heard);
    world.run(core);
    world.pass(20s);
    INFO(heard.all());
    CHECK(heard.count(EventKind::issued) == 1);
    CHECK(world.orders() == 1);
  }
}

TEST_CASE("manager: a profile that the CA does not have: a warning if it is preferred, a failure if it is required") {
  TestCaOptions ca_options;
  ca_options.profiles = {{"classic", "the usual"}};
  ManagerWorld world(1, ca_options);
  Heard heard;
  ManagerOptions options = world.options({});
  for (const char* name : {"preferred", "required", "there"}) {
    options.specs.emplace_back(std::vector<std::string>(1, std::string(name) + ".example"));
    options.specs.back().profile = std::string(name) == "there" ? "classic" : "gone";
    options.specs.back().profile_required = std::string(name) != "preferred";
  }
  world.run(world.make(std::move(options), heard));
  world.pass(1min);
  INFO(heard.all());
  CHECK(world.live("preferred.example"));
  CHECK(!world.live("required.example"));
  CHECK(world.live("there.example"));
  CHECK(heard.count(EventKind::warning) == 1);
  CHECK(heard.detail(EventKind::warning).find("gone") != std::string::npos);
  CHECK(world.record("required.example")->last_error.find("gone") != std::string::npos);
}

TEST_CASE("manager: must-staple that the CA ignores is a warning (F12)") {
  ManagerWorld world;
  TestCaFaults faults;
  faults.ignore_must_staple = true;
  world.ca().set_faults(faults);
  Heard heard;
  ManagerOptions options = world.options({});
  options.specs.emplace_back(std::vector<std::string>{"a.example"});
  options.specs[0].must_staple = true;
  world.run(world.make(std::move(options), heard));
  world.pass(1min);
  CHECK(world.live());
  CHECK(heard.detail(EventKind::warning).find("must-staple") != std::string::npos);
}
