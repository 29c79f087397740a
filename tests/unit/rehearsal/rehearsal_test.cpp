#include <doctest/doctest.h>

#include <map>

#include "culmen/attempt.hpp"
#include "culmen/certificate.hpp"
#include "culmen/directory.hpp"
#include "culmen/rehearsal.hpp"

using namespace culmen;
using std::chrono::hours;

namespace {

constexpr hours day(24);

planner::Time at(int year, unsigned month, unsigned day_of_month) {
  return std::chrono::sys_days(std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day_of_month));
}

CertificateSpec spec(const std::string& name, const std::string& ca, const std::string& challenge = "http-01") {
  CertificateSpec made({name});
  made.cas = {ca};
  made.challenge = challenge;
  return made;
}

RehearsalOptions two_years() {
  RehearsalOptions options;
  options.from = at(2026, 11, 28);
  options.until = at(2028, 11, 28);
  return options;
}

CaOutage outage(planner::Time from, hours length, const std::string& ca = {}) {
  CaOutage made;
  made.from = from;
  made.until = from + length;
  if (!ca.empty()) made.ca = resolve_directory_url(ca);
  return made;
}

const RehearsedCertificate& of(const std::vector<RehearsedCertificate>& all, const std::string& id) {
  for (const RehearsedCertificate& each : all)
    if (each.id == id) return each;
  throw std::runtime_error("there is no " + id);
}

/// A certificate that was issued before.
StoredCertificate stored(const CertificateSpec& wanted, planner::Time issued, hours lifetime) {
  StoredCertificate made;
  made.id = id_of(wanted);
  ManagerOptions manager;
  manager.specs = {wanted};
  manager.installed = [&made](const InstalledCertificate& certificate) {
    made.live.emplace();
    made.live->key_pem = certificate.key_pem;
    made.live->chain_pem = certificate.chain_pem;
  };
  RehearsalOptions options;
  options.from = issued;
  options.until = issued + hours(1);
  options.terms.clear();
  options.terms.emplace_back();
  options.terms.back().ca = resolve_directory_url(wanted.cas.front());
  options.terms.back().certificate_lifetime = lifetime;
  options.terms.back().authorization_lifetime = hours(1);
  (void)rehearse(manager, {}, options);
  REQUIRE(made.live);
  const Certificate leaf = Certificate::from_pem(made.live->chain_pem);
  made.record.spec = wanted;
  made.record.live = made.record.last_generation = 1;
  made.record.names = wanted.names;
  made.record.server = options.terms.back().ca;
  made.record.not_before = leaf.not_before;
  made.record.not_after = leaf.not_after;
  made.record.key_type = "ec:P-256";
  return made;
}

}  // namespace

TEST_CASE("rehearsal: two years, through the calendar") {
  ManagerOptions manager;
  manager.specs = {spec("a.example", "letsencrypt"), spec("*.b.example", "letsencrypt", "dns-01"),
                   spec("c.example", "https://ca.example/directory", "tls-alpn-01")};
  manager.specs.push_back(spec("d.example", "letsencrypt"));
  manager.specs.back().profile = "shortlived";
  std::map<std::string, int> installed;
  manager.installed = [&installed](const InstalledCertificate& certificate) {
    ++installed[certificate.id];
    CHECK_FALSE(Certificate::from_pem(certificate.chain_pem).identifiers.empty());
  };
  const RehearsalOptions options = two_years();
  const std::vector<RehearsedCertificate> all = rehearse(manager, {}, options);
  REQUIRE(all.size() == 4);
  for (const RehearsedCertificate& each : all) {
    CAPTURE(each.id);
    CHECK_FALSE(each.was_there);
    for (const RehearsedCertificate::Trouble& trouble : each.troubles) FAIL_CHECK(trouble.why);
    REQUIRE_FALSE(each.lives.empty());
    CHECK_FALSE(each.fails(options.until));
    CHECK(installed[each.id] == static_cast<int>(each.issued()));
    CHECK(each.lives.front().from < options.from + hours(1));
    for (std::size_t i = 0; i < each.lives.size(); ++i) {
      const RehearsedCertificate::Life& life = each.lives[i];
      hours lifetime = 90 * day;
      if (each.id == "a.example" || each.id == "_wildcard.b.example") {
        if (life.from >= at(2027, 2, 10)) lifetime = 64 * day;
        if (life.from >= at(2028, 2, 16)) lifetime = 45 * day;
      }
      if (each.id == "d.example") lifetime = hours(160);
      CHECK(std::chrono::round<hours>(life.until - life.from) == lifetime);
      if (i == 0) continue;
      const auto left = each.lives[i - 1].until - life.from;
      const auto whole = each.lives[i - 1].until - each.lives[i - 1].from;
      const bool is_short = whole < 10 * day;
      CHECK(left <= whole * (is_short ? 56 : 40) / 100);
      CHECK(left >= whole * (is_short ? 50 : 33) / 100 - whole / 100 - options.every);
    }
    REQUIRE(each.least_margin(options.until));
  }
  CHECK(of(all, "d.example").issued() > 150);

  // The same seed, the same rehearsal.
  const std::vector<RehearsedCertificate> again = rehearse(manager, {}, options);
  for (const RehearsedCertificate& each : all) {
    const RehearsedCertificate& other = of(again, each.id);
    REQUIRE(other.lives.size() == each.lives.size());
    CHECK(other.lives.back().from == each.lives.back().from);
  }
}

TEST_CASE("rehearsal: what is there goes on from where it is, at the pace of its CA") {
  RehearsalOptions options = two_years();
  options.until = options.from + 200 * day;
  CertificateSpec kept = spec("a.example", "https://ca.example/directory");
  ManagerOptions manager;
  manager.specs = {kept};
  StoredCertificate before = stored(kept, options.from - 30 * day, 60 * day);
  const std::vector<RehearsedCertificate> all = rehearse(manager, {before}, options);
  const RehearsedCertificate& certificate = all.front();
  REQUIRE(certificate.was_there);
  REQUIRE(certificate.lives.size() >= 2);
  CHECK(certificate.lives[0].until == *before.record.not_after);
  CHECK(certificate.lives[1].from > options.from + 6 * day);
  for (std::size_t i = 1; i < certificate.lives.size(); ++i)
    CHECK(std::chrono::round<hours>(certificate.lives[i].until - certificate.lives[i].from) == 60 * day);
}

TEST_CASE("rehearsal: the window that is on record for a present certificate holds") {
  RehearsalOptions options = two_years();
  options.until = options.from + 100 * day;
  const CertificateSpec kept = spec("a.example", "https://ca.example/directory");
  ManagerOptions manager;
  manager.specs = {kept};
  StoredCertificate before = stored(kept, options.from - 10 * day, 90 * day);
  before.record.certificate_id = certificate_id(Certificate::from_pem(before.live->chain_pem));
  // By its lifetime it would be due fifty days from now.
  for (const int days : {20, 65}) {
    RenewalInfo window;
    window.window_start = options.from + days * day;
    window.window_end = window.window_start + 2 * day;
    before.record.renewal = updated_renewal_state(RenewalState(), window, options.from - hours(1), 0.5);
    const std::vector<RehearsedCertificate> all = rehearse(manager, {before}, options);
    REQUIRE(all.front().lives.size() >= 2);
    const planner::Time renewed = all.front().lives[1].from;
    CHECK(renewed >= window.window_start + day);
    CHECK(renewed <= window.window_start + day + options.every + hours(1));
    CHECK(all.front().troubles.empty());
  }
}

TEST_CASE("rehearsal: what has failed before is on record") {
  RehearsalOptions options = two_years();
  options.until = options.from + 3 * day;
  ManagerOptions manager;
  StoredCertificate never, failed;
  never.id = "never.example";
  failed = stored(spec("failed.example", "letsencrypt"), options.from - 70 * day, 90 * day);
  for (StoredCertificate* each : {&never, &failed}) {
    each->record.spec = spec(each->id, "letsencrypt");
    manager.specs.push_back(*each->record.spec);
    planner::Attempts attempts;
    attempts.in_a_row = 2;
    attempts.last = planner::Failure::ca_refused;
    attempts.last_at = options.from - hours(1);
    each->record.attempts[resolve_directory_url("letsencrypt")] = attempts;
    each->record.last_error = "the CA refused " + each->id;
  }
  manager.specs.push_back(spec("new.example", "letsencrypt"));
  const std::vector<RehearsedCertificate> all = rehearse(manager, {never, failed}, options);
  CHECK_FALSE(of(all, "never.example").was_there);
  CHECK(of(all, "failed.example").was_there);
  for (const char* id : {"never.example", "failed.example"}) {
    CHECK(of(all, id).failures == 2);
    CHECK(of(all, id).last_failure == "the CA refused " + std::string(id));
    CHECK(of(all, id).issued() == 1);
  }
  CHECK(of(all, "new.example").failures == 0);
  CHECK(of(all, "new.example").last_failure.empty());
}

TEST_CASE("rehearsal: certificates that live for minutes, with a manager that goes on running") {
  for (const int minutes : {1, 2, 90}) {
    CAPTURE(minutes);
    const std::chrono::seconds life = std::chrono::minutes(minutes);
    RehearsalOptions options = two_years();
    options.until = options.from + 20 * life;
    options.every = std::chrono::seconds(0);
    const CertificateSpec kept = spec("a.example", "https://ca.example/directory");
    ManagerOptions manager;
    manager.specs = {kept};
    // What `stored` issues lives for whole hours.
    StoredCertificate before = stored(kept, options.from - std::chrono::seconds(5), hours(2));
    before.record.not_before = options.from - std::chrono::seconds(5);
    before.record.not_after = *before.record.not_before + life - std::chrono::seconds(1);
    const RehearsedCertificate certificate = rehearse(manager, {before}, options).front();
    CHECK_FALSE(certificate.fails(options.until));
    for (const RehearsedCertificate::Trouble& trouble : certificate.troubles) FAIL_CHECK(trouble.why);
    CHECK(certificate.issued() >= 36);
    CHECK(certificate.issued() <= 50);
    for (std::size_t i = 1; i < certificate.lives.size(); ++i) {
      const auto lived = certificate.lives[i].until - certificate.lives[i].from;
      CHECK(lived <= life);
      CHECK(lived >= life - std::chrono::seconds(5));
    }

    if (minutes > 2) continue;
    options.until = options.from + 2 * 365 * day;
    CHECK_THROWS_WITH_AS((void)rehearse(manager, {before}, options),
                         doctest::Contains(("a.example lives " + std::to_string(life.count()) + " s").c_str()), Error);
    // A timer is too slow for them.
    options.until = options.from + 2 * day;
    options.every = hours(12);
    CHECK(rehearse(manager, {before}, options).front().fails(options.until));
  }
}

TEST_CASE("rehearsal: a manager that goes on running tries again as soon as it may") {
  RehearsalOptions options = two_years();
  options.until = options.from + 80 * day;
  options.every = std::chrono::seconds(0);
  ManagerOptions manager;
  manager.specs = {spec("a.example", "https://ca.example/directory")};
  options.outages = {outage(options.from + 50 * day, 14 * 24 * hours(1))};
  const RehearsedCertificate certificate = rehearse(manager, {}, options).front();
  REQUIRE(certificate.troubles.size() == 1);
  CHECK(certificate.is_outlasted(certificate.troubles.front(), options.until));
  REQUIRE(certificate.lives.size() == 2);
  CHECK(certificate.lives[1].from >= options.from + 64 * day);
  CHECK(certificate.lives[1].from <= options.from + 64 * day + hours(7));
}

TEST_CASE("rehearsal: a publicly trusted CA without announcements keeps to the rules") {
  RehearsalOptions options = two_years();
  CertificateSpec kept = spec("a.example", "zerossl");
  ManagerOptions manager;
  manager.specs = {kept};
  const std::vector<RehearsedCertificate> all =
      rehearse(manager, {stored(kept, options.from - 10 * day, 180 * day)}, options);
  for (const RehearsedCertificate::Life& life : all.front().lives) {
    if (life.from < at(2027, 3, 15)) continue;
    CHECK(std::chrono::round<hours>(life.until - life.from) == 100 * day);
  }
}

TEST_CASE("rehearsal: an outage that is outlasted, and one that is not") {
  RehearsalOptions options = two_years();
  options.until = at(2027, 3, 1);
  ManagerOptions manager;
  manager.specs = {spec("a.example", "letsencrypt"), spec("b.example", "https://ca.example/directory")};
  // Both are issued at once, and due sixty days later at the latest.
  options.outages = {outage(options.from + 50 * day, 15 * 24 * hours(1), "letsencrypt")};
  std::vector<RehearsedCertificate> all = rehearse(manager, {}, options);
  const RehearsedCertificate& late = of(all, "a.example");
  REQUIRE(late.troubles.size() == 1);
  CHECK(late.troubles.front().in_outage);
  CHECK(late.troubles.front().attempts > 5);
  REQUIRE(late.troubles.front().until);
  CHECK(*late.troubles.front().until >= options.from + 65 * day);
  CHECK(*late.troubles.front().until <= options.from + 66 * day);
  CHECK(late.lives.size() == 2);
  CHECK(of(all, "b.example").troubles.empty());

  options.outages = {outage(options.from + 50 * day, 60 * 24 * hours(1))};
  all = rehearse(manager, {}, options);
  for (const RehearsedCertificate& each : all) {
    CHECK(each.fails(options.until));
    CHECK_FALSE(each.late.empty());
    REQUIRE(each.least_margin(options.until));
    CHECK(each.least_margin(options.until)->left < hours(0));
  }
}

TEST_CASE("rehearsal: an attempt that a program refuses is a failure") {
  RehearsalOptions options = two_years();
  options.until = options.from + 2 * day;
  ManagerOptions manager;
  manager.specs = {spec("a.example", "letsencrypt")};
  int calls = 0;
  manager.prepare = [&calls](Attempt&) {
    if (++calls == 1) throw Error(Errc::solver_failed, "running the pre-hook", "exit code 7");
  };
  const std::vector<RehearsedCertificate> all = rehearse(manager, {}, options);
  REQUIRE(all.front().troubles.size() == 1);
  CHECK(all.front().troubles.front().why.find("exit code 7") != std::string::npos);
  CHECK(all.front().issued() == 1);
  CHECK(all.front().fails(options.until));
}

TEST_CASE("rehearsal: the time between runs, and options that are not valid") {
  RehearsalOptions options = two_years();
  options.until = options.from + 3 * day;
  ManagerOptions manager;
  manager.specs = {spec("a.example", "letsencrypt")};
  int runs = 0;
  options.after_run = [&runs, &options](planner::Time now) {
    CHECK(now >= options.from + runs * options.every);
    ++runs;
  };
  (void)rehearse(manager, {}, options);
  CHECK(runs == 6);
  options.until = options.from;
  CHECK_THROWS_AS((void)rehearse(manager, {}, options), Error);
  options.every = std::chrono::seconds(59);
  options.until = options.from + 3 * day;
  CHECK_THROWS_AS((void)rehearse(manager, {}, options), Error);
  options.every = hours(12);
  options.until = options.from + 6 * 366 * day;
  CHECK_THROWS_AS((void)rehearse(manager, {}, options), Error);
}
