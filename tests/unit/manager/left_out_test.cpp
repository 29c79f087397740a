// Names that a certificate does without: CertificateSpec::allow_subset.
#include "manager/left_out.hpp"
#include "support/manager_world.hpp"
#include "support/text.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;
using EventKind = ManagerEvent::Kind;

namespace {

using Names = std::vector<std::string>;
const Names three = {"a.example", "dead.example", "b.example"};

ManagerOptions subset_options(ManagerWorld& world, const Names& names, bool allow = true) {
  ManagerOptions options = world.options({});
  CertificateSpec spec(names);
  spec.id = "cert";
  spec.allow_subset = allow;
  options.specs = {spec};
  return options;
}

Error refusal(std::vector<Problem> problems, Errc code = Errc::rejected_identifier) {
  return Error(code, "creating an order").with_problems(std::move(problems));
}

Problem problem(const std::string& detail, const std::string& identifier = {}) {
  Problem made;
  made.type = "urn:ietf:params:acme:error:rejectedIdentifier";
  made.detail = detail;
  if (!identifier.empty()) made.identifier = Identifier("dns", identifier);
  return made;
}

constexpr planner::Time noon{std::chrono::seconds(1'790'000'000)};

}  // namespace

TEST_CASE("left out: which names an order has") {
  CertificateSpec spec(three);
  manager::LeftOutNames left_out;
  left_out["dead.example"].next_try = noon + 1h;
  CHECK(manager::names_to_try(spec, left_out, noon) == three);  // it does not allow a subset
  CHECK_FALSE(manager::next_try_of(spec, left_out, noon));
  spec.allow_subset = true;
  CHECK(manager::names_to_try(spec, left_out, noon) == Names{"a.example", "b.example"});
  CHECK(manager::next_try_of(spec, left_out, noon) == noon + 1h);
  CHECK(manager::remaining_names(spec, left_out) == Names{"a.example", "b.example"});
  CHECK(manager::names_to_try(spec, left_out, noon + 1h) == three);
  CHECK(manager::next_try_of(spec, left_out, noon + 2h) == noon + 2h);
  // The clock was set back by a week.
  CHECK(manager::names_to_try(spec, left_out, noon - 24h * 7) == three);
  for (const std::string& name : three) left_out[name].next_try = noon + 1h;
  CHECK(manager::names_to_try(spec, left_out, noon) == three);
  spec.names = {"DEAD.example", "other.example"};
  CHECK(manager::names_to_try(spec, left_out, noon) == Names{"other.example"});
}

TEST_CASE("left out: which names the CA refused") {
  CHECK(manager::refused_names(refusal({problem("no", "dead.example")}), three) == Names{"dead.example"});
  Problem outer = problem("some identifiers are refused");
  outer.subproblems = {problem("no", "b.example"), problem("no", "dead.example")};
  CHECK(manager::refused_names(refusal({outer}), three) == Names{"dead.example", "b.example"});
  CHECK(manager::refusal_of(refusal({outer}), "b.example") == "no (rejectedIdentifier)");
  // One that is refused has no identifier, but the CA names it.
  CHECK(manager::refused_names(refusal({problem("Cannot issue for \"dead.example\": it is blocked")}), three) ==
        Names{"dead.example"});
  CHECK(manager::refused_names(refusal({problem("cannot issue for dead.example.")}), three) == Names{"dead.example"});
  CHECK(manager::refused_names(refusal({problem("cannot issue for very-dead.example")}), three).empty());
  CHECK(manager::refused_names(refusal({problem("cannot issue for dead.example.org")}), three).empty());
  CHECK(manager::refused_names(refusal({problem("the policy forbids it")}), three).empty());
  // The authorization of a wildcard has the name below it.
  CHECK(manager::refused_names(refusal({problem("no", "w.example")}), {"a.example", "*.w.example"}) ==
        Names{"*.w.example"});
  // What passes by itself is no refusal.
  CHECK(manager::refused_names(refusal({problem("no", "dead.example")}, Errc::server_internal), three).empty());
  CHECK(manager::refused_names(refusal({problem("no", "dead.example")}, Errc::rate_limited), three).empty());
}

TEST_CASE("left out: the pause doubles, from an hour to a day") {
  LeftOutName name;
  Names pauses;
  planner::Time now = noon;
  for (int i = 0; i < 7; ++i) {
    name = manager::left_out_again(name, "why", now);
    pauses.push_back(std::to_string(std::chrono::duration_cast<std::chrono::hours>(name.next_try - now).count()));
    now = name.next_try;
  }
  CHECK(pauses == Names{"1", "2", "4", "8", "16", "24", "24"});
  CHECK(name.tries == 7);
  CHECK(name.since == noon);
}

TEST_CASE("left out: a dead name is left out loudly, tried again with back-off, and taken in when it works") {
  ManagerWorld world;
  Heard heard;
  world.ca().force_validation("dead.example", false);
  const auto core = world.make(subset_options(world, three), heard);
  world.run(core);
  world.pass(10min);
  INFO(heard.all());
  REQUIRE(world.live("cert"));
  check_pair(*world.live("cert"), {"a.example", "b.example"});
  CHECK(world.orders() == 2);
  CHECK(heard.count(EventKind::failed) == 0);
  CHECK(heard.count(EventKind::warning) == 1);
  CHECK(contains(heard.detail(EventKind::warning), "dead.example is left out of the certificate: "));
  CHECK(contains(heard.detail(EventKind::warning), "; it is tried again after 20"));
  REQUIRE(world.record("cert")->left_out.contains("dead.example"));
  CHECK(world.record("cert")->last_error == "");

  world.pass(24h * 5);
  // After 1, 3, 7, 15 and 31 hours, and then once a day: each with one order, and none without the name.
  CHECK(world.orders() >= 2 + 7);
  CHECK(world.orders() <= 2 + 10);
  CHECK(world.record("cert")->live == 1);
  CHECK(heard.count(EventKind::issued) == 1);

  world.ca().force_validation("dead.example", std::nullopt);
  const int before = world.orders();
  world.pass(25h);
  check_pair(*world.live("cert"), three);
  CHECK(world.record("cert")->left_out.empty());
  CHECK(world.orders() == before + 1);
  world.pass(24h * 5);
  CHECK(world.orders() == before + 1);
}

TEST_CASE("left out: the first name may be the dead one, and several may be") {
  ManagerWorld world;
  Heard heard;
  world.ca().force_validation("a.example", false);
  world.ca().force_validation("dead.example", false);
  const auto core = world.make(subset_options(world, three), heard);
  world.run(core);
  world.pass(10min);
  INFO(heard.all());
  REQUIRE(world.live("cert"));
  check_pair(*world.live("cert"), {"b.example"});
  CHECK(world.record("cert")->left_out.size() == 2);
  CHECK(world.orders() <= 3);
}

TEST_CASE("left out: a name that the CA refuses to order") {
  TestCaOptions ca_options;
  ca_options.blocked_names = {"dead.example"};
  ManagerWorld world(1, ca_options);
  Heard heard;
  const auto core = world.make(subset_options(world, three), heard);
  world.run(core);
  world.pass(10min);
  REQUIRE(world.live("cert"));
  check_pair(*world.live("cert"), {"a.example", "b.example"});
  CHECK(contains(world.record("cert")->left_out.at("dead.example").why, "rejectedIdentifier"));
}

TEST_CASE("left out: without a name that remains, and without leave, it is a failure like any other") {
  for (const bool allow : {true, false}) {
    ManagerWorld world;
    Heard heard;
    for (const std::string& name : three) {
      if (allow || name == "dead.example") world.ca().force_validation(name, false);
    }
    const auto core = world.make(subset_options(world, three, allow), heard);
    world.run(core);
    world.pass(10min);
    INFO(heard.all());
    CHECK_FALSE(world.live("cert"));
    CHECK(heard.count(EventKind::failed) >= 1);
    CHECK(world.orders() <= 3);
    CHECK(world.record("cert")->last_error != "");
    world.pass(24h);
    CHECK(world.orders() <= 20);
  }
}

TEST_CASE("left out: a dead name does not keep the others from being renewed") {
  ManagerWorld world;
  Heard heard;
  world.ca().force_validation("dead.example", false);
  const auto core = world.make(subset_options(world, three), heard);
  world.run(core);
  world.pass(24h * 150);
  INFO(heard.count(EventKind::warning));
  check_pair(*world.live("cert"), {"a.example", "b.example"});
  CHECK(world.record("cert")->live == 3);
  CHECK(heard.count(EventKind::late) == 0);
  CHECK(heard.count(EventKind::failed) == 0);
  CHECK(world.orders() <= 150 + 10);
}

TEST_CASE("left out: what is remembered holds for the next process, and what is forced tries all names") {
  ManagerWorld world;
  Heard heard, next;
  world.ca().force_validation("dead.example", false);
  const auto core = world.make(subset_options(world, three), heard);
  world.run(core);
  world.pass(10min);
  core->stop();
  world.pass(1s);
  CHECK(world.orders() == 2);
  const auto second = world.make(subset_options(world, three), next);
  world.run(second);
  world.pass(10min);
  CHECK(world.orders() == 2);
  CHECK(world.record("cert")->live == 1);

  REQUIRE(second->renew_now("cert", "a test"));
  world.pass(10min);
  INFO(next.all());
  CHECK(world.orders() == 4);
  CHECK(world.record("cert")->live == 2);
  CHECK(world.record("cert")->left_out.at("dead.example").tries == 2);
  world.ca().force_validation("dead.example", std::nullopt);
  REQUIRE(second->renew_now("cert", "a test"));
  world.pass(10min);
  check_pair(*world.live("cert"), three);
}

TEST_CASE("left out: the limits of the CA count each order") {
  ManagerWorld world;
  Heard heard;
  world.ca().force_validation("dead.example", false);
  ManagerOptions options = subset_options(world, three);
  RateLimit one;
  one.name = "orders";
  one.capacity = 1;
  one.window = 6h;
  options.cas[0].limits = {one};
  const auto core = world.make(std::move(options), heard);
  world.run(core);
  world.pass(1h);
  CHECK(world.orders() == 1);
  CHECK_FALSE(world.live("cert"));
  world.pass(6h);
  INFO(heard.all());
  REQUIRE(world.live("cert"));
  world.pass(24h * 2);
  CHECK(world.orders() <= 2 + 8);
}

TEST_CASE("left out: names that are not wanted any more are not tried, and one that is allowed no more is wanted") {
  ManagerWorld world;
  Heard heard;
  world.ca().force_validation("dead.example", false);
  const auto core = world.make(subset_options(world, three), heard);
  world.run(core);
  world.pass(10min);
  CHECK(world.orders() == 2);
  core->set_specs(subset_options(world, {"a.example", "b.example"}).specs);
  world.pass(24h * 3);
  CHECK(world.orders() == 2);
  core->set_specs(subset_options(world, three, false).specs);
  world.pass(10min);
  CHECK(world.orders() == 3);
  CHECK(heard.count(EventKind::failed) == 1);
  CHECK(world.record("cert")->live == 1);
}
