// What a manager does when something goes wrong, or something else is wanted.
#include "culmen/engine.hpp"
#include "support/faulty_storage.hpp"
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

TEST_CASE("manager: another process changes the account's key: the next attempt is soon, and has the new one") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(1h);
  const std::string name = account_key_of(world.directory());
  AccountRecord record = decode_account(world.stored(name).value()).value();
  const AccountKey fresh = AccountKey::generate();
  VirtualDriver program(world.clock, [&](const HttpRequest& request) { return world.answer(request); });
  Result<engine::Session> session = program.drive(engine::connect(world.directory()));
  REQUIRE(session);
  const Account account(record.url, AccountKey::from_pem(record.key_pem));
  // The first request is answered by something in front of the CA: it must not be taken for done.
  world.ca().plan(TestCaFault("key-change", TestCaFault::Kind::garbage));
  REQUIRE(program.drive(engine::key_change(*session, account, fresh)));
  record.key_pem = fresh.to_pem();
  world.store(name, encode(record));

  CHECK(core->renew_now("a.example", "the operator wants it"));
  world.pass(2min);
  INFO(heard.all());
  CHECK(heard.count(EventKind::issued) == 2);
  CHECK(heard.count(EventKind::failed) == 1);
  CHECK(heard.detail(EventKind::failed).find("another process changed the account's key") != std::string::npos);
  CHECK(world.ca().sizes().accounts == 1);
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

TEST_CASE("manager: a damaged record is not taken for an absent one (E1)") {
  ManagerWorld world;
  Heard first, second;
  const auto core = world.make(world.options(), first);
  world.run(core);
  world.pass(1min);
  core->stop();
  world.pass(1s);
  const std::string key = certificate_record_key("a.example");
  const std::optional<std::string> good = world.stored(key);
  world.store(key, "{\"format\": 1, \"live\": ");
  const auto next = world.make(world.options(), second);
  world.run(next);
  world.pass(5h);
  INFO(second.all());
  CHECK(world.orders() == 1);
  CHECK(second.count(EventKind::failed) == 1);
  CHECK(second.detail(EventKind::failed).find(key) != std::string::npos);
  CHECK(second.installed.empty());
  world.store(key, good);
  world.pass(2h);
  CHECK(second.installed.size() == 1);
  CHECK(world.orders() == 1);
}

TEST_CASE("manager: a refused certificate ends its order, which is not resumed (F1)") {
  ManagerWorld world;
  Heard heard;
  TestCaFaults faults;
  SUBCASE("a name is missing") { faults.missing_name = true; }
  SUBCASE("another key") { faults.other_public_key = true; }
  SUBCASE("expired (F2, D9)") { faults.validity = TestCaFaults::Validity::expired; }
  SUBCASE("more names (D9)") { faults.extra_names = {"evil.example"}; }
  world.ca().set_faults(faults);
  world.run(world.make(world.options({"a.example", "b.example"}), heard));
  world.pass(30s);
  INFO(heard.all());
  CHECK(heard.count(EventKind::failed) >= 1);
  CHECK(!world.live());
  CHECK(!world.stored(pending_order_key("a.example")));
  CHECK(heard.installed.empty());
  world.ca().set_faults(TestCaFaults());
  world.pass(1h);
  REQUIRE(world.live());
  check_pair(*world.live(), {"a.example", "b.example"});
}

TEST_CASE("manager: a finished order of the live key is dropped, not resumed (D2)") {
  ManagerWorld world;
  Heard first, second;
  const auto core = world.make(world.options(), first);
  world.run(core);
  world.pass(1min);
  core->stop();
  world.pass(1s);
  const std::optional<Generation> old = world.live();
  REQUIRE(old);
  // As a crash leaves it where each key is written apart: the order is finished, and still there.
  PendingOrder pending;
  pending.order_url = "https://ca0.test/order/1";
  pending.server = world.directory();
  pending.account = world.record()->account;
  pending.names = {"a.example"};
  pending.key_type = "ec:P-256";
  pending.key_pem = old->key_pem;
  world.store(pending_order_key("a.example"), encode(pending));
  const auto next = world.make(world.options(), second);
  world.run(next);
  world.pass(1s);
  CHECK(next->revoked("a.example", true));
  world.pass(1min);
  INFO(second.all());
  CHECK(world.live()->key_pem != old->key_pem);
  CHECK(!world.stored(pending_order_key("a.example")));
  CHECK(world.keys("keys/").empty());
}

TEST_CASE("manager: a pending order that does not fit is dropped, and its key is kept (D10)") {
  ManagerWorld world;
  Heard heard;
  PendingOrder pending;
  pending.order_url = "https://ca0.test/order/1";
  pending.server = world.directory();
  pending.names = {"other.example"};
  pending.key_type = "ec:P-256";
  pending.key_pem = PrivateKey::generate().to_pem();
  world.store(pending_order_key("a.example"), encode(pending));
  world.run(world.make(world.options(), heard));
  world.pass(1min);
  INFO(heard.all());
  REQUIRE(world.live());
  check_pair(*world.live(), {"a.example"});
  const std::vector<std::string> kept = world.keys("keys/unused/");
  REQUIRE(kept.size() == 1);
  CHECK(PrivateKey::from_pem(*world.stored(kept[0])).same_key_as(PrivateKey::from_pem(pending.key_pem)));
}

TEST_CASE("manager: a key change of the account that was interrupted is settled, and no key is deleted (D1, B5)") {
  ManagerWorld world;
  Heard first, second;
  const auto core = world.make(world.options(), first);
  world.run(core);
  world.pass(1min);
  core->stop();
  world.pass(1s);
  const std::string account_key = account_key_of(world.directory());
  Result<AccountRecord> record = decode_account(*world.stored(account_key));
  REQUIRE(record);
  const std::string other = AccountKey::generate().to_pem();
  const std::string real = record->key_pem;
  SUBCASE("the old key counts") { record->next_key_pem = other; }
  SUBCASE("the new key counts") {
    record->next_key_pem = real;
    record->key_pem = other;
  }
  world.store(account_key, encode(*record));
  const auto next = world.make(world.options(), second);
  world.run(next);
  world.pass(1s);
  CHECK(next->renew_now("a.example", "test"));
  world.pass(1min);
  INFO(second.all());
  CHECK(world.orders() == 2);
  Result<AccountRecord> settled = decode_account(*world.stored(account_key));
  REQUIRE(settled);
  CHECK(settled->key_pem == real);
  CHECK(settled->next_key_pem.empty());
  const std::vector<std::string> kept = world.keys("keys/unused/");
  REQUIRE(kept.size() == 1);
  CHECK(*world.stored(kept[0]) == other);
  CHECK(world.ca().sizes().accounts == 1);
}

TEST_CASE("manager: an account that the CA has forgotten is made again, with the same key (E6)") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(1h);
  const std::string key = decode_account(*world.stored(account_key_of(world.directory())))->key_pem;
  TestCaOptions ca_options;
  ca_options.base_url = "https://ca0.test";
  ca_options.seed = 99;
  ca_options.clock = world.clock;
  ca_options.skip_validation = true;
  world.cas[0] = std::make_unique<TestCa>(std::move(ca_options));
  CHECK(core->renew_now("a.example", "test"));
  world.pass(30min);
  INFO(heard.all());
  CHECK(heard.count(EventKind::issued) == 2);
  Result<AccountRecord> record = decode_account(*world.stored(account_key_of(world.directory())));
  REQUIRE(record);
  CHECK(record->key_pem == key);
}

TEST_CASE("manager: a deactivated account: events say how to get out, or a new one is registered (E6)") {
  ManagerWorld world;
  Heard heard;
  ManagerOptions options = world.options();
  bool replaces = false;
  SUBCASE("what to do is said, and done by hand") {}
  SUBCASE("the option registers a new one") { replaces = true; }
  options.cas[0].replace_deactivated_account = replaces;
  const auto core = world.make(std::move(options), heard);
  world.run(core);
  world.pass(1h);
  const std::string name = account_key_of(world.directory());
  const AccountRecord record = decode_account(world.stored(name).value()).value();
  VirtualDriver program(world.clock, [&](const HttpRequest& request) { return world.answer(request); });
  Result<engine::Session> session = program.drive(engine::connect(world.directory()));
  REQUIRE(session);
  REQUIRE(
      program.drive(engine::deactivate_account(*session, Account(record.url, AccountKey::from_pem(record.key_pem)))));
  CHECK(core->renew_now("a.example", "test"));
  world.pass(2h);
  INFO(heard.all());
  CHECK(heard.count(EventKind::warning) == 1);
  CHECK(heard.detail(EventKind::warning).find(record.url + " is deactivated") != std::string::npos);
  CHECK(heard.detail(EventKind::failed).find(record.url + " is deactivated") != std::string::npos);
  if (!replaces) {
    CHECK(heard.count(EventKind::issued) == 1);
    CHECK(heard.detail(EventKind::failed).find("remove " + name + " from storage") != std::string::npos);
    CHECK(world.ca().sizes().accounts == 1);
    world.store(name, std::nullopt);
    world.pass(6h);
  } else {
    CHECK(world.keys("keys/unused/").size() == 1);
  }
  CHECK(heard.count(EventKind::issued) == 2);
  CHECK(world.ca().sizes().accounts == 2);
  CHECK(decode_account(world.stored(name).value()).value().key_pem != record.key_pem);
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
