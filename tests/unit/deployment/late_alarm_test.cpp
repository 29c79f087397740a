// Which certificates the operator is told of, and how often.
#include "culmen/late_alarm.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "unit/deployment/hooked.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using test::Host;
using test::variable;
using Kind = DeploymentEvent::Kind;
using Lost = std::map<std::string, std::string>;
namespace fs = std::filesystem;

namespace {

constexpr auto day = 24h;
const planner::Time start{std::chrono::seconds(1'800'000'000)};

/// Valid for 90 days from `start`.
StoredCertificate stored(const std::string& id) {
  StoredCertificate certificate;
  certificate.id = id;
  certificate.live.emplace();
  certificate.record.live = 1;
  certificate.record.names = {id, "www." + id};
  certificate.record.server = "https://ca.example/directory";
  certificate.record.not_before = start;
  certificate.record.not_after = start + 90 * day;
  certificate.record.last_error = "the CA does not answer";
  return certificate;
}

std::optional<DeploymentSettings> telling(const std::string& id) {
  DeploymentSettings settings;
  if (id != "silent.example") settings.failure_hooks = {"/bin/tell"};
  settings.hook_timeout = 9;
  if (id == "other.example") return std::nullopt;
  return settings;
}

std::vector<std::string> ids_of(const std::vector<LateCertificate>& late) {
  std::vector<std::string> ids;
  for (const LateCertificate& each : late) ids.push_back(each.id);
  return ids;
}

using Ids = std::vector<std::string>;

}  // namespace

TEST_CASE("late alarm: when half of the time for the renewal is over, once a day, until it is renewed") {
  Host host;
  const LateAlarm alarm(host.options());
  std::vector<StoredCertificate> certificates = {stored("a.example"), stored("silent.example"),
                                                 stored("other.example")};
  const auto untold = [&](planner::Time now) { return ids_of(alarm.untold(certificates, {}, telling, now)); };
  const auto tell = [&](planner::Time now) { alarm.tell(alarm.untold(certificates, {}, telling, now), now); };
  CHECK(untold(start + 30 * day).empty());
  CHECK(untold(start + 62 * day).empty());  // due, and not late
  CHECK(untold(start + 80 * day) == Ids{"a.example"});
  tell(start + 80 * day);
  REQUIRE(host.runs.size() == 1);
  const ProgramRun run = host.runs.front();
  CHECK(run.words == Ids{"/bin/tell"});
  CHECK(run.time_limit == 9s);
  CHECK(variable(run, "CULMEN_ID") == "a.example");
  CHECK(variable(run, "CULMEN_NAMES") == "a.example www.a.example");
  CHECK(variable(run, "CULMEN_NOT_AFTER") == "2027-04-15T08:00:00Z");
  CHECK(variable(run, "CULMEN_ERROR") == "the CA does not answer");
  CHECK(host.texts(Kind::hook_ran) == Ids{"Ran /bin/tell: late: a.example"});
  CHECK(untold(start + 80 * day + 23h).empty());
  CHECK(untold(start + 81 * day) == Ids{"a.example"});
  CHECK(untold(start + 79 * day) == Ids{"a.example"});   // a clock that was set back
  CHECK(untold(start + 100 * day) == Ids{"a.example"});  // expired
  CHECK(fs::exists(host.local() / "late/a.example.json"));
  certificates.front().record.not_before = start + 80 * day;
  certificates.front().record.not_after = start + 170 * day;
  CHECK(untold(start + 81 * day).empty());
  CHECK_FALSE(fs::exists(host.local() / "late/a.example.json"));
}

TEST_CASE("late alarm: since when it is late stays, also while the program fails") {
  Host host;
  host.failing = {"/bin/tell"};
  const LateAlarm alarm(host.options());
  const std::vector<StoredCertificate> certificates = {stored("a.example")};
  const auto tell = [&](planner::Time now) { alarm.tell(alarm.untold(certificates, {}, telling, now), now); };
  tell(start + 80 * day);
  tell(start + 80 * day + 1h);
  REQUIRE(host.runs.size() == 2);
  CHECK(host.texts(Kind::hook_failed) ==
        Ids(2, "the on-failure hook /bin/tell failed: it failed; it is tried again at the next run"));
  host.failing.clear();
  tell(start + 80 * day + 2h);
  tell(start + 80 * day + 3h);
  REQUIRE(host.runs.size() == 3);
  CHECK(variable(host.runs.front(), "CULMEN_SINCE") == variable(host.runs.back(), "CULMEN_SINCE"));
  CHECK(variable(host.runs.front(), "CULMEN_SINCE") < "2027-03-20");
}

TEST_CASE("late alarm: several at once, and those that are lost from storage") {
  Host host;
  const LateAlarm alarm(host.options());
  const planner::Time now = start + 80 * day;
  StoredCertificate soon = stored("b.example");
  soon.record.not_after = now + 1h;
  const std::vector<StoredCertificate> certificates = {stored("a.example"), soon};
  alarm.tell(alarm.untold(certificates, {}, telling, now), now);
  REQUIRE(host.runs.size() == 1);
  CHECK(variable(host.runs.front(), "CULMEN_ID") == "a.example b.example");
  CHECK(variable(host.runs.front(), "CULMEN_NOT_AFTER") == "2027-04-05T09:00:00Z");  // the first to end
  CHECK(host.runs.front().input.starts_with("a.example\ta.example,www.a.example\t2027-04-15T08:00:00Z\t"));

  const Lost lost = {{"gone.example", "it is not in storage"}, {"silent.example", "so is this"}};
  CHECK(ids_of(alarm.untold(certificates, lost, telling, now)) == Ids{"gone.example"});
  alarm.tell(alarm.untold(certificates, lost, telling, now), now);
  REQUIRE(host.runs.size() == 2);
  CHECK(variable(host.runs.back(), "CULMEN_ID") == "gone.example");
  CHECK(variable(host.runs.back(), "CULMEN_ERROR") == "it is not in storage");
  CHECK(variable(host.runs.back(), "CULMEN_NOT_AFTER").empty());
  CHECK(host.runs.back().input == "gone.example\t\t\t2027-04-05T08:00:00Z\tit is not in storage\n");
  CHECK(alarm.untold(certificates, lost, telling, now + 1h).empty());
  // A day later it is lost since yesterday.
  alarm.tell(alarm.untold({}, lost, telling, now + day), now + day);
  REQUIRE(host.runs.size() == 3);
  CHECK(variable(host.runs.back(), "CULMEN_SINCE") == "2027-04-05T08:00:00Z");
}

TEST_CASE("late alarm: what is damaged, revoked or was never issued is not late") {
  Host host;
  const LateAlarm alarm(host.options());
  StoredCertificate damaged = stored("a.example"), revoked = stored("b.example"), fresh = stored("c.example");
  damaged.damage = {"its record cannot be read"};
  revoked.record.revoked = "2027-03-01";
  fresh.live.reset();
  CHECK(alarm.untold({damaged, revoked, fresh}, {}, telling, start + 100 * day).empty());
}
