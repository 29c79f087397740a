// culmen rehearse: what it finds, and that it leaves everything alone.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "culmen/rehearsal.hpp"
#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;
namespace json = boost::json;
using culmen::planner::Time;
using std::chrono::hours;

namespace {

constexpr hours day(24);
const std::string lets_encrypt = "https://acme-v02.api.letsencrypt.org/directory";
const std::string zerossl = "https://acme.zerossl.com/v2/DV90";

/// Without a fraction: "2027-03-01T06:30:00Z".
Time time_of(const json::value& value) {
  int year = 0, hour = 0, minute = 0, second = 0;
  unsigned month = 0, day_of_month = 0;
  REQUIRE(std::sscanf(text(value).c_str(), "%4d-%2u-%2uT%2d:%2d:%2dZ", &year, &month, &day_of_month, &hour, &minute,
                      &second) == 6);
  const auto date = std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day_of_month);
  return std::chrono::sys_days(date) + hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second);
}

std::string text_of(Time time) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  const auto hour = std::chrono::floor<hours>(time - std::chrono::floor<std::chrono::days>(time)).count();
  std::array<char, 40> out{};
  std::snprintf(out.data(), out.size(), "%04d-%02u-%02uT%02d:00", int(date.year()), unsigned(date.month()),
                unsigned(date.day()), static_cast<int>(hour));
  return out.data();
}

/// As if `server` had issued the certificate: this machine has no account there, and none is needed.
void pretend_issued_by(const Client& client, const TestCaProcess& ca, const std::string& id,
                       const std::string& server) {
  for (const char* file : {"record.json", "live/meta.json"}) {
    const fs::path path = client.certificate(id) / file;
    std::string value = contents(path);
    for (std::size_t at = 0; (at = value.find(ca.url(), at)) != std::string::npos; at += server.size())
      value.replace(at, ca.url().size(), server);
    std::ofstream(path) << value;
  }
}

std::map<std::string, std::string> everything_in(const fs::path& folder) {
  std::map<std::string, std::string> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    std::string what = entry.is_directory() ? "folder" : "";
    if (entry.is_symlink()) {
      what = "-> " + fs::read_symlink(entry.path()).string();
    } else if (entry.is_regular_file()) {
      what = std::to_string(entry.last_write_time().time_since_epoch().count()) + " " + contents(entry.path());
    }
    found[entry.path().string()] = what;
  }
  return found;
}

fs::path hook_file(const culmen::test::TemporaryFolder& folder, const std::string& body) {
  const fs::path file = folder / "hook";
  std::ofstream(file) << "#!/bin/sh\n" << body;
  fs::permissions(file, fs::perms::owner_all);
  return file;
}

Outcome rehearse(const Client& client, std::vector<std::string> words) {
  std::vector<std::string> command = {culmen_path(), "rehearse", "--dir", client.state().string()};
  command.insert(command.end(), words.begin(), words.end());
  return run(command);
}

std::size_t renewals_of(const json::object& certificate) {
  return static_cast<std::size_t>(certificate.at("renewals").as_int64());
}

/// A certificate's lifetime in whole hours.
hours lifetime_of(const json::value& life) {
  return std::chrono::round<hours>(time_of(life.at("until")) - time_of(life.at("from")));
}

/// Runs the command in a process that the kernel kills when it opens a socket of any kind. A pair of sockets that are
/// connected with each other is allowed: libcurl wakes itself by one.
Outcome run_without_sockets(const std::vector<std::string>& command) {
  Outcome outcome;
  int limited = -1;
  std::thread([&] {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_socket, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
    limited = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (limited == 0) limited = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
    if (limited == 0) outcome = run(command);
  }).join();
  REQUIRE(limited == 0);
  return outcome;
}

}  // namespace

TEST_CASE("rehearse: two years of fourteen certificates, a hook that fails once, and an outage") {
  const TestCaProcess ca({"--skip-validation"});
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const fs::path log = folder / "log";
  // It runs for each certificate that is issued here, too; what counts is what it does in the rehearsal.
  const fs::path hook = hook_file(
      folder,
      "test -n \"$CULMEN_REHEARSAL\" || exit 0\n"
      "echo \"$CULMEN_REHEARSAL $CULMEN_FULLCHAIN $CULMEN_KEY\" >> " +
          log.string() +
          "\n"
          "grep -q 'BEGIN CERTIFICATE' \"$CULMEN_FULLCHAIN\" && grep -q 'PRIVATE KEY' \"$CULMEN_KEY\" || exit 9\n"
          "test $(wc -l < " +
          log.string() + ") != 3 || { echo 'the third call' >&2; exit 7; }\n");
  std::map<std::string, std::string> server_of;
  for (int i = 0; i < 14; ++i) {
    const std::string name = "n" + std::to_string(100 + i) + ".example";
    std::vector<std::string> words = {"--deploy-hook", hook.string()};
    if (i == 0) words.insert(words.end(), {"--out", (folder / "copy.pem").string()});
    const Outcome issued = client.issue({name}, words);
    REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
    server_of[name] = i < 10 ? lets_encrypt : i < 12 ? zerossl : ca.url();
    pretend_issued_by(client, ca, name, server_of[name]);
  }
  const auto before = everything_in(client.state());
  const std::string copy = contents(folder / "copy.pem");
  const int requests = ca.logged("test-ca");

  // All of them are renewed around the sixtieth day.
  const Time now = std::chrono::floor<hours>(std::chrono::system_clock::now());
  const Time outage = now + 59 * day;
  const std::vector<std::string> words = {"--from",   text_of(now),
                                          "--hooks",  "real",
                                          "--outage", text_of(outage) + "+40",
                                          "--svg",    (folder / "picture.svg").string()};
  std::vector<std::string> json_words = words;
  json_words.emplace_back("--json");
  const Outcome outcome = rehearse(client, json_words);
  INFO(outcome.err);
  CHECK(outcome.exit_code == 1);
  CHECK(everything_in(client.state()) == before);
  CHECK(contents(folder / "copy.pem") == copy);
  CHECK(ca.logged("test-ca") == requests);

  const json::object said = outcome.json();
  CHECK(said.at("fails") == true);
  const json::array& certificates = said.at("certificates").as_array();
  REQUIRE(certificates.size() == 14);
  std::size_t renewals = 0;
  int held_up = 0;
  for (const json::value& each : certificates) {
    const json::object& certificate = each.as_object();
    const std::string name = text(certificate.at("name"));
    CAPTURE(name);
    CHECK(certificate.at("fails") == false);  // the hook is no fault of the certificate
    renewals += renewals_of(certificate);
    const json::array& lives = certificate.at("certificates").as_array();
    REQUIRE(lives.size() == renewals_of(certificate) + 1);
    CHECK(lives.front().at("present") == true);
    std::chrono::seconds least = hours(24 * 365);
    for (std::size_t i = 1; i < lives.size(); ++i) {
      const Time from = time_of(lives[i].at("from"));
      CHECK(text(lives[i].at("server")) == server_of[name]);
      CHECK_FALSE((from >= outage && from < outage + hours(40)));
      const auto* terms = culmen::ca_terms_at(culmen::known_ca_terms(), server_of[name], "", from);
      hours expected = 90 * day;
      if (terms) expected = std::chrono::duration_cast<hours>(terms->certificate_lifetime);
      if (server_of[name] == zerossl)
        expected = std::min(expected, std::chrono::duration_cast<hours>(culmen::longest_public_lifetime(from)));
      CHECK(lifetime_of(lives[i]) == expected);
      const auto left = std::chrono::floor<std::chrono::seconds>(time_of(lives[i - 1].at("until")) - from);
      // At a third of the lifetime, with a random part before, and the time to the next run and the outage after.
      const hours whole = lifetime_of(lives[i - 1]);
      CHECK(left < whole * 40 / 100);
      CHECK(left > whole / 3 - whole / 50 - hours(12) - (i == 1 ? hours(40 + 24) : hours(0)));
      least = std::min(least, left);
    }
    CHECK(std::abs(certificate.at("least_margin_seconds").as_int64() - least.count()) <= 1);
    for (const json::value& trouble : certificate.at("troubles").as_array()) {
      const Time from = time_of(trouble.at("from"));
      CHECK(from >= outage);
      CHECK(from < outage + hours(64));
      CHECK(trouble.at("in_outage") == true);
      REQUIRE(trouble.as_object().contains("until"));
      if (trouble.at("attempts").as_int64() > 0) ++held_up;
    }
  }
  CHECK(held_up > 0);

  // Every renewal had its hook, in batches; the third call failed, and came again with the next run.
  const json::array& calls = said.at("hooks").as_array();
  REQUIRE(calls.size() >= 4);
  std::multiset<std::string> named;
  for (std::size_t i = 0; i < calls.size(); ++i) {
    CHECK(calls[i].as_object().contains("failed") == (i == 2));
    if (i == 2) {
      CHECK(contains(text(calls[i].at("failed")), "the third call"));
      continue;
    }
    const std::string ids = text(calls[i].at("names"));
    for (std::size_t at = 0; at < ids.size(); at = std::min(ids.find(' ', at), ids.size() - 1) + 1)
      named.insert(ids.substr(at, ids.find(' ', at) - at));
  }
  CHECK(named.size() == renewals);
  CHECK(contains(text(calls[3].at("names")), text(calls[2].at("names")).substr(0, 12)));
  std::ifstream lines(log);
  std::size_t logged = 0;
  for (std::string line; std::getline(lines, line); ++logged) {
    CHECK(line.starts_with("1 /"));
    CHECK_FALSE(contains(line, client.state().string()));
  }
  CHECK(logged == calls.size());
  const std::string picture = contents(folder / "picture.svg");
  for (const auto& [name, server] : server_of) CHECK(contains(picture, ">" + name + "<"));

  // The same for people. The seed is the same, so all of it is.
  fs::remove(log);
  const Outcome spoken = rehearse(client, words);
  INFO(spoken.out);
  CHECK(spoken.exit_code == 1);
  for (const json::value& each : certificates) {
    const std::string name = text(each.at("name"));
    const std::size_t line = spoken.out.find("\n" + name + " ");
    REQUIRE(line != std::string::npos);
    const std::string row = spoken.out.substr(line + 1, spoken.out.find('\n', line + 1) - line - 1);
    CAPTURE(row);
    CHECK(contains(row, " " + std::to_string(renewals_of(each.as_object())) + "  "));
    CHECK(contains(row, text(each.at("certificates").as_array().back().at("from")).substr(0, 10)));
    CHECK(contains(row, "on " + text(each.at("least_margin_at")).substr(0, 10)));
  }
  CHECK(contains(spoken.out, "Held up, without harm:"));
  CHECK(contains(spoken.out, "Would fail:"));
  CHECK(contains(spoken.out, "call 3 failed"));
  CHECK(contains(spoken.out, hook.string() + ": " + std::to_string(calls.size()) + " calls, 1 failed"));
}

TEST_CASE("rehearse: no socket is opened") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  pretend_issued_by(client, ca, "a.example", lets_encrypt);
  const std::vector<std::string> command = {culmen_path(),           "rehearse", "--dir",
                                            client.state().string(), "--for",    "90d"};
  const Outcome outcome = run_without_sockets(command);
  CHECK_MESSAGE(outcome.exit_code == 0, outcome.err);
  CHECK(contains(outcome.out, "a.example"));
  // What asks a CA is killed (SIGSYS).
  CHECK(run_without_sockets(client.command(client.issue_words({"b.example"}))).exit_code == 128 + SIGSYS);
}

TEST_CASE("rehearse: a private CA keeps its lifetime, and a timer that is too slow is found") {
  const TestCaProcess ca({"--lifetime", "864000"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const json::object said = rehearse(client, {"--for", "60d", "--json"}).json();
  CHECK(said.at("fails") == false);
  for (const json::value& life : said.at("certificates").at(0).at("certificates").as_array())
    CHECK(lifetime_of(life) == 10 * day);
  CHECK(renewals_of(said.at("certificates").at(0).as_object()) >= 7);

  const Outcome slow = rehearse(client, {"--for", "60d", "--every", "360"});
  CHECK(slow.exit_code == 1);
  CHECK(contains(slow.out, "Would fail:"));
  CHECK(contains(slow.out, "a.example: expired 4 times, the last time "));
}

TEST_CASE("rehearse: the first renewal is when culmen list says") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const Outcome listed = run({culmen_path(), "list", "--dir", client.state().string(), "--json"});
  const Time due = time_of(listed.json().at("certificates").at(0).at("due"));
  const json::object said = rehearse(client, {"--for", "80d", "--json"}).json();
  const json::array& lives = said.at("certificates").at(0).at("certificates").as_array();
  REQUIRE(lives.size() == 2);
  CHECK(time_of(lives[1].at("from")) >= due);
  CHECK(time_of(lives[1].at("from")) <= due + hours(13));
}

TEST_CASE("rehearse: that validation succeeds is an assumption, and what failed before is shown") {
  const TestCaProcess ca({"--block", "blocked.example"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  REQUIRE(client.issue({"blocked.example"}).exit_code != 0);
  const Outcome spoken = rehearse(client, {"--for", "30d"});
  INFO(spoken.out);
  CHECK(spoken.exit_code == 0);
  CHECK(contains(spoken.out, "Validation is assumed to succeed"));
  CHECK(contains(spoken.out, "\n  blocked.example: never issued; 1 attempt failed so far: "));
  CHECK_FALSE(contains(spoken.out, "\n  a.example: "));
  const json::object said = rehearse(client, {"--for", "30d", "--json"}).json();
  const json::array& certificates = said.at("certificates").as_array();
  REQUIRE(certificates.size() == 2);
  CHECK(certificates[0].at("never_issued") == false);
  CHECK_FALSE(certificates[0].as_object().contains("last_error"));
  CHECK(certificates[1].at("never_issued") == true);
  CHECK(certificates[1].at("failures_so_far") == 1);
  CHECK(contains(text(certificates[1].at("last_error")), "rejectedIdentifier"));
}

TEST_CASE("rehearse: certificates of a minute are for culmen run, and not for a timer") {
  const TestCaProcess ca({"--lifetime", "60"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const std::string from = text_of(std::chrono::floor<hours>(std::chrono::system_clock::now()));
  const Outcome timer = rehearse(client, {"--from", from, "--for", "3d"});
  INFO(timer.out);
  CHECK(timer.exit_code == 1);
  CHECK(contains(timer.out, "a.example: a certificate lives "));
  CHECK(contains(timer.out, "too short for a run every 12 h: renew it with culmen run"));
  CHECK_FALSE(contains(timer.out, "never valid"));

  const json::object said = rehearse(client, {"--for", "1h", "--every", "0", "--json"}).json();
  const json::object& certificate = said.at("certificates").at(0).as_object();
  CHECK(renewals_of(certificate) >= 100);
  // It may have expired before the rehearsal began, not in it.
  const json::array& lives = certificate.at("certificates").as_array();
  for (std::size_t i = 2; i < lives.size(); ++i) {
    CHECK(time_of(lives[i].at("from")) < time_of(lives[i - 1].at("until")));
    CHECK(time_of(lives[i].at("until")) - time_of(lives[i].at("from")) <= std::chrono::seconds(60));
  }
  const Outcome long_one = rehearse(client, {"--every", "0"});
  CHECK(long_one.exit_code != 0);
  CHECK(contains(long_one.err, "rehearse a shorter time"));
}

TEST_CASE("rehearse: an outage in which a certificate expires did harm") {
  const TestCaProcess ca({"--lifetime", "864000"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const Time now = std::chrono::floor<hours>(std::chrono::system_clock::now());
  const Outcome outcome = rehearse(client, {"--for", "30d", "--outage", text_of(now + 3 * day) + "+240"});
  INFO(outcome.out);
  CHECK(outcome.exit_code == 1);
  CHECK_FALSE(contains(outcome.out, "Held up, without harm:"));
  const std::size_t fails = outcome.out.find("Would fail:");
  REQUIRE(fails != std::string::npos);
  CHECK(contains(outcome.out.substr(fails), " attempts failed, issued "));
  CHECK(contains(outcome.out.substr(fails), "a.example: expired, and replaced "));
}

TEST_CASE("rehearse: a hook that always fails is said once, and the place of the picture is checked first") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const fs::path log = folder / "log";
  const fs::path hook = hook_file(folder,
                                  "test -n \"$CULMEN_REHEARSAL\" || exit 0\n"
                                  "echo >> " +
                                      log.string() + "\nexit 3\n");
  REQUIRE(client.issue({"a.example"}, {"--deploy-hook", hook.string()}).exit_code == 0);
  const std::pair<fs::path, const char*> wrong[] = {
      {folder / "none" / "picture.svg", "there is no folder"},
      {folder.path(), "is a folder"},
  };
  for (const auto& [path, why] : wrong) {
    const Outcome outcome = rehearse(client, {"--for", "70d", "--hooks", "real", "--svg", path.string()});
    CHECK(outcome.exit_code == (path == folder.path() ? 2 : 1));
    CHECK(contains(outcome.err, "--svg: "));
    CHECK(contains(outcome.err, why));
    CHECK(outcome.out.empty());
    CHECK_FALSE(fs::exists(log));
  }
  const Outcome outcome = rehearse(client, {"--for", "70d", "--hooks", "real"});
  INFO(outcome.out);
  CHECK(outcome.exit_code == 1);
  const auto calls = static_cast<std::size_t>(std::ranges::count(contents(log), '\n'));
  REQUIRE(calls > 5);
  const std::string times = std::to_string(calls);
  CHECK(contains(outcome.out, hook.string() + ": " + times + " of " + times + " calls failed, from 20"));
  CHECK(contains(outcome.out, "; the first, call 1 for a.example: it failed with exit code 3"));
  const std::string::size_type said = outcome.out.find("exit code 3");
  CHECK(outcome.out.find("exit code 3", said + 1) == std::string::npos);
}

TEST_CASE("rehearse: hooks are counted and not run, unless they are wanted") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const fs::path log = folder / "log";
  const fs::path hook = hook_file(folder, "echo \"$CULMEN_REHEARSAL\" >> " + log.string() + "\n");
  const Outcome issued = client.issue({"a.example"}, {"--deploy-hook", hook.string(), "--pre-hook", hook.string()});
  REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
  fs::remove(log);
  const Outcome counted = rehearse(client, {"--for", "90d"});
  CHECK(counted.exit_code == 0);
  CHECK_FALSE(fs::exists(log));
  CHECK(contains(counted.out, "Hooks, not run"));
  CHECK(contains(counted.out, hook.string() + ": 2 calls"));
  REQUIRE(rehearse(client, {"--for", "90d", "--hooks", "real"}).exit_code == 0);
  CHECK(contents(log) == "1\n1\n");

  // A hook before the order that fails keeps it from being made.
  std::ofstream(hook) << "#!/bin/sh\nexit 5\n";
  const Outcome refused = rehearse(client, {"--for", "90d", "--hooks", "real"});
  CHECK(refused.exit_code == 1);
  CHECK(contains(refused.out, "not issued until the end"));
  CHECK(contains(refused.out, "exit code 5"));
}

TEST_CASE("rehearse: what was typed wrongly, and an empty state") {
  const TestCaProcess ca;
  const Client client(ca);
  const Outcome none = rehearse(client, {});
  CHECK(none.exit_code == 1);
  CHECK(contains(none.err, "there is no state folder"));
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const std::vector<std::vector<std::string>> wrong = {
      {"b.example"},
      {"--for", "2"},
      {"--for", "6y"},
      {"--for", "43801h"},
      {"--for", "0h"},
      {"--from", "2027-02-30"},
      {"--from", "2027-02-3"},
      {"--outage", "2027-01-01"},
      {"--outage", "2027-01-01+0"},
      {"--outage", "2027-01-01+4h"},
      {"--outage", "2027-01-01+4@nosuchca"},
      {"--hooks", "maybe"},
  };
  for (const std::vector<std::string>& words : wrong) {
    CAPTURE(words.back());
    CHECK(rehearse(client, words).exit_code == 2);
  }
  CHECK(rehearse(client, {"--for", "2w", "--outage", "2027-01-01T06:30+4@letsencrypt", "--outages", "3"}).exit_code ==
        0);
}
