// culmen check: what it finds, good and bad, before anything is ordered.
#include <doctest/doctest.h>

#include <sys/stat.h>

#include <fstream>
#include <string>
#include <vector>

#include "support/culmen_program.hpp"
#include "support/dns_server.hpp"
#include "support/file_server.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "support/zone_hook.hpp"

using namespace cli_test;
using namespace culmen;

namespace {

constexpr std::uint16_t caa_type = 257, a_type = 1;

/// A CA that says how CAA records call it, and a DNS that has good.example.
struct CheckBench {
  explicit CheckBench(std::vector<std::string> options = {}) : ca(with_identity(std::move(options))), client(ca) {
    dns.add_address("good.example", "127.0.0.1");
  }
  static std::vector<std::string> with_identity(std::vector<std::string> options) {
    options.insert(options.end(), {"--dns-persist", "account-url"});
    return options;
  }
  Outcome check(const std::vector<std::string>& words) const {
    std::vector<std::string> all = {"check", "--json", "--dns-server", dns.address(), "--public-port", ca.http_port()};
    all.insert(all.end(), words.begin(), words.end());
    return client.run(all);
  }
  /// With a responder of its own.
  Outcome check_names(const std::vector<std::string>& names, const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"--http-port", ca.http_port()};
    for (const std::string& name : names) words.insert(words.end(), {"-d", name});
    words.insert(words.end(), more.begin(), more.end());
    return check(words);
  }

  test::DnsServer dns;
  TestCaProcess ca;
  Client client;
  culmen::test::TemporaryFolder folder;
};

/// "verdict: found" of the first finding of that check about that subject; about any, if that is empty.
std::string finding(const Outcome& outcome, const std::string& check, const std::string& subject = {}) {
  const boost::json::object said = outcome.json();
  if (!said.contains("findings")) return "no findings: " + outcome.err + outcome.out;
  for (const boost::json::value& value : said.at("findings").as_array()) {
    const boost::json::object& one = value.as_object();
    if (text(one.at("check")) == check && (subject.empty() || contains(text(one.at("subject")), subject)))
      return text(one.at("verdict")) + ": " + text(one.at("found"));
  }
  return "no finding";
}

}  // namespace

TEST_CASE("check: all is well, and nothing was made or ordered") {
  const CheckBench bench;
  const Outcome outcome = bench.check_names({"good.example"});
  INFO(outcome.out);
  CHECK(outcome.exit_code == 0);
  CHECK(contains(finding(outcome, "folder"), "good: does not exist yet"));
  CHECK(finding(outcome, "ca") == "good: answers");
  CHECK(finding(outcome, "clock") == "good: the clock agrees with the CA's");
  CHECK(finding(outcome, "account") == "good: there is none here yet");
  CHECK(
      contains(finding(outcome, "limits"), "good: certificates of this storage in the last week: 0 for good.example"));
  CHECK(finding(outcome, "dns", "good.example") == "good: 127.0.0.1");
  CHECK(contains(finding(outcome, "caa", "good.example"), "good: there are no CAA records"));
  CHECK(finding(outcome, "http", "good.example") == "good: port 80 of 127.0.0.1 gives the answer");
  CHECK_FALSE(fs::exists(bench.client.state()));
  CHECK(bench.ca.logged("new-order") == 0);
  CHECK(bench.ca.logged("new-account") == 0);
}

TEST_CASE("check: names that the DNS does not have, or has no address of, or cannot say") {
  CheckBench bench;
  bench.dns.add_caa("bare.example", 0, "iodef", "mailto:a@bare.example");
  bench.dns.break_answer("broken.example", a_type, 2);
  bench.dns.add_alias("www.example", "good.example");
  const Outcome outcome = bench.check_names({"good.example", "dead.example", "bare.example", "www.example"});
  CHECK(outcome.exit_code == 4);
  CHECK(finding(outcome, "dns", "dead.example") == "refused: the DNS has no such name");
  CHECK(finding(outcome, "dns", "bare.example") == "refused: it has neither an A nor an AAAA record");
  CHECK(finding(outcome, "dns", "www.example") == "good: 127.0.0.1, as alias of good.example");
  const Outcome broken = bench.check_names({"broken.example"});
  CHECK(broken.exit_code == 3);
  CHECK(finding(broken, "dns", "broken.example") == "temporary: the DNS answers with SERVFAIL");
  bench.dns.rcode = 5;
  CHECK(contains(finding(bench.check_names({"good.example"}), "dns"), "temporary: the DNS answers with REFUSED"));
  // A DNS server that is not there: names are not asked for one by one, and addresses need none.
  const Outcome absent = bench.client.run(
      {"check", "--json", "--dns-server", "127.0.0.1:" + std::to_string(free_port()), "--public-port",
       bench.ca.http_port(), "--http-port", bench.ca.http_port(), "-d", "good.example,b.example,127.0.0.1"});
  CHECK(absent.exit_code == 3);
  CHECK(contains(finding(absent, "dns", "good.example"), "temporary: asking the DNS server 127.0.0.1"));
  CHECK(finding(absent, "dns", "b.example") == "no finding");
  CHECK(finding(absent, "http", "127.0.0.1") == "good: port 80 of 127.0.0.1 gives the answer");
}

TEST_CASE("check: CAA records") {
  CheckBench bench;
  bench.dns.add_caa("good.example", 0, "issue", "ca.culmen.example");
  bench.dns.add_caa("example.org", 0, "issue", "else.example");
  bench.dns.add_caa("example.net", 0, "issue", "ca.culmen.example; validationmethods=dns-01");
  bench.dns.break_answer("example.com", caa_type, 2);
  for (const char* name : {"a.example.org", "a.example.net", "a.example.com"}) bench.dns.add_address(name, "127.0.0.1");
  const Outcome outcome = bench.check_names({"good.example", "a.example.org", "a.example.net", "a.example.com"});
  CHECK(outcome.exit_code == 4);
  CHECK(finding(outcome, "caa", "good.example") == "good: the records at good.example allow this CA");
  CHECK(finding(outcome, "caa", "a.example.org") ==
        "refused: the records at example.org forbid it: they allow only else.example");
  CHECK(finding(outcome, "caa", "a.example.net") ==
        "refused: the records at example.net forbid it: it allows only the challenges dns-01, not http-01");
  CHECK(contains(finding(outcome, "caa", "a.example.com"), "temporary: asking the DNS for CAA records of example.com"));
}

TEST_CASE("check: the answer does not come back") {
  CheckBench bench;
  SUBCASE("nobody is there") {
    const Outcome outcome = bench.check({"-d", "good.example", "--http-port", std::to_string(free_port())});
    CHECK(outcome.exit_code == 4);
    CHECK(contains(finding(outcome, "http"), "refused: port 80 of 127.0.0.1 does not give the answer"));
  }
  SUBCASE("another server is there") {
    const FileServer other(static_cast<std::uint16_t>(std::stoi(bench.ca.http_port())), bench.folder.path());
    const Outcome outcome = bench.check({"-d", "good.example", "--http-port", std::to_string(free_port())});
    CHECK(outcome.exit_code == 4);
    CHECK(finding(outcome, "http") == "refused: port 80 of 127.0.0.1 gives status 404 in place of the answer");
  }
  SUBCASE("a server says nothing: that is waited for once") {
    const SilentServer silent;
    bench.dns.add_address("other.example", "127.0.0.1");
    const Outcome outcome = bench.client.run({"check", "--json", "--dns-server", bench.dns.address(), "--public-port",
                                              std::to_string(silent.port()), "--http-port", bench.ca.http_port(), "-d",
                                              "good.example,other.example"});
    CHECK(outcome.exit_code == 4);
    CHECK(contains(finding(outcome, "http", "good.example"), "refused: port 80 of 127.0.0.1 does not give the answer"));
    CHECK(contains(finding(outcome, "http", "other.example"), "refused: port 80 of 127.0.0.1 was not tried again"));
  }
  SUBCASE("only the server of this machine is asked, or none") {
    const std::string port = std::to_string(free_port());
    const Outcome local = bench.check({"-d", "good.example", "--http-port", port, "--from-here", "local"});
    CHECK(local.exit_code == 0);
    CHECK(contains(finding(local, "http"), "good: the server of this machine (127.0.0.1, port " + port));
    const Outcome none = bench.check({"-d", "good.example", "--http-port", port, "--from-here", "no"});
    CHECK(none.exit_code == 0);
    CHECK(contains(finding(none, "http"), "was not tried"));
  }
}

TEST_CASE("check: a web root that is served, and one that is not") {
  const CheckBench bench;
  fs::create_directories(bench.folder.path() / "served");
  fs::create_directories(bench.folder.path() / "other");
  const FileServer server(static_cast<std::uint16_t>(std::stoi(bench.ca.http_port())), bench.folder.path() / "served");
  const Outcome good = bench.check({"-d", "good.example", "--webroot", (bench.folder.path() / "served").string()});
  CHECK(good.exit_code == 0);
  CHECK(finding(good, "http") == "good: port 80 of 127.0.0.1 gives the answer");
  CHECK(fs::is_empty(bench.folder.path() / "served" / ".well-known" / "acme-challenge"));
  const Outcome bad = bench.check({"-d", "good.example", "--webroot", (bench.folder.path() / "other").string()});
  CHECK(bad.exit_code == 4);
  CHECK(finding(bad, "http") == "refused: port 80 of 127.0.0.1 gives status 404 in place of the answer");
  const std::string nowhere = (bench.folder.path() / "none").string();
  const Outcome absent = bench.check({"-d", "good.example", "--webroot", nowhere});
  CHECK(absent.exit_code == 1);
  CHECK(finding(absent, "webroot", nowhere) == "machine: --webroot: there is no folder " + nowhere);
  CHECK(finding(absent, "dns") == "good: 127.0.0.1");
  CHECK_FALSE(fs::exists(nowhere));
}

TEST_CASE("check: a port in use, unless a pre-hook frees it") {
  const CheckBench bench;
  const FileServer other(static_cast<std::uint16_t>(std::stoi(bench.ca.http_port())), bench.folder.path());
  const Outcome used = bench.check_names({"good.example"});
  CHECK(used.exit_code == 1);
  CHECK(contains(finding(used, "port"), "machine: "));
  CHECK(contains(finding(used, "port"), "in use"));
  const std::string hook =
      test::write_script(bench.folder.path() / "free-port", "touch " + (bench.folder.path() / "ran").string() + "\n");
  const Outcome freed = bench.check_names({"good.example"}, {"--pre-hook", hook});
  CHECK(freed.exit_code == 0);
  CHECK(contains(finding(freed, "port"), "note: "));
  CHECK_FALSE(fs::exists(bench.folder.path() / "ran"));
}

TEST_CASE("check: outputs and hooks") {
  const CheckBench bench;
  const std::string folder = bench.folder.path().string();
  const std::string hook = test::write_script(bench.folder.path() / "hook", "exit 0\n");
  const Outcome good = bench.check_names({"good.example"}, {"--out", folder + "/chain.pem", "--deploy-hook", hook});
  CHECK(good.exit_code == 0);
  CHECK(finding(good, "output") == "good: --out can be written");
  CHECK(finding(good, "hook") == "good: can be run");
  const Outcome bad = bench.check_names(
      {"good.example"}, {"--out", folder + "/none/chain.pem", "--deploy-hook", folder + "/none", "--combined", folder});
  CHECK(bad.exit_code == 1);
  CHECK(contains(finding(bad, "output", "chain.pem"), "machine: --out: there is no folder"));
  CHECK(contains(finding(bad, "hook"), "machine: cannot be run"));
  // What is wrong with one is not said of another.
  const Outcome group = bench.check_names({"good.example"}, {"--out", folder + "/chain.pem", "--key-group", "no-such"});
  CHECK(group.exit_code == 1);
  CHECK(contains(finding(group, "group", "no-such"), "machine: --key-group: there is no group"));
  CHECK(finding(group, "output") == "good: --out can be written");
  const Outcome file = cli_test::run({culmen_path(), "check", "--json", "-d", "good.example", "--dir", hook, "--server",
                                      bench.ca.url(), "--server-ca", bench.ca.root_file(), "--dns-server",
                                      bench.dns.address(), "--from-here", "no", "--http-port", bench.ca.http_port()});
  CHECK(file.exit_code == 1);
  CHECK(contains(file.out + file.err, "Not a directory"));
}

TEST_CASE("check: a CA that is not there, and one that is not trusted") {
  const CheckBench bench;
  const std::vector<std::string> rest = {
      "--dir",       bench.client.state().string(), "--json",        "--dns-server",       bench.dns.address(),
      "--http-port", bench.ca.http_port(),          "--public-port", bench.ca.http_port(), "-d",
      "good.example"};
  const auto at = [&](std::vector<std::string> words) {
    std::vector<std::string> command = {culmen_path(), "check"};
    command.insert(command.end(), words.begin(), words.end());
    command.insert(command.end(), rest.begin(), rest.end());
    return cli_test::run(command);
  };
  const Outcome absent = at({"--server", "https://127.0.0.1:" + std::to_string(free_port()) + "/directory"});
  CHECK(absent.exit_code == 3);
  CHECK(contains(finding(absent, "ca"), "temporary: "));
  // What does not need the CA is looked at all the same.
  CHECK(finding(absent, "http") == "good: port 80 of 127.0.0.1 gives the answer");
  const Outcome untrusted = at({"--server", bench.ca.url()});
  CHECK(untrusted.exit_code == 1);
  CHECK(contains(finding(untrusted, "ca"), "machine: "));
}

TEST_CASE("check: a certificate that is there is checked with its settings, account and limits") {
  CheckBench bench;
  REQUIRE(bench.client.issue({"good.example"}).exit_code == 0);
  const Outcome outcome = bench.check({"good.example"});
  INFO(outcome.out);
  CHECK(outcome.exit_code == 0);
  CHECK(contains(finding(outcome, "account"), " is valid"));
  CHECK(contains(finding(outcome, "limits"), "1 for good.example"));
  CHECK(finding(outcome, "http") == "good: port 80 of 127.0.0.1 gives the answer");
  CHECK(bench.ca.logged("new-order") == 1);
  // Names that are given are looked at beside its own.
  const Outcome more = bench.check({"good.example", "-d", "dead.example"});
  CHECK(more.exit_code == 4);
  CHECK(finding(more, "dns", "good.example") == "good: 127.0.0.1");
  CHECK(finding(more, "dns", "dead.example") == "refused: the DNS has no such name");

  REQUIRE(bench.client.run({"account", "deactivate"}).exit_code == 0);
  CHECK(finding(bench.check({"good.example"}), "account") == "good: there is none here yet");
  const Outcome unknown = bench.check({"other.example"});
  CHECK(unknown.exit_code == 2);
}

TEST_CASE("check: wildcards through the DNS need no address, and a hook that can be run") {
  CheckBench bench;
  const std::string hook = test::make_zone_hook(bench.folder.path());
  const Outcome good = bench.check({"-d", "*.example.org", "--challenge", "dns-01", "--dns-hook", hook});
  CHECK(good.exit_code == 0);
  CHECK(contains(finding(good, "dns"), "good: it has no address, and dns-01 needs none"));
  CHECK(finding(good, "hook", "--dns-hook") == "good: can be run");
  CHECK_FALSE(fs::exists(bench.folder.path() / "log"));
  bench.dns.add_caa("example.org", 0, "issuewild", ";");
  const Outcome forbidden = bench.check({"-d", "*.example.org", "--challenge", "dns-01", "--dns-hook", hook});
  CHECK(forbidden.exit_code == 4);
  CHECK(contains(finding(forbidden, "caa"), "refused: the records at example.org forbid it: they allow no CA"));
}

TEST_CASE("check: for people, each finding is a line, with what to do below it") {
  const CheckBench bench;
  const Outcome outcome =
      bench.client.run({"check", "-d", "dead.example", "--dns-server", bench.dns.address(), "--public-port",
                        bench.ca.http_port(), "--http-port", bench.ca.http_port()});
  CHECK(outcome.exit_code == 4);
  CHECK(contains(outcome.out, "ok    this machine: clock: the clock agrees with the CA's\n"));
  CHECK(contains(outcome.out, "WRONG dead.example: dns: the DNS has no such name\n      Add an A or AAAA record"));
  CHECK_FALSE(contains(outcome.out, "Nothing was found"));
}
