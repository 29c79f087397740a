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

  std::size_t number_of_orders() const {
    std::size_t number = 0;
    for (const auto& [name, of_name] : orders) number += of_name.size();
    return number;
  }

  std::map<std::string, std::vector<Time>> orders;               // by first name
  std::map<std::string, std::vector<std::string>> predecessors;  // that orders named, by CA
  std::map<std::string, std::vector<Time>> times;                // of orders, by CA
  std::set<std::string> down;                                    // directory URLs
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
      self.predecessors[ca].push_back(request.replaces);
      self.times[ca].push_back(self.clock_.now());
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

Flow<Result<RenewalInfo>> answer_window(Time ideal) {
  RenewalInfo info;
  info.window_start = ideal - 24h;
  info.window_end = ideal + 24h;
  info.retry_after = 6h;
  co_return info;
}

Flow<Result<IssuedCertificate>> refuse_order() {
  co_return Error(Errc::connection_failed, "ordering", "the CA does not answer");
}

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

TEST_CASE("fleet: two managers on one storage count in one step, and do not cross a limit together") {
  ManagerWorld world;
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  ManagerOptions options = world.options({});
  RateLimit limit;
  limit.name = "orders";
  limit.capacity = 10;
  limit.window = 10h;
  options.cas[0].limits = std::vector<RateLimit>(1, limit);
  for (const char* owner : {"one", "other"}) {
    options.specs = many(40);
    if (options.owner != "test") std::ranges::reverse(options.specs);  // they do not wait for each other's leases
    options.owner = owner;
    world.run(world.make(options, heard, issuer.seams()));
  }
  world.pass(5min);
  CHECK(issuer.number_of_orders() == 8);  // a fifth is kept for renewals
  world.pass(10h);
  CHECK(issuer.number_of_orders() <= 18);
  CHECK(issuer.number_of_orders() >= 16);
}

TEST_CASE("fleet: an order that cannot be counted in storage does not leave") {
  ManagerWorld world;
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  ManagerOptions options = world.options({});
  options.specs = many(1);
  RateLimit limit;
  limit.name = "orders";
  limit.capacity = 10;
  limit.window = 1h;
  options.cas[0].limits = std::vector<RateLimit>(1, limit);
  bool fails = true;
  options.storage = std::make_shared<FaultyStorage>(world.storage, [&fails](const StorageCall& call) {
    return fails && call.operation == "write" && call.key.starts_with("rates/") ? StorageFault::lost_before
                                                                                : StorageFault::none;
  });
  world.run(world.make(std::move(options), heard, issuer.seams()));
  world.pass(10min);
  CHECK(issuer.number_of_orders() == 0);
  fails = false;
  world.pass(10min);
  CHECK(issuer.number_of_orders() == 1);
}

TEST_CASE("fleet: at another CA a renewal names no predecessor, and its limits count") {
  ManagerWorld world(2);
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  ManagerOptions options = world.options({});
  options.specs = many(3);
  RateLimit limit;
  limit.name = "orders";
  limit.capacity = 1;
  limit.window = 24h * 7;
  limit.renewals_exempt = limit.ari_renewals_exempt = true;
  options.cas[1].limits = std::vector<RateLimit>(1, limit);
  Seams seams = issuer.seams();
  const Time first_due = world.clock.now() + 24h * 60;
  seams.renewal_info = [clock = world.clock, first_due](std::string, std::string) {
    return answer_window(clock.now() < first_due + 24h ? first_due : clock.now() + 24h * 60);
  };
  world.run(world.make(std::move(options), heard, seams));
  world.pass(1h);
  REQUIRE(issuer.predecessors.at(world.directory(0)).size() == 3);
  issuer.down = {world.directory(0)};
  world.pass(24h * 89);
  // The three are due within two days, and the second CA takes one a week.
  const std::vector<Time>& times = issuer.times[world.directory(1)];
  REQUIRE(times.size() >= 3);
  CHECK(times[1] - times[0] >= 24h * 7);
  CHECK(times[2] - times[1] >= 24h * 7);
  CHECK(issuer.predecessors.at(world.directory(1)).size() >= 3);
  for (const std::string& predecessor : issuer.predecessors.at(world.directory(1))) CHECK(predecessor.empty());
}

TEST_CASE("fleet: what a CA has refused counts, although storage does not work when it does") {
  ManagerWorld world;
  Heard heard;
  const auto storage = std::make_shared<FaultyStorage>(world.storage);
  std::vector<Time> attempts;
  Seams seams;
  seams.issue = [&](std::string, IssueRequest) {
    attempts.push_back(world.clock.now());
    storage->set_down(true);
    return refuse_order();
  };
  ManagerOptions options = world.options({});
  options.specs = many(1);
  options.storage = storage;
  world.run(world.make(std::move(options), heard, seams));
  world.pass(5s);
  REQUIRE(attempts.size() == 1);
  storage->set_down(false);
  world.pass(30min);
  INFO(heard.all());
  REQUIRE(attempts.size() >= 2);
  CHECK(attempts[1] - attempts[0] >= 48s);  // the back-off is a minute, less a fifth
}

TEST_CASE("fleet: when a CA is asked about renewals does not depend on a clock that was wrong") {
  ManagerWorld world;
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  ManagerOptions options = world.options({});
  options.specs = many(1);
  Seams seams = issuer.seams();
  std::vector<Time> questions;
  seams.renewal_info = [&](std::string, std::string) {
    questions.push_back(world.clock.now());
    return answer_window(ManagerWorld::start + 24h * 60);
  };
  const auto core = world.make(options, heard, seams);
  world.run(core);
  world.pass(1h);
  REQUIRE(questions.size() == 1);
  const std::string key = certificate_record_key("n0.example");
  SUBCASE("a process whose clock is a day fast has stored when to ask: that is not believed") {
    core->stop();
    world.pass(1s);
    CertificateRecord record = *world.record("n0.example");
    record.renewal.next_check = world.clock.now() + 30h;
    world.store(key, encode(record));
    world.run(world.make(options, heard, seams));
    world.pass(1min);
    CHECK(questions.size() == 2);
  }
  SUBCASE("another process has stored that it is time to ask: this one keeps to its own Retry-After") {
    for (int i = 0; i < 5; ++i) {
      CertificateRecord record = *world.record("n0.example");
      record.renewal.next_check = world.clock.now() - 1h;
      world.store(key, encode(record));
      world.pass(30min);
    }
    CHECK(questions.size() == 1);
    world.pass(3h);
    CHECK(questions.size() == 2);
  }
}

TEST_CASE("fleet: a mass revocation is replaced at the pace that is wanted, those first that expire first") {
  ManagerWorld world;
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  ManagerOptions options = world.options({});
  options.specs = many(40);
  options.emergency_per_hour = 20;
  const auto core = world.make(std::move(options), heard, issuer.seams());
  world.run(core);
  world.pass(24h);
  REQUIRE(issuer.number_of_orders() == 40);
  bool compromised = false;
  SUBCASE("revoked") {}
  SUBCASE("with compromised keys") { compromised = true; }
  const std::string old_key = world.live("n0.example")->key_pem;
  for (int i = 0; i < 40; ++i) CHECK(core->revoked("n" + std::to_string(i) + ".example", compromised));
  std::size_t before = 40;
  world.pass(1min);
  CHECK(issuer.number_of_orders() - before >= 2);  // the first ones at once
  for (int hour = 0; hour < 2; ++hour) {
    world.pass(hour == 0 ? 58min : 1h);
    CHECK(issuer.number_of_orders() - before <= 20);
    CHECK(issuer.number_of_orders() - before >= 17);
    before = issuer.number_of_orders();
  }
  world.pass(1h);
  CHECK(issuer.number_of_orders() == 80);
  CHECK(world.live("n0.example")->key_pem != old_key);
  CHECK(heard.detail(EventKind::warning).find("emergency_per_hour") != std::string::npos);
  // All of them are marked at once, so a restart knows of them.
  std::vector<std::pair<Time, Time>> replaced;  // the end of the old one, and when
  for (const auto& [name, times] : issuer.orders) replaced.emplace_back(times[0], times[1]);
  std::ranges::sort(replaced, {}, &std::pair<Time, Time>::second);
  CHECK(replaced.front().first <= replaced.back().first);
  world.pass(24h);
  CHECK(issuer.number_of_orders() == 80);
}

TEST_CASE("fleet: what the throttle holds back is in storage") {
  ManagerWorld world;
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  ManagerOptions options = world.options({});
  options.specs = many(10);
  options.emergency_per_hour = 1;
  const auto core = world.make(options, heard, issuer.seams());
  world.run(core);
  world.pass(1h);
  for (int i = 0; i < 10; ++i) CHECK(core->revoked("n" + std::to_string(i) + ".example", true));
  world.pass(2min);
  std::size_t marked = 0;
  for (int i = 0; i < 10; ++i) marked += world.record("n" + std::to_string(i) + ".example")->emergency.empty() ? 0 : 1;
  CHECK(marked == 9);
  CHECK(issuer.number_of_orders() == 11);
}

TEST_CASE("fleet: what is not wanted any more is forgotten") {
  ManagerWorld world;
  Heard heard;
  Issuer issuer(world.clock, 24h * 90);
  ManagerOptions options = world.options({});
  options.specs = many(20);
  options.installed = [](const InstalledCertificate& certificate) {
    if (certificate.id == "n3.example") throw Error(Errc::io_failed, "installing", "it never works");
  };
  const auto core = world.make(std::move(options), heard, issuer.seams());
  world.run(core);
  world.pass(1h);
  CHECK(core->renew_now("n5.example", "test"));
  CHECK(core->sizes().certificates == 20);
  for (int round = 0; round < 30; ++round) {
    std::vector<CertificateSpec> specs;
    for (int i = 0; i < 5; ++i) {
      const std::string name = "r" + std::to_string(round) + "-" + std::to_string(i) + ".example";
      specs.emplace_back(std::vector<std::string>(1, name));
      specs.back().cas.push_back(world.directory());
    }
    core->set_specs(std::move(specs));
    world.pass(round % 2 == 0 ? std::chrono::milliseconds(1200) : std::chrono::milliseconds(10min));
  }
  world.pass(1h);
  const ManagerCore::Sizes sizes = core->sizes();
  CHECK(sizes.certificates == 5);
  CHECK(sizes.wake_ups == 5);
  CHECK(sizes.not_loaded == 0);
  CHECK(sizes.deliveries == 0);
  CHECK(sizes.queued == 0);
  CHECK(sizes.cas == 1);
  CHECK(sizes.unstored == 0);
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
