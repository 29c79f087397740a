// Orders, accounts and records that a manager finds unfinished, changed or damaged.
#include "culmen/engine.hpp"
#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;

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
    CHECK(heard.detail(EventKind::failed).find("a new one has to be registered") != std::string::npos);
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
