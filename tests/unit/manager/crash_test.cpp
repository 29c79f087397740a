// A manager that ends at any of its asks, and the next one on the same storage.
#include "support/faulty_storage.hpp"
#include "support/manager_world.hpp"
#include "support/one_at_a_time.hpp"
#include "support/step_driver.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;

namespace {

/// Every call of the storage asks before and after it works, so that something can happen there.
std::shared_ptr<Storage> asking(std::shared_ptr<Storage> inner, StorageFault fault = StorageFault::none,
                                std::size_t at = 0) {
  auto storage = std::make_shared<FaultyStorage>(std::move(inner), [fault, at](const StorageCall& call) {
    return fault != StorageFault::none && call.number == at ? fault : StorageFault::slow;
  });
  storage->slowness = 2ms;
  return storage;
}

struct Story {
  explicit Story(bool many_in_one) : inner(many_in_one ? memory_storage() : std::make_shared<OneAtATime>()) {}
  std::shared_ptr<Storage> inner;
  std::vector<std::string> names{"a.example"};
  /// Of a certificate that may do without some of its names.
  ManagerOptions options(ManagerWorld& world) const {
    ManagerOptions options = world.options({});
    options.specs = {CertificateSpec(names)};
    options.specs[0].allow_subset = true;
    return options;
  }
  /// A world whose storage is that one; the first issuance, and what has happened by then.
  void issue(ManagerWorld& world, Heard& heard, StepDriver& driver) {
    ManagerOptions wanted = options(world);
    wanted.storage = asking(inner);
    const auto core = world.make(std::move(wanted), heard);
    auto execution = std::make_unique<Execution<Result<void>>>(core->run(), [&] { return world.clock.instant(); });
    driver.run(*execution, 10min, [&] { return heard.count(EventKind::installed) > 0; });
    driver.leave();
    execution.reset();
  }
};

/// The certificates that the CA has issued for names whose keys are nowhere in storage.
void check_no_key_is_lost(ManagerWorld& world, const std::vector<std::string>& issued) {
  std::vector<PrivateKey> kept;
  for (const std::string& key : world.keys("")) {
    const std::optional<std::string> value = world.stored(key);
    if (!value) continue;
    if (const Result<Generation> generation = decode_generation(*value); generation && !generation->key_pem.empty())
      kept.push_back(PrivateKey::from_pem(generation->key_pem));
    if (const Result<PendingOrder> pending = decode_pending_order(*value); pending && !pending->key_pem.empty())
      kept.push_back(PrivateKey::from_pem(pending->key_pem));
    if (value->find("PRIVATE KEY") != std::string::npos && value->starts_with("-----"))
      kept.push_back(PrivateKey::from_pem(*value));
  }
  for (const std::string& pem : issued) {
    const Certificate leaf = Certificate::from_pem(pem);
    CHECK(std::ranges::any_of(kept, [&](const PrivateKey& key) { return leaf.matches(key); }));
  }
}

}  // namespace

TEST_CASE("manager: a crash at every ask of an issuance costs one order at most, and no key") {
  for (const bool many_in_one : {true, false}) {
    std::size_t asks = 0;
    {
      Story story(many_in_one);
      ManagerWorld world(1, {}, story.inner);
      Heard heard;
      StepDriver driver(world.clock, [&](const HttpRequest& request) { return world.answer(request); });
      story.issue(world, heard, driver);
      REQUIRE_MESSAGE(heard.count(EventKind::installed) == 1, heard.all());
      asks = driver.asks;
      REQUIRE(world.orders() == 1);
    }
    CHECK(asks > 40);
    int repeated = 0;
    for (std::size_t at = 0; at < asks; ++at) {
      for (const StepDriver::What what : {StepDriver::What::crash_before, StepDriver::What::crash_after}) {
        CAPTURE(many_in_one);
        CAPTURE(at);
        CAPTURE(static_cast<int>(what));
        Story story(many_in_one);
        ManagerWorld world(1, {}, story.inner);
        Heard first;
        {
          StepDriver driver(world.clock, [&](const HttpRequest& request) { return world.answer(request); });
          driver.at = at;
          driver.what = what;
          story.issue(world, first, driver);
        }
        const int orders_before = world.orders();
        world.managers.clear();
        Heard second;
        const auto core = world.make(world.options(), second);
        world.run(core);
        world.pass(3min);
        INFO(first.all() << "--- then\n" << second.all());
        const std::optional<Generation> live = world.live();
        REQUIRE(live);
        check_pair(*live, {"a.example"});
        CHECK(world.orders() <= 2);
        CHECK(world.orders() - orders_before <= 1);
        repeated += world.orders() > 1 ? 1 : 0;
        CHECK(world.count(0, "new-account") <= 2);
        CHECK(world.ca().sizes().accounts == 1);
        check_no_key_is_lost(world, world.ca().issued());
        // Where each key is written apart, a finished order may be left over until the next renewal.
        if (many_in_one) CHECK(!world.stored(pending_order_key("a.example")));
        if (many_in_one) CHECK(world.keys("certificates/").size() == 2);
        CHECK(second.installed.size() == 1);
      }
    }
    // Only the moment between the CA's answer and the first write about it costs an order.
    CHECK(repeated <= 16);
    MESSAGE(asks, " asks; an order more after ", repeated, " crashes");
  }
}

TEST_CASE("manager: a crash at every ask while a name is left out costs one order at most, and no key") {
  const std::vector<std::string> names = {"a.example", "dead.example"};
  std::size_t asks = 0;
  {
    Story story(true);
    story.names = names;
    ManagerWorld world(1, {}, story.inner);
    world.ca().force_validation("dead.example", false);
    Heard heard;
    StepDriver driver(world.clock, [&](const HttpRequest& request) { return world.answer(request); });
    story.issue(world, heard, driver);
    REQUIRE_MESSAGE(heard.count(EventKind::installed) == 1, heard.all());
    asks = driver.asks;
    REQUIRE(world.orders() == 2);
  }
  for (std::size_t at = 0; at < asks; ++at) {
    for (const StepDriver::What what : {StepDriver::What::crash_before, StepDriver::What::crash_after}) {
      CAPTURE(at);
      CAPTURE(static_cast<int>(what));
      Story story(true);
      story.names = names;
      ManagerWorld world(1, {}, story.inner);
      world.ca().force_validation("dead.example", false);
      Heard first;
      {
        StepDriver driver(world.clock, [&](const HttpRequest& request) { return world.answer(request); });
        driver.at = at;
        driver.what = what;
        story.issue(world, first, driver);
      }
      world.managers.clear();
      Heard second;
      world.run(world.make(story.options(world), second));
      world.pass(3min);
      INFO(first.all() << "--- then\n" << second.all());
      const std::optional<Generation> live = world.live();
      REQUIRE(live);
      check_pair(*live, {"a.example"});
      CHECK(world.record()->left_out.contains("dead.example"));
      CHECK(world.orders() <= 3);
      check_no_key_is_lost(world, world.ca().issued());
      CHECK(!world.stored(pending_order_key("a.example")));
    }
  }
}

TEST_CASE("manager: cancelled at every ask, it cleans up, and the next one goes on") {
  std::size_t asks = 0;
  {
    Story story(true);
    ManagerWorld world(1, {}, story.inner);
    Heard heard;
    StepDriver driver(world.clock, [&](const HttpRequest& request) { return world.answer(request); });
    story.issue(world, heard, driver);
    asks = driver.asks;
  }
  int late = 0;
  for (std::size_t at = 0; at < asks; ++at) {
    CAPTURE(at);
    Story story(true);
    ManagerWorld world(1, {}, story.inner);
    Heard first;
    ManagerOptions options = world.options();
    options.storage = asking(story.inner);
    const auto core = world.make(std::move(options), first);
    {
      StepDriver driver(world.clock, [&](const HttpRequest& request) { return world.answer(request); });
      driver.at = at;
      driver.what = StepDriver::What::cancel;
      Execution<Result<void>> execution(core->run(), [&] { return world.clock.instant(); });
      driver.run(execution, 10min, [] { return false; });
      CHECK(execution.done());
      if (execution.done()) CHECK(execution.result());
      driver.leave();
    }
    CHECK(first.count(EventKind::lease_lost) == 0);
    Heard second;
    world.run(world.make(world.options(), second));
    world.pass(20s);
    INFO(first.all() << "--- then\n" << second.all());
    if (!world.live()) {  // a lease that the storage gave out while it was not waited for any more
      ++late;
      world.pass(1min);
    }
    const std::optional<Generation> live = world.live();
    REQUIRE(live);
    check_pair(*live, {"a.example"});
    CHECK(world.orders() <= 2);
    check_no_key_is_lost(world, world.ca().issued());
  }
  CHECK(late <= 4);  // of all others the lease was released
}

TEST_CASE("manager: a fault of the storage at every call never costs a key, nor more than one order") {
  std::size_t calls = 0;
  {
    ManagerWorld world;
    Heard heard;
    ManagerOptions options = world.options();
    const auto storage = std::make_shared<FaultyStorage>(world.storage);
    options.storage = storage;
    world.run(world.make(std::move(options), heard));
    world.pass(1min);
    REQUIRE(world.live());
    calls = storage->calls();
  }
  REQUIRE(calls > 8);
  for (const StorageFault fault : {StorageFault::lost_before, StorageFault::lost_after, StorageFault::conflict,
                                   StorageFault::outage, StorageFault::slow}) {
    for (std::size_t at = 0; at < calls; ++at) {
      CAPTURE(static_cast<int>(fault));
      CAPTURE(at);
      ManagerWorld world;
      Heard heard;
      ManagerOptions options = world.options();
      options.storage =
          std::make_shared<FaultyStorage>(world.storage, faults_at(std::map<std::size_t, StorageFault>{{at, fault}}));
      const auto core = world.make(std::move(options), heard);
      world.run(core);
      world.pass(15min);
      INFO(heard.all());
      const std::optional<Generation> live = world.live();
      REQUIRE(live);
      check_pair(*live, {"a.example"});
      CHECK(world.orders() <= 2);
      check_no_key_is_lost(world, world.ca().issued());
      CHECK(!world.stored(pending_order_key("a.example")));
      CHECK(heard.installed.size() == 1);
      CHECK(heard.count(EventKind::storage_failed) == heard.count(EventKind::storage_recovered));
    }
  }
}
