// How `culmen rehearse` shows what it has found.
#include <doctest/doctest.h>

#include "culmen/directory.hpp"
#include "rehearse_report.hpp"

using namespace culmen;
using namespace culmen::cli;
using std::chrono::hours;

namespace {

constexpr hours one_day(24);

planner::Time on(int year, unsigned month, unsigned day_of_month) {
  return std::chrono::sys_days(std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day_of_month));
}

RehearsedCertificate renewed_certificate(const std::string& id) {
  RehearsedCertificate certificate;
  certificate.id = id;
  certificate.was_there = true;
  const planner::Time starts[] = {on(2026, 11, 1), on(2027, 1, 3), on(2027, 3, 2)};
  for (const planner::Time start : starts) {
    RehearsedCertificate::Life life;
    life.from = start;
    life.until = start + 90 * one_day;
    life.ca = resolve_directory_url("letsencrypt");
    certificate.lives.push_back(life);
  }
  return certificate;
}

RehearsalReport example_report() {
  RehearsalReport report;
  report.from = on(2026, 12, 1);
  report.until = on(2027, 5, 1);
  report.certificates.push_back(renewed_certificate("a.example"));
  RehearsedCertificate expired;
  expired.id = "long-name.b.example";
  expired.was_there = true;
  expired.lives.emplace_back();
  expired.lives.back().from = on(2026, 10, 1);
  expired.lives.back().until = on(2027, 1, 1) + hours(6);
  expired.lives.back().ca = "https://ca.internal:8443/acme/directory";
  RehearsedCertificate::Trouble trouble;
  trouble.from = on(2026, 12, 2);
  trouble.attempts = 7;
  trouble.why = "connecting <again>: refused";
  expired.troubles.push_back(trouble);
  expired.late.push_back(on(2026, 12, 20));
  report.certificates.push_back(expired);
  return report;
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string without_legend(const std::string& svg) { return svg.substr(svg.find("CA outage")); }

}  // namespace

TEST_CASE("rehearse: the table") {
  const std::vector<std::string> table = rehearsal_table(example_report());
  REQUIRE(table.size() == 3);
  CHECK(table[0] ==
        "Certificate          CA                Renewals  First       Last                     Least margin  Failed "
        "attempts");
  CHECK(table[1] ==
        "a.example            letsencrypt              2  2027-01-03  2027-03-02     27 d 0 h on 2027-01-03       "
        "         0");
  CHECK(table[2] ==
        "long-name.b.example  ca.internal:8443         0  never       never       -119 d 18 h on 2027-05-01       "
        "         7");
}

TEST_CASE("rehearse: what would fail, and what only holds up a renewal") {
  RehearsalReport report = example_report();
  RehearsedCertificate::Trouble outage;
  outage.from = on(2027, 1, 2);
  outage.until = on(2027, 1, 3);
  outage.attempts = 1;
  outage.in_outage = true;
  outage.why = "no answer";
  report.certificates[0].troubles.push_back(outage);
  for (int i = 0; i < 3; ++i) {
    HookCall call;
    call.at = on(2027, 1, 4) + i * one_day;
    call.program = "/usr/local/bin/reload";
    call.ids = "a.example";
    if (i == 2) call.failed = "exit code 1";
    report.hooks.push_back(call);
  }
  const std::vector<Incident> incidents = incidents_of(report);
  REQUIRE(incidents.size() == 5);
  CHECK(incidents[0].text ==
        "long-name.b.example: 7 attempts failed, not issued until the end: connecting <again>: refused");
  CHECK_FALSE(incidents[0].harmless);
  CHECK(incidents[1].text == "long-name.b.example: the renewal is late");
  CHECK(incidents[2].at == on(2027, 1, 1) + hours(6));
  CHECK(incidents[2].text == "long-name.b.example: expired, and not replaced until the end");
  CHECK(incidents[3].text == "a.example: 1 attempt failed, issued 2027-01-03 00:00: no answer");
  CHECK(incidents[3].harmless);
  CHECK(incidents[4].text == "/usr/local/bin/reload for a.example: call 3 failed: exit code 1");
  CHECK_FALSE(incidents[4].harmless);

  CHECK(hook_table(report) == std::vector<std::string>{"/usr/local/bin/reload: 3 calls"});
  report.hooks_ran = true;
  CHECK(hook_table(report) == std::vector<std::string>{"/usr/local/bin/reload: 3 calls, 1 failed"});
}

TEST_CASE("rehearse: an outage in which a certificate expires is a failure, and only that") {
  RehearsalReport report = example_report();
  report.certificates.erase(report.certificates.begin());
  RehearsedCertificate& certificate = report.certificates.front();
  certificate.late.clear();
  certificate.troubles.front().in_outage = true;
  for (const bool is_replaced : {false, true}) {
    if (is_replaced) {
      certificate.lives.push_back(certificate.lives.front());
      certificate.lives.back().from = on(2027, 1, 5);
      certificate.lives.back().until = on(2027, 12, 1);
      certificate.troubles.front().until = on(2027, 1, 5);
    }
    const std::vector<Incident> incidents = incidents_of(report);
    REQUIRE(incidents.size() == 2);
    CHECK(has(incidents[0].text, "7 attempts failed"));
    CHECK(has(incidents[1].text, is_replaced ? "expired, and replaced 2027-01-05" : "expired, and not replaced"));
    for (const Incident& incident : incidents) CHECK_FALSE(incident.harmless);
    CHECK_FALSE(has(without_legend(rehearsal_svg(report)), "class=\"outlasted\""));
  }
  // Had it lived longer, nothing would have happened.
  certificate.lives.front().until = on(2027, 1, 6);
  REQUIRE(incidents_of(report).size() == 1);
  CHECK(incidents_of(report).front().harmless);
  CHECK(has(without_legend(rehearsal_svg(report)), "class=\"outlasted\""));
}

TEST_CASE("rehearse: what failed often is said once for each hook") {
  RehearsalReport report;
  report.until = on(2027, 5, 1);
  for (int i = 0; i < 286; ++i) {
    HookCall call;
    call.at = on(2027, 1, 4) + i * hours(12);
    call.program = i % 2 == 0 ? "/bin/restart" : "/bin/reload";
    call.ids = "a.example b.example";
    if (i % 2 == 0 && i > 3) call.failed = "exit code " + std::to_string(i);
    if (i == 9) call.failed = "exit code 9";
    report.hooks.push_back(call);
  }
  const std::vector<Incident> incidents = incidents_of(report);
  REQUIRE(incidents.size() == 2);
  CHECK(incidents[0].at == on(2027, 1, 6));
  CHECK(incidents[0].text ==
        "/bin/restart: 141 of 143 calls failed, from 2027-01-06 00:00 to 2027-05-26 00:00; the first, call 3 for "
        "a.example b.example: exit code 4");
  CHECK(incidents[1].text == "/bin/reload for a.example b.example: call 5 failed: exit code 9");
  for (const Incident& incident : incidents) CHECK_FALSE(incident.harmless);
}

TEST_CASE("rehearse: a timer that is too slow is said once for each certificate") {
  RehearsalReport report;
  report.from = on(2026, 12, 1);
  report.until = report.from + 3 * one_day;
  report.every = hours(12);
  RehearsedCertificate certificate;
  certificate.id = "short.example";
  certificate.was_there = true;
  for (int i = 0; i < 6; ++i) {
    RehearsedCertificate::Life life;
    life.from = report.from + i * hours(12);
    life.until = life.from + std::chrono::minutes(2);
    certificate.lives.push_back(life);
    certificate.late.push_back(life.until);
  }
  report.certificates.push_back(certificate);
  const std::vector<Incident> incidents = incidents_of(report);
  REQUIRE(incidents.size() == 3);
  CHECK(incidents[0].text ==
        "short.example: a certificate lives 2 min, too short for a run every 12 h: renew it with culmen run, or with a "
        "faster timer (--every 0 rehearses culmen run)");
  CHECK(incidents[1].text == "short.example: the renewal is late, 6 times until 2026-12-03 12:02");
  CHECK(incidents[2].text ==
        "short.example: expired 6 times, the last time 2026-12-03 12:02, and not replaced until the end");
  for (const Incident& incident : incidents) CHECK_FALSE(incident.harmless);
  report.every = std::chrono::seconds(0);
  CHECK(incidents_of(report).size() == 2);
}

TEST_CASE("rehearse: certificates that have not been proven to work") {
  RehearsalReport report = example_report();
  CHECK(unproven_certificates(report).empty());
  report.certificates[1].failures = 3;
  report.certificates[1].last_failure = "the CA refused it";
  RehearsedCertificate fresh;
  fresh.id = "new.example";
  report.certificates.push_back(fresh);
  fresh.id = "refused.example";
  fresh.failures = 1;
  fresh.last_failure = "rejectedIdentifier";
  report.certificates.push_back(fresh);
  CHECK(unproven_certificates(report) ==
        std::vector<std::string>{"long-name.b.example: 3 attempts failed so far: the CA refused it",
                                 "new.example: never issued",
                                 "refused.example: never issued; 1 attempt failed so far: "
                                 "rejectedIdentifier"});
}

TEST_CASE("rehearse: times and margins") {
  CHECK(day_text(on(2027, 2, 10) + hours(5)) == "2027-02-10");
  CHECK(minute_text(on(2027, 2, 10) + hours(5) + std::chrono::seconds(61)) == "2027-02-10 05:01");
  CHECK(lifetime_text(hours(160)) == "160 h");
  CHECK(lifetime_text(90 * one_day) == "90 d");
  CHECK(lifetime_text(std::chrono::minutes(90)) == "90 min");
  CHECK(lifetime_text(std::chrono::seconds(90)) == "90 s");
  CHECK(margin_text(-std::chrono::seconds(30)) == "-30 s");
  CHECK(margin_text(std::chrono::minutes(59)) == "59 min");
  CHECK(margin_text(hours(23)) == "23 h");
  CHECK(margin_text(hours(24 * 12 + 5)) == "12 d 5 h");
  CHECK(margin_text(-hours(30)) == "-1 d 6 h");
  CHECK(ca_name(resolve_directory_url("zerossl")) == "zerossl");
  CHECK(ca_name("https://ca.internal:8443/directory") == "ca.internal:8443");
}

TEST_CASE("rehearse: the picture is whole by itself, and has everything in it") {
  RehearsalReport report = example_report();
  CaOutage outage;
  outage.from = on(2027, 1, 1);
  outage.until = on(2027, 1, 3);
  report.outages.push_back(outage);
  const std::string svg = rehearsal_svg(report);
  CHECK(svg.starts_with("<svg "));
  CHECK(has(svg, "prefers-color-scheme: dark"));
  CHECK(has(svg, ">a.example<"));
  CHECK(has(svg, ">2027-02<"));
  CHECK(has(svg, "letsencrypt: 2027-01-03 00:00 to 2027-04-03 00:00"));
  CHECK(has(svg, "Outage of all CAs: 2027-01-01 00:00 to 2027-01-03 00:00"));
  CHECK(has(svg, "expired from 2027-01-01 06:00 to 2027-05-01 00:00"));
  CHECK(has(svg, "7 attempts failed: connecting &lt;again&gt;: refused"));
  // Nothing is loaded from elsewhere.
  for (const char* part : {"href", "url(http", "<script", "@import"}) CHECK_FALSE(has(svg, part));
}
