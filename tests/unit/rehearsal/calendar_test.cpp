#include <doctest/doctest.h>

#include "culmen/directory.hpp"
#include "culmen/rehearsal.hpp"

using namespace culmen;
using std::chrono::hours;

namespace {

constexpr hours day(24);

planner::Time at(int year, unsigned month, unsigned day_of_month) {
  return std::chrono::sys_days(std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day_of_month));
}

RehearsedCertificate::Life life(planner::Time from, planner::Time until) {
  RehearsedCertificate::Life made;
  made.from = from;
  made.until = until;
  return made;
}

}  // namespace

TEST_CASE("known CA terms: what Let's Encrypt has announced") {
  const std::string ca = resolve_directory_url("letsencrypt");
  struct Case {
    planner::Time when;
    const char* profile;
    std::chrono::seconds certificate, authorization;
  };
  const Case cases[] = {
      {at(2026, 11, 28), "", 90 * day, 30 * day},
      {at(2027, 2, 10) - std::chrono::seconds(1), "classic", 90 * day, 30 * day},
      {at(2027, 2, 10), "", 64 * day, 10 * day},
      {at(2028, 2, 15), "classic", 64 * day, 10 * day},
      {at(2028, 2, 16), "", 45 * day, hours(7)},
      {at(2031, 1, 1), "classic", 45 * day, hours(7)},
      {at(2026, 11, 28), "tlsserver", 45 * day, hours(7)},
      {at(2026, 11, 28), "shortlived", hours(160), hours(7)},
  };
  for (const Case& each : cases) {
    CAPTURE(each.profile);
    const CaTerms* terms = ca_terms_at(known_ca_terms(), ca, each.profile, each.when);
    REQUIRE(terms);
    CHECK(terms->certificate_lifetime == each.certificate);
    CHECK(terms->authorization_lifetime == each.authorization);
  }
  CHECK_FALSE(ca_terms_at(known_ca_terms(), ca, "other", at(2027, 1, 1)));
  CHECK_FALSE(ca_terms_at(known_ca_terms(), "https://ca.example/directory", "", at(2027, 1, 1)));
}

TEST_CASE("known CA terms: a profile or a CA of one's own") {
  CaTerms early, late;
  early.ca = late.ca = "https://ca.example/directory";
  early.certificate_lifetime = 10 * day;
  late.certificate_lifetime = 5 * day;
  late.from = at(2027, 1, 1);
  // Their order does not matter.
  const std::vector<CaTerms> terms = {late, early};
  CHECK(ca_terms_at(terms, early.ca, "", at(2026, 12, 31))->certificate_lifetime == 10 * day);
  CHECK(ca_terms_at(terms, early.ca, "", at(2027, 1, 1))->certificate_lifetime == 5 * day);
}

TEST_CASE("publicly trusted certificates live no longer than the rules allow") {
  CHECK(longest_public_lifetime(at(2026, 11, 28)) == 200 * day);
  CHECK(longest_public_lifetime(at(2027, 3, 15)) == 100 * day);
  CHECK(longest_public_lifetime(at(2029, 3, 14)) == 100 * day);
  CHECK(longest_public_lifetime(at(2029, 3, 15)) == 47 * day);
}

TEST_CASE("random outages: by the seed, within the time") {
  const std::vector<CaOutage> outages = random_outages(20, 7, at(2027, 1, 1), at(2028, 1, 1));
  REQUIRE(outages.size() == 20);
  for (const CaOutage& outage : outages) {
    CHECK(outage.from >= at(2027, 1, 1));
    CHECK(outage.from < at(2028, 1, 1));
    CHECK(outage.until >= outage.from + hours(1));
    CHECK(outage.until <= outage.from + hours(72));
    CHECK(outage.contains("https://ca.example/directory", outage.from));
    CHECK_FALSE(outage.contains("https://ca.example/directory", outage.until));
  }
  CHECK(random_outages(20, 7, at(2027, 1, 1), at(2028, 1, 1)).front().from == outages.front().from);
  CHECK(random_outages(20, 8, at(2027, 1, 1), at(2028, 1, 1)).front().from != outages.front().from);
}

TEST_CASE("the least margin: over all renewals, and at the end") {
  RehearsedCertificate certificate;
  CHECK_FALSE(certificate.least_margin(at(2027, 1, 1)));
  CHECK(certificate.fails(at(2027, 1, 1)));  // it was never issued

  certificate.lives.push_back(life(at(2026, 1, 1), at(2026, 4, 1)));
  CHECK_FALSE(certificate.least_margin(at(2026, 3, 1)));
  CHECK_FALSE(certificate.fails(at(2026, 3, 1)));
  REQUIRE(certificate.least_margin(at(2026, 4, 3)));
  CHECK(certificate.least_margin(at(2026, 4, 3))->left == -2 * day);
  CHECK(certificate.fails(at(2026, 4, 3)));

  certificate.lives.push_back(life(at(2026, 3, 2), at(2026, 6, 1)));
  certificate.lives.push_back(life(at(2026, 5, 20), at(2026, 9, 1)));
  certificate.lives.push_back(life(at(2026, 8, 1), at(2026, 12, 1)));
  REQUIRE(certificate.least_margin(at(2026, 8, 2)));
  CHECK(certificate.least_margin(at(2026, 8, 2))->left == 12 * day);
  CHECK(certificate.least_margin(at(2026, 8, 2))->at == at(2026, 5, 20));
  CHECK_FALSE(certificate.fails(at(2026, 8, 2)));
}

TEST_CASE("what counts as a failure: not an outage that is outlasted") {
  RehearsedCertificate certificate;
  certificate.lives.push_back(life(at(2026, 1, 1), at(2027, 4, 1)));
  RehearsedCertificate::Trouble trouble;
  trouble.attempts = 3;
  trouble.in_outage = true;
  certificate.troubles.push_back(trouble);
  CHECK_FALSE(certificate.fails(at(2026, 2, 1)));
  certificate.troubles.back().in_outage = false;
  CHECK(certificate.fails(at(2026, 2, 1)));
  certificate.troubles.back().attempts = 0;  // it waited
  CHECK_FALSE(certificate.fails(at(2026, 2, 1)));
  certificate.late.push_back(at(2026, 2, 1));
  CHECK(certificate.fails(at(2026, 2, 1)));
}

TEST_CASE("an outage is outlasted if nothing became late or expired in it") {
  RehearsedCertificate certificate;
  RehearsedCertificate::Trouble trouble;
  trouble.from = at(2026, 3, 1);
  trouble.attempts = 3;
  trouble.in_outage = true;
  const planner::Time end = at(2026, 12, 1);
  CHECK_FALSE(certificate.is_outlasted(trouble, end));  // there is no certificate at the end
  certificate.lives.push_back(life(at(2026, 1, 1), at(2026, 4, 1)));
  trouble.until = at(2026, 3, 20);
  certificate.lives.push_back(life(*trouble.until, at(2027, 1, 1)));
  CHECK(certificate.is_outlasted(trouble, end));

  // An attempt that failed outside of the outage.
  trouble.in_outage = false;
  CHECK_FALSE(certificate.is_outlasted(trouble, end));
  trouble.attempts = 0;  // it waited
  CHECK(certificate.is_outlasted(trouble, end));

  certificate.late.push_back(at(2026, 3, 10));
  CHECK_FALSE(certificate.is_outlasted(trouble, end));
  certificate.late.front() = at(2026, 2, 1);  // of another time
  CHECK(certificate.is_outlasted(trouble, end));

  // It expired before the outage ended; in another outage it did not.
  RehearsedCertificate::Trouble other = trouble;
  other.from = at(2026, 8, 1);
  other.until = at(2026, 8, 2);
  trouble.until = certificate.lives.back().from = at(2026, 4, 2);
  CHECK_FALSE(certificate.is_outlasted(trouble, end));
  CHECK(certificate.is_outlasted(other, end));

  // It is not over at the end.
  certificate.lives.pop_back();
  trouble.until.reset();
  CHECK(certificate.is_outlasted(trouble, at(2026, 3, 31)));
  CHECK_FALSE(certificate.is_outlasted(trouble, at(2026, 4, 2)));
}
