#include <doctest/doctest.h>

#include "dns/caa.hpp"
#include "support/dns_server.hpp"
#include "support/run_flow.hpp"

using namespace culmen;
using namespace culmen::dns;

namespace {

CaaRecord record(const std::string& tag, const std::string& value, bool critical = false) {
  CaaRecord made;
  made.critical = critical;
  made.tag = tag;
  made.value = value;
  return made;
}

RelevantCaa records(std::vector<CaaRecord> all) {
  RelevantCaa caa;
  caa.owner = "example.org";
  caa.records = std::move(all);
  return caa;
}

CaaQuestion question(bool wildcard = false) {
  CaaQuestion asked;
  asked.identities = {"ca.example", "other-name.example"};
  asked.account = "https://ca.example/acct/1";
  asked.challenge = "http-01";
  asked.wildcard = wildcard;
  return asked;
}

std::string obstacle(std::vector<CaaRecord> all, bool wildcard = false) {
  return obstacle_of(records(std::move(all)), question(wildcard));
}

std::vector<Server> servers_of(const test::DnsServer& dns) {
  const Result<Server> server = parse_server(dns.address());
  REQUIRE(server);
  return {*server};
}

}  // namespace

TEST_CASE("CAA: who may issue") {
  CHECK(obstacle({}) == "");
  CHECK(obstacle({record("iodef", "mailto:a@example.org")}) == "");
  CHECK(obstacle({record("issue", "ca.example")}) == "");
  CHECK(obstacle({record("issue", " Other-Name.example. ; ")}) == "");
  CHECK(obstacle({record("issue", "else.example"), record("issue", "ca.example")}) == "");
  CHECK(obstacle({record("issue", "else.example"), record("issue", "more.example")}) ==
        "they allow only else.example, more.example");
  CHECK(obstacle({record("issue", ";")}) == "they allow no CA");
  CHECK(obstacle({record("issue", "")}) == "they allow no CA");
}

TEST_CASE("CAA: wildcards have their own property") {
  CHECK(obstacle({record("issue", "ca.example"), record("issuewild", ";")}) == "");
  CHECK(obstacle({record("issue", "ca.example"), record("issuewild", ";")}, true) == "they allow no CA");
  CHECK(obstacle({record("issue", ";"), record("issuewild", "ca.example")}, true) == "");
  CHECK(obstacle({record("issue", "ca.example")}, true) == "");
  CHECK(obstacle({record("issuewild", ";")}) == "");
}

TEST_CASE("CAA: properties that are critical and not known forbid everything") {
  CHECK(obstacle({record("issue", "ca.example"), record("tbs", "x", true)}) != "");
  CHECK(obstacle({record("issue", "ca.example"), record("tbs", "x")}) == "");
  CHECK(obstacle({record("issue", "ca.example", true)}) == "");
}

TEST_CASE("CAA: account and validation methods (RFC 8657)") {
  CHECK(obstacle({record("issue", "ca.example; accounturi=https://ca.example/acct/1")}) == "");
  CHECK(obstacle({record("issue", "ca.example; accounturi=https://ca.example/acct/2")}).find("acct/2") !=
        std::string::npos);
  CHECK(obstacle({record("issue", "ca.example; validationmethods=dns-01,http-01")}) == "");
  CHECK(obstacle({record("issue", "ca.example;validationmethods=dns-01")}) ==
        "it allows only the challenges dns-01, not http-01");
  // Another record may allow it.
  CHECK(obstacle({record("issue", "ca.example;validationmethods=dns-01"), record("issue", "ca.example")}) == "");
  CaaQuestion no_account = question();
  no_account.account.clear();
  CHECK(obstacle_of(records({record("issue", "ca.example; accounturi=https://ca.example/acct/1")}), no_account) != "");
}

TEST_CASE("CAA: the wire form") {
  const Bytes whole = {128, 5, 'I', 's', 's', 'u', 'e', 'c', 'a'};
  const std::optional<CaaRecord> parsed = parse_caa(whole);
  REQUIRE(parsed);
  CHECK(*parsed == record("issue", "ca", true));
  CHECK_FALSE(parse_caa(Bytes{0}));
  CHECK_FALSE(parse_caa(Bytes{0, 0}));
  CHECK_FALSE(parse_caa(Bytes{0, 9, 'i'}));
}

TEST_CASE("CAA: the nearest name above counts, and aliases are followed") {
  test::DnsServer dns;
  dns.add_caa("example.org", 0, "issue", "ca.example");
  dns.add_caa("b.example.org", 0, "issue", ";");
  dns.add_alias("c.example.org", "b.example.org");
  dns.add_address("a.example.org", "192.0.2.1");
  const std::vector<Server> servers = servers_of(dns);
  const Result<RelevantCaa> above = test::run_flow(find_caa(servers, "*.x.a.example.org"));
  REQUIRE(above);
  CHECK(above->owner == "example.org");
  const Result<RelevantCaa> own = test::run_flow(find_caa(servers, "b.example.org"));
  REQUIRE(own);
  CHECK(own->owner == "b.example.org");
  const Result<RelevantCaa> alias = test::run_flow(find_caa(servers, "c.example.org"));
  REQUIRE(alias);
  CHECK(alias->records == own->records);
  const Result<RelevantCaa> none = test::run_flow(find_caa(servers, "example.net"));
  REQUIRE(none);
  CHECK(none->owner == "");
}

TEST_CASE("CAA: an answer that cannot be had is an error, as it is for CAs") {
  test::DnsServer dns;
  dns.break_answer("example.org", 257, 2);
  const Result<RelevantCaa> failed = test::run_flow(find_caa(servers_of(dns), "a.example.org"));
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code() == Errc::bad_response);
}
