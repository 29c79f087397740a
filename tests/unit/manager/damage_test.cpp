// What of a storage cannot be read, and engines that throw.
#include <doctest/doctest.h>

#include <set>
#include <stdexcept>

#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;

namespace {

/// As file_storage() does: load() of a damaged key is an error, whatever else is asked for, and list() has it without a
/// revision. An operation may also throw.
class DamagedStorage final : public Storage {
 public:
  std::set<std::string> damaged;
  std::map<std::string, int> throws;  ///< How often, by operation.

  StorageCapabilities capabilities() const noexcept override { return inner_->capabilities(); }
  Flow<Result<std::vector<std::optional<StoredValue>>>> load(std::vector<std::string> keys) override {
    throw_if_asked("load");
    for (const std::string& key : keys) {
      if (damaged.contains(key)) co_return Error(Errc::io_failed, "reading " + key, "it is damaged");
    }
    co_return co_await inner_->load(std::move(keys));
  }
  Flow<Result<std::vector<StoredItem>>> list(std::string prefix, std::string after, std::size_t limit,
                                             bool with_values) override {
    throw_if_asked("list");
    Result<std::vector<StoredItem>> items =
        co_await inner_->list(std::move(prefix), std::move(after), limit, with_values);
    if (!items) co_return items.error();
    for (StoredItem& item : *items) {
      if (damaged.contains(item.key)) item.stored = StoredValue();
    }
    co_return items;
  }
  Flow<Result<std::vector<Revision>>> write(std::vector<Write> writes) override {
    throw_if_asked("write");
    return inner_->write(std::move(writes));
  }
  Flow<Result<std::optional<Lease>>> acquire(std::string name, std::string owner, std::chrono::seconds ttl) override {
    throw_if_asked("acquire");
    return inner_->acquire(std::move(name), std::move(owner), ttl);
  }
  Flow<Result<std::vector<std::optional<Lease>>>> renew(std::vector<Lease> leases, std::chrono::seconds ttl) override {
    throw_if_asked("renew");
    return inner_->renew(std::move(leases), ttl);
  }
  Flow<Result<void>> release(Lease lease) override {
    throw_if_asked("release");
    return inner_->release(std::move(lease));
  }
  Flow<Result<std::string>> changed(std::string prefix, std::string cursor, std::chrono::seconds patience) override {
    throw_if_asked("changed");
    return inner_->changed(std::move(prefix), std::move(cursor), patience);
  }

 private:
  void throw_if_asked(const std::string& operation) {
    if (throws[operation] > 0 && throws[operation]-- > 0) throw std::runtime_error("out of memory");
  }
  std::shared_ptr<Storage> inner_ = memory_storage();
};

struct DamagedWorld {
  std::shared_ptr<DamagedStorage> storage = std::make_shared<DamagedStorage>();
  ManagerWorld world{1, TestCaOptions(), storage};

  ManagerOptions options(const std::vector<std::string>& names) {
    ManagerOptions options = world.options({});
    for (const std::string& name : names) options.specs.emplace_back(std::vector<std::string>{name});
    return options;
  }
  void run_for(const std::vector<std::string>& names, Heard& heard, std::chrono::milliseconds duration) {
    const auto core = world.make(options(names), heard);
    world.run(core);
    world.pass(duration);
    core->stop();
    world.pass(1s);
  }
};

const std::vector<std::string> five = {"a.example", "b.example", "c.example", "d.example", "e.example"};

}  // namespace

TEST_CASE("manager: one record that storage cannot read does not keep the others (E7)") {
  DamagedWorld damaged;
  Heard before, after;
  damaged.run_for(five, before, 2min);
  REQUIRE(damaged.world.orders() == 5);
  const std::string key = certificate_record_key("c.example");
  damaged.storage->damaged.insert(key);
  damaged.world.clock.advance(24h * 75);
  damaged.run_for(five, after, 10min);
  INFO(after.all());
  CHECK(damaged.world.orders() == 9);
  CHECK(after.count(EventKind::storage_failed) == 0);
  CHECK(after.count(EventKind::failed) == 1);
  CHECK(after.detail(EventKind::failed).find(key) != std::string::npos);

  SUBCASE("run_once says so, and ensure() does not wait for ever") {
    Heard once;
    const auto core = damaged.world.make(damaged.options(five), once);
    Result<RunSummary> summary = damaged.world.driver.drive(core->run_once());
    REQUIRE(summary);
    CHECK(summary->failed.size() == 1);
    CHECK(summary->failed.contains("c.example"));
    Result<void> ensured = damaged.world.driver.drive(ManagerCore::ensure(core, "c.example"));
    REQUIRE(!ensured);
    CHECK(std::string(ensured.error().what()).find(key) != std::string::npos);
  }
}

TEST_CASE("manager: a certificate whose files cannot be read is issued anew, and the others are installed (E1)") {
  DamagedWorld damaged;
  Heard before, after;
  damaged.run_for(five, before, 2min);
  REQUIRE(damaged.world.orders() == 5);
  const std::string key = generation_key("c.example", damaged.world.record("c.example")->live);
  SUBCASE("damaged") { damaged.storage->damaged.insert(key); }
  SUBCASE("gone") { damaged.world.store(key, std::nullopt); }
  SUBCASE("of another kind") { damaged.world.store(key, "{\"format\":1}"); }
  damaged.run_for(five, after, 10min);
  INFO(after.all());
  CHECK(damaged.world.orders() == 6);
  CHECK(after.installed.size() == 5);
  CHECK(after.count(EventKind::storage_failed) == 0);
  check_pair(*damaged.world.live("c.example"), {"c.example"});
}

TEST_CASE("manager: a storage that throws is one that fails") {
  for (const char* operation : {"load", "list", "write", "acquire", "renew", "release", "changed"}) {
    CAPTURE(operation);
    DamagedWorld damaged;
    Heard heard;
    damaged.storage->throws[operation] = 1;
    const auto core = damaged.world.make(damaged.options({"a.example"}), heard);
    damaged.world.run(core);
    damaged.world.pass(5min);
    INFO(heard.all());
    CHECK(heard.installed.size() == 1);
    // And goes on for as long as it runs.
    damaged.storage->throws[operation] = 2;
    damaged.world.clock.advance(24h * 75);
    damaged.world.pass(2h);
    CHECK(heard.installed.size() == 2);
    core->stop();
    damaged.world.pass(1s);
  }
}

TEST_CASE("manager: run_once with a storage that throws says which certificates failed") {
  DamagedWorld damaged;
  Heard heard;
  damaged.storage->throws["acquire"] = 1000;
  const auto core = damaged.world.make(damaged.options({"a.example"}), heard);
  Result<RunSummary> summary = damaged.world.driver.drive(core->run_once());
  REQUIRE(summary);
  CHECK(summary->issued.empty());
  CHECK(summary->failed.contains("a.example"));
}

TEST_CASE("manager: the spec says by which challenge names are validated") {
  ManagerWorld world;
  Heard heard;
  ManagerOptions options = world.options({});
  CertificateSpec spec(std::vector<std::string>{"a.example"});
  spec.challenge = "dns-01";
  options.specs.push_back(spec);
  CHECK_THROWS_WITH_AS((void)world.make(options, heard), doctest::Contains("dns-01"), Error);
  int presented = 0;
  const auto present = [&presented](const ChallengeContext&) { ++presented; };
  options.solvers.push_back(make_solver("http-01", {}, {}));
  options.solvers.push_back(make_solver("dns-01", present, {}));
  const auto core = world.make(options, heard);
  Result<RunSummary> summary = world.driver.drive(core->run_once());
  REQUIRE(summary);
  CHECK(presented > 0);
}

TEST_CASE("manager: a CA is a URL or a known name") {
  ManagerWorld world;
  for (const char* directory : {"nosuch", "", "ftp://ca.example/"}) {
    CAPTURE(directory);
    ManagerOptions options = world.options();
    options.cas.front().directory = directory;
    CHECK_THROWS_AS(ManagerCore(std::move(options)), Error);
  }
}

TEST_CASE("manager: a storage that begins anew while it runs: the new certificate is installed, too") {
  ManagerWorld world;
  Heard heard;
  const auto core = world.make(world.options(), heard);
  world.run(core);
  world.pass(1min);
  REQUIRE(heard.installed.size() == 1);
  for (const std::string& key : world.keys("certificates/")) world.store(key, std::nullopt);
  REQUIRE(core->renew_now("a.example", "a test"));
  world.pass(1h);
  INFO(heard.all());
  CHECK(world.orders() == 2);
  REQUIRE(heard.installed.size() == 2);
  CHECK(heard.installed[0].generation == heard.installed[1].generation);
  CHECK(heard.installed[0].chain_pem != heard.installed[1].chain_pem);
}
