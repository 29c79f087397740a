// Many certificates, without cryptography: the issuer is a seam.
#include <random>

#include "support/faulty_storage.hpp"
#include "support/manager_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;
using Time = std::chrono::system_clock::time_point;

namespace {

/// A CA that answers without signatures, and counts.
class Issuer {
 public:
  Issuer(VirtualClock clock, std::chrono::seconds lifetime) : clock_(std::move(clock)), lifetime_(lifetime) {}

  Seams seams() {
    Seams seams;
    seams.issue = [this](std::string ca, IssueRequest request) {
      return issue(*this, std::move(ca), std::move(request));
    };
    return seams;
  }

  std::map<std::string, std::vector<Time>> orders;  // by first name
  std::set<std::string> down;                       // directory URLs
  int failures_percent = 0;
  std::size_t now_running = 0, most_running = 0;

 private:
  static Flow<Result<IssuedCertificate>> issue(Issuer& self, std::string ca, IssueRequest request) {
    self.most_running = std::max(self.most_running, ++self.now_running);
    Result<IssuedCertificate> issued = co_await issue_counted(self, std::move(ca), std::move(request));
    --self.now_running;
    co_return issued;
  }
  static Flow<Result<IssuedCertificate>> issue_counted(Issuer& self, std::string ca, IssueRequest request) {
    Result<void> waited = co_await wait(500ms);
    if (!waited) co_return waited.error();
    if (self.down.contains(ca)) co_return Error(Errc::connection_failed, "ordering", "it is down");
    std::string url = request.resume_order;
    if (url.empty()) {
      Result<void> counted = co_await request.before_order(request.replaces);
      if (!counted) co_return counted.error();
      self.orders[request.identifiers.front().value].push_back(self.clock_.now());
      url = ca + "/order/" + std::to_string(++self.numbers_);
      Result<void> stored = co_await request.store_order(url);
      if (!stored) co_return stored.error();
    }
    waited = co_await wait(3s);
    if (!waited) co_return waited.error();
    if (static_cast<int>(self.random_() % 100) < self.failures_percent)
      co_return Error(Errc::authorization_invalid, "validating", "by chance");
    // A new one each time: by its key a finished order is recognized.
    const PrivateKey key = request.key ? *request.key : PrivateKey::generate();
    Result<void> kept = co_await request.store_key(key);
    if (!kept) co_return kept.error();
    IssuedCertificate issued;
    issued.key = key;
    issued.chain_pem = "certificate " + std::to_string(self.numbers_);
    issued.identifiers = request.identifiers;
    issued.chain.leaf.identifiers = request.identifiers;
    issued.chain.leaf.not_before = self.clock_.now() - 1min;
    issued.chain.leaf.not_after = self.clock_.now() + self.lifetime_;
    co_return issued;
  }

  VirtualClock clock_;
  std::chrono::seconds lifetime_;
  std::mt19937_64 random_{7};
  std::size_t numbers_ = 0;
};

std::vector<CertificateSpec> many(int number) {
  std::vector<CertificateSpec> specs;
  for (int i = 0; i < number; ++i)
    specs.emplace_back(std::vector<std::string>(1, "n" + std::to_string(i) + ".example"));
  return specs;
}

/// What a manager told about a certificate in that time, and a minute around it.
std::string story(const Heard& heard, const std::string& id, Time from, Time to) {
  std::string text;
  for (const ManagerEvent& event : heard.events) {
    if ((event.id != id && !event.id.empty()) || event.at < from - 1min || event.at > to + 1min) continue;
    text += std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(event.at - from).count()) +
            " ms: " + to_text(event) + "\n";
  }
  return text;
}

/// No certificate has expired, nor was one ordered again before a third of its lifetime was over.
void check_renewals(ManagerWorld& world, const Issuer& issuer, int number, std::chrono::seconds lifetime) {
  for (int i = 0; i < number; ++i) {
    const std::string name = "n" + std::to_string(i) + ".example";
    CAPTURE(name);
    const std::optional<CertificateRecord> record = world.record(name);
    REQUIRE(record);
    CHECK(*record->not_after > world.clock.now());
    const auto found = issuer.orders.find(name);
    REQUIRE(found != issuer.orders.end());
    if (issuer.failures_percent > 0) continue;
    for (std::size_t k = 1; k < found->second.size(); ++k)
      CHECK(found->second[k] - found->second[k - 1] > lifetime / 3);
  }
}

}  // namespace

TEST_CASE("fleet: two hundred certificates over three months, with failures and outages") {
  ManagerWorld world(2);
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  issuer.failures_percent = 5;
  ManagerOptions options = world.options({});
  options.specs = many(200);
  world.run(world.make(std::move(options), heard, issuer.seams()));
  world.pass(24h * 54);
  CHECK(heard.count(EventKind::issued) == 200);
  issuer.down = {world.directory(0)};
  world.pass(24h * 3);
  issuer.down = {world.directory(0), world.directory(1)};
  world.pass(24h * 2);
  issuer.down.clear();
  world.pass(24h * 20);
  CHECK(heard.count(EventKind::issued) == 400);
  CHECK(heard.count(EventKind::expired) == 0);
  CHECK(heard.installed.size() == heard.count(EventKind::issued));
  CHECK(issuer.most_running <= 8);
  CHECK(issuer.most_running > 1);
  check_renewals(world, issuer, 200, 24h * 90);
}

TEST_CASE("fleet: certificates of an hour") {
  ManagerWorld world;
  Heard heard;
  Issuer issuer(world.clock, 1h);
  ManagerOptions options = world.options({});
  options.specs = many(20);
  world.run(world.make(std::move(options), heard, issuer.seams()));
  world.pass(16h);
  CHECK(heard.count(EventKind::expired) == 0);
  check_renewals(world, issuer, 20, 1h);
  issuer.down = {world.directory()};
  world.pass(20min);
  issuer.down.clear();
  world.pass(6h);
  CHECK(heard.count(EventKind::expired) == 0);
}

TEST_CASE("fleet: two managers on one storage with faults never order twice") {
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    CAPTURE(seed);
    ManagerWorld world;
    Heard one, other;
    Issuer issuer(world.clock, 24h * 7);
    ManagerOptions options = world.options({});
    options.specs = many(30);
    for (const bool is_first : {true, false}) {
      options.storage = std::make_shared<FaultyStorage>(world.storage, faults_by_chance(2 * seed + is_first, 0.02));
      options.owner = is_first ? "one" : "other";
      world.run(world.make(options, is_first ? one : other, issuer.seams()));
    }
    world.pass(24h * 12);
    CHECK(one.count(EventKind::expired) + other.count(EventKind::expired) == 0);
    CHECK(one.count(EventKind::issued) > 10);
    CHECK(other.count(EventKind::issued) > 10);
    std::size_t orders = 0;
    for (const auto& [name, times] : issuer.orders) {
      orders += times.size();
      for (std::size_t k = 1; k < times.size(); ++k) {
        if (times[k] - times[k - 1] >= 24h) continue;
        FAIL_CHECK(name << " was ordered twice\n"
                        << story(one, name, times[k - 1], times[k]) << "--- the other\n"
                        << story(other, name, times[k - 1], times[k]));
      }
    }
    CHECK(orders >= 30 * 4);
  }
}

TEST_CASE("fleet: limits of the CA are never crossed, and what was used is in storage") {
  ManagerWorld world;
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  ManagerOptions options = world.options({});
  options.specs = many(60);
  RateLimit limit;
  limit.name = "orders";
  limit.capacity = 10;
  limit.window = 1h;
  options.cas[0].limits = std::vector<RateLimit>(1, limit);
  const auto core = world.make(options, heard, issuer.seams());
  world.run(core);
  world.pass(2h);
  std::size_t orders = 0;
  for (const auto& [name, times] : issuer.orders) orders += times.size();
  CHECK(orders >= 20);
  CHECK(orders <= 30);
  CHECK(world.keys("rates/").size() == 1);
  core->stop();
  world.pass(1s);
  Heard second;
  world.run(world.make(std::move(options), second, issuer.seams()));
  world.pass(10min);
  std::size_t later = 0;
  for (const auto& [name, times] : issuer.orders) later += times.size();
  CHECK(later - orders <= 3);  // a restart does not forget what was used
  world.pass(24h);
  CHECK(issuer.orders.size() == 60);
}

TEST_CASE("fleet: the clock is set forward by a year, and back again") {
  ManagerWorld world;
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  ManagerOptions options = world.options({});
  options.specs = many(10);
  // The wall clock of this manager's execution can be set.
  const auto offset = std::make_shared<std::chrono::seconds>(0);
  const auto core = world.make(std::move(options), heard, issuer.seams());
  Execution<Result<void>> execution(core->run(), [&] {
    Instant instant = world.clock.instant();
    instant.wall += *offset;
    return instant;
  });
  world.driver.add(
      execution, [] {}, "manager");
  world.pass(1h);
  CHECK(heard.count(EventKind::issued) == 10);
  *offset = 24h * 365;
  world.pass(1h);  // everything has expired by that clock, and the new ones too: they must not be ordered without end
  std::size_t orders = 0;
  for (const auto& [name, times] : issuer.orders) orders += times.size();
  CHECK(orders <= 30);
  *offset = 0s;
  world.pass(24h * 62);
  for (const auto& entry : issuer.orders) {
    CAPTURE(entry.first);
    CHECK(entry.second.back() > world.clock.now() - 24h * 61);
  }
  core->stop();
  world.pass(1s);
  CHECK(execution.done());
}
