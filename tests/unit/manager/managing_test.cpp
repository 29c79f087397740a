// What a manager does with specs, sinks and callbacks, what it reports, and what is asked of it.
#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;

TEST_CASE("manager: a spec that changes is issued anew, settles, and what is not wanted stays in storage (E5)") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(1h);
  std::vector<CertificateSpec> specs;
  specs.emplace_back(std::vector<std::string>{"A.example", "b.example"});
  specs[0].id = "a.example";
  core->set_specs(specs);
  world.pass(1h);
  INFO(heard.all());
  REQUIRE(world.live());
  check_pair(*world.live(), {"a.example", "b.example"});
  CHECK(world.orders() == 2);
  world.pass(24h * 5);
  CHECK(world.orders() == 2);
  specs[0].key_types = {"ec:P-384"};
  core->set_specs(specs);
  world.pass(1h);
  CHECK(world.orders() == 3);
  CHECK(PrivateKey::from_pem(world.live()->key_pem).type() == "ec:P-384");
  core->set_specs({});
  world.pass(24h * 80);
  CHECK(world.orders() == 3);
  CHECK(world.live());
  CHECK(core->status(world.clock.now()).empty());
  specs.push_back(specs[0]);
  CHECK_THROWS_AS(core->set_specs(specs), Error);
}

TEST_CASE("manager: several key types are certificates of their own, and are installed one after the other") {
  ManagerWorld world;
  Heard heard;
  ManagerOptions options = world.options({});
  options.specs.emplace_back(std::vector<std::string>{"a.example"});
  options.specs[0].key_types = {"ec:P-256", "ec:P-384"};
  options.specs.emplace_back(std::vector<std::string>{"b.example"});
  const std::vector<std::string> ids = certificate_ids(options.specs[0]);
  REQUIRE(ids.size() == 2);
  world.run(world.make(std::move(options), heard));
  world.pass(1min);
  INFO(heard.all());
  CHECK(PrivateKey::from_pem(world.live(ids[0])->key_pem).type() == "ec:P-256");
  CHECK(PrivateKey::from_pem(world.live(ids[1])->key_pem).type() == "ec:P-384");
  REQUIRE(heard.installed.size() == 3);
  std::vector<std::string> order;
  for (const InstalledCertificate& certificate : heard.installed) order.push_back(certificate.id);
  const auto main = std::ranges::find(order, ids[0]);
  REQUIRE(main != order.end());
  REQUIRE(main + 1 != order.end());
  CHECK(*(main + 1) == ids[1]);
}

TEST_CASE("manager: a sink that throws is asked again later") {
  ManagerWorld world;
  Heard heard;
  ManagerOptions options = world.options();
  int calls = 0;
  options.installed = [&calls](const InstalledCertificate&) {
    if (++calls < 4) throw std::runtime_error("the disk is full");
  };
  world.run(world.make(std::move(options), heard));
  world.pass(1min);
  CHECK(calls >= 1);
  CHECK(calls <= 2);
  CHECK(heard.count(EventKind::failed) >= 1);
  CHECK(heard.detail(EventKind::failed).find("the disk is full") != std::string::npos);
  world.pass(1h);
  CHECK(calls == 4);
  CHECK(heard.count(EventKind::installed) == 1);
  CHECK(world.orders() == 1);
}

TEST_CASE("manager: callbacks that throw, and that call the manager, do no harm") {
  ManagerWorld world;
  Heard heard;
  ManagerOptions options = world.options();
  std::weak_ptr<ManagerCore> weak;
  options.on_event = [&weak, &world](const ManagerEvent&) {
    if (const std::shared_ptr<ManagerCore> core = weak.lock()) (void)core->status(world.clock.now());
    throw std::runtime_error("from the callback");
  };
  const auto core = world.make(std::move(options), heard);
  weak = core;
  world.run(core);
  world.pass(1min);
  CHECK(world.live());
}

TEST_CASE("manager: alarms when a renewal is late, and when a certificate has expired") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(1h);
  world.is_down[0] = true;
  world.pass(24h * 77);
  CHECK(heard.count(EventKind::late) == 1);
  CHECK(heard.count(EventKind::expired) == 0);
  CHECK(core->status(world.clock.now()).at(0).late);
  world.pass(24h * 15);
  CHECK(heard.count(EventKind::late) == 1);
  CHECK(heard.count(EventKind::expired) == 1);
  world.is_down[0] = false;
  world.pass(2h);
  CHECK(heard.count(EventKind::issued) == 2);
  CHECK(!core->status(world.clock.now()).at(0).late);
}

TEST_CASE("manager: events as text are one printable line") {
  ManagerEvent event;
  event.kind = EventKind::failed;
  event.id = "a.example\n";
  event.ca = "https://ca.example/\x1b[31m";
  event.detail = "the CA says \x1b]0;title\x07";
  event.failures = 3;
  event.next = ManagerWorld::start;
  const std::string text = to_text(event);
  CHECK(std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
  CHECK(text.find("3 failures in a row") != std::string::npos);
  CHECK(level_of(EventKind::failed) == LogLevel::warning);
  CHECK(to_string(EventKind::storage_failed) == "storage_failed");
  CHECK(to_string(LogLevel::error) == "error");
}

TEST_CASE("manager: run_once brings up to date what is due, and ends") {
  ManagerWorld world;
  Heard heard;
  ManagerOptions options = world.options({});
  options.specs.emplace_back(std::vector<std::string>{"a.example"});
  options.specs.emplace_back(std::vector<std::string>{"b.example"});
  const auto core = world.make(std::move(options), heard);
  Result<RunSummary> summary = world.driver.drive(core->run_once());
  REQUIRE_MESSAGE(summary, summary.error().what());
  CHECK(summary->looked_at == 2);
  CHECK(summary->issued.size() == 2);
  CHECK(summary->failed.empty());
  REQUIRE(summary->next);
  CHECK(*summary->next > world.clock.now());
  CHECK(heard.installed.size() == 2);
  CHECK(world.clock.now() - ManagerWorld::start < 1min);
  summary = world.driver.drive(core->run_once());
  REQUIRE(summary);
  CHECK(summary->issued.empty());
  CHECK(world.orders() == 2);
  world.clock.advance(24h * 70);
  world.is_down[0] = true;
  summary = world.driver.drive(core->run_once());
  REQUIRE(summary);
  CHECK(summary->issued.empty());
  CHECK(summary->failed.size() == 2);
  world.is_down[0] = false;
  world.clock.advance(1h);
  summary = world.driver.drive(core->run_once());
  REQUIRE(summary);
  CHECK(summary->issued.size() == 2);
  CHECK(world.orders() == 4);
}

TEST_CASE("manager: ensure waits for a certificate, or for the error of the attempt") {
  TestCaOptions ca_options;
  ca_options.blocked_names = {"bad.example"};
  ManagerWorld world(1, ca_options);
  Heard heard;
  ManagerOptions options = world.options({});
  options.specs.emplace_back(std::vector<std::string>{"good.example"});
  options.specs.emplace_back(std::vector<std::string>{"bad.example"});
  const auto core = world.make(std::move(options), heard);
  world.run(core);
  std::optional<Result<void>> good, again, bad, unknown;
  world.driver.start<Result<void>>(ManagerCore::ensure(core, "good.example"), [&](Result<void> r) { good = r; });
  world.driver.start<Result<void>>(ManagerCore::ensure(core, "good.example"), [&](Result<void> r) { again = r; });
  world.driver.start<Result<void>>(ManagerCore::ensure(core, "bad.example"), [&](Result<void> r) { bad = r; });
  world.driver.start<Result<void>>(ManagerCore::ensure(core, "no.example"), [&](Result<void> r) { unknown = r; });
  world.pass(1min);
  REQUIRE(good);
  CHECK(*good);
  REQUIRE(again);
  CHECK(*again);
  REQUIRE(bad);
  REQUIRE(!*bad);
  CHECK(bad->error().code() == Errc::rejected_identifier);
  REQUIRE(unknown);
  REQUIRE(!*unknown);
  CHECK(unknown->error().code() == Errc::not_offered);
}

TEST_CASE("manager: options that are not valid are refused") {
  ManagerWorld world;
  const auto refused = [](ManagerOptions options) { CHECK_THROWS_AS(ManagerCore(std::move(options)), Error); };
  ManagerOptions options = world.options();
  options.storage.reset();
  refused(options);
  options = world.options();
  options.lease_ttl = 1s;
  refused(options);
  options = world.options();
  options.width = 0;
  refused(options);
  options = world.options();
  options.solvers.push_back(nullptr);
  refused(options);
  options = world.options({"not a name"});
  refused(options);
}
