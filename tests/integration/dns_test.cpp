// dns-01, dns-account-01 and dns-persist-01, end to end: the test CA asks a DNS server over a socket.
#include <doctest/doctest.h>

#include <set>
#include <string>
#include <vector>

#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/dns_solver.hpp"
#include "culmen/test_ca.hpp"
#include "support/dns_server.hpp"
#include "support/errors.hpp"
#include "support/local_ca.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "support/zone_hook.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

/// A DNS server, a test CA that asks it, a client with an account.
struct DnsBench {
  explicit DnsBench(TestCaOptions options = {})
      : ca(started(std::move(options))),
        root(folder.write("root.pem", ca->root_pem())),
        client(ca->directory_url(), trusting()),
        account(registered(client)),
        provider(make_dns_provider(
            [this](const std::string& name, const std::string& value) { dns.add_txt(name, value); },
            [this](const std::string& name, const std::string& value) { dns.remove_txt(name, value); })) {}

  std::unique_ptr<TestCa> started(TestCaOptions options) {
    options.dns_server = dns.address();
    auto made = std::make_unique<TestCa>(std::move(options));
    made->start();
    return made;
  }
  ClientOptions trusting() const {
    ClientOptions options;
    options.transport.extra_root_file = root;
    return options;
  }
  std::vector<Identifier> issue(const std::vector<std::string>& names, ChallengeSolver& solver) {
    const IssuedCertificate issued = client.issue(account, IssueRequest(names), solver);
    std::vector<Identifier> covered = Certificate::from_pem(issued.chain_pem).identifiers;
    std::ranges::sort(covered);
    return covered;
  }
  /// The error of an issuance that must fail.
  std::string refusal(const std::vector<std::string>& names, ChallengeSolver& solver) {
    try {
      client.issue(account, IssueRequest(names), solver);
    } catch (const Error& error) {
      return with_problems(error);
    }
    return "none";
  }

  test::TemporaryFolder folder;
  test::DnsServer dns;
  std::unique_ptr<TestCa> ca;
  std::string root;
  blocking::AcmeClient client;
  Account account;
  std::unique_ptr<DnsProvider> provider;
};

std::vector<Identifier> names(const std::vector<std::string>& texts) {
  std::vector<Identifier> result;
  for (const std::string& text : texts) result.push_back(Identifier::dns(text));
  std::ranges::sort(result);
  return result;
}

}  // namespace

TEST_CASE("dns-01: apex and wildcard in one order have two values at one name, and none is left") {
  DnsBench bench;
  DnsSolver solver(*bench.provider);
  bench.dns.add_txt("_acme-challenge.example.org", "someone else's value");
  CHECK(bench.issue({"example.org", "*.example.org", "other.example.org"}, solver) ==
        names({"example.org", "*.example.org", "other.example.org"}));
  CHECK(bench.dns.most_values() == 3);
  CHECK(bench.dns.txt("_acme-challenge.example.org") == std::vector<std::string>{"someone else's value"});
  CHECK(bench.dns.txt("_acme-challenge.other.example.org").empty());
}

TEST_CASE("dns-01 through a hook") {
  DnsBench bench;
  bench.dns.read_zone(bench.folder.path() / "zone");
  DnsHookSolver solver(test::make_zone_hook(bench.folder.path()));
  CHECK(bench.issue({"example.org", "*.example.org"}, solver) == names({"example.org", "*.example.org"}));
  CHECK(bench.dns.most_values() == 2);
  CHECK(std::filesystem::is_empty(bench.folder.path() / "zone"));
}

TEST_CASE("dns-01: a hook that fails ends the issuance, and what was presented is cleaned up") {
  DnsBench bench;
  DnsHookSolver solver(test::write_script(bench.folder.path() / "failing",
                                          "echo \"$1\" >> \"$(dirname \"$0\")/log\"\necho zone is locked\nexit 1\n"));
  const std::string refusal = bench.refusal({"example.org"}, solver);
  CHECK(contains(refusal, "solver_failed"));
  CHECK(contains(refusal, "zone is locked"));
  std::ifstream log(bench.folder.path() / "log");
  const std::string actions(std::istreambuf_iterator<char>(log), {});
  CHECK(actions == "present\ncleanup\n");
}

TEST_CASE("dns-01: wrong and missing values are refused, with what was found") {
  DnsBench bench;
  const auto wrong = make_dns_provider(
      [&bench](const std::string& name, const std::string&) { bench.dns.add_txt(name, "stale value"); }, {});
  DnsSolver solver(*wrong);
  std::string refusal = bench.refusal({"example.org"}, solver);
  CHECK(contains(refusal, "order_invalid"));
  CHECK(contains(refusal, "error:unauthorized"));
  CHECK(contains(refusal, "stale value"));
  const auto nothing = make_dns_provider({}, {});
  DnsSolver idle(*nothing);
  CHECK(contains(bench.refusal({"empty.example.org"}, idle), "no TXT record at _acme-challenge.empty.example.org"));
}

TEST_CASE("dns-01: aliases are followed, in one answer or from one to the next, and not for ever") {
  for (const bool lone : {false, true}) {
    CAPTURE(lone);
    DnsBench bench;
    bench.dns.lone_aliases = lone;
    bench.dns.add_alias("_acme-challenge.example.org", "one.dynamic.example");
    bench.dns.add_alias("one.dynamic.example", "two.dynamic.example");
    const auto elsewhere = make_dns_provider(
        [&bench](const std::string&, const std::string& value) { bench.dns.add_txt("two.dynamic.example", value); },
        [&bench](const std::string&, const std::string& value) { bench.dns.remove_txt("two.dynamic.example", value); });
    DnsSolver solver(*elsewhere);
    CHECK(bench.issue({"example.org"}, solver).size() == 1);
    bench.dns.add_alias("_acme-challenge.loop.example", "back.example");
    bench.dns.add_alias("back.example", "_acme-challenge.loop.example");
    CHECK(bench.refusal({"loop.example"}, solver) != "none");
  }
}

TEST_CASE("dns-01: long answers come by TCP, lost questions are asked again") {
  DnsBench bench;
  for (int i = 0; i < 90; ++i)
    bench.dns.add_txt("_acme-challenge.example.org", std::string(43, 'x') + std::to_string(i));
  bench.dns.lost = 1;
  DnsSolver solver(*bench.provider);
  CHECK(bench.issue({"example.org"}, solver).size() == 1);
}

TEST_CASE("dns-01: a DNS server that fails is a dns error") {
  TestCaOptions options;
  options.validation_timeout = 1s;
  DnsBench bench(options);
  DnsSolver solver(*bench.provider);
  bench.dns.rcode = 2;  // SERVFAIL
  CHECK(contains(bench.refusal({"a.example.org"}, solver), "error:dns: looking up _acme-challenge.a.example.org"));
  bench.dns.rcode = 0;
  bench.dns.garbage = true;
  CHECK(contains(bench.refusal({"b.example.org"}, solver), "no DNS message"));
  bench.dns.garbage = false;
  bench.dns.lost = 1000;
  CHECK(contains(bench.refusal({"c.example.org"}, solver), "does not answer"));
}

TEST_CASE("dns-account-01 has a name of its own for each account") {
  TestCaOptions options;
  options.dns_account = true;
  DnsBench bench(options);
  DnsSolverOptions for_account;
  for_account.type = "dns-account-01";
  DnsSolver solver(*bench.provider, for_account);
  CHECK(bench.issue({"example.org", "*.example.org"}, solver) == names({"example.org", "*.example.org"}));
  CHECK(bench.dns.asked() == std::set<std::string>{DnsAccount01Helper::record_name(bench.account.url, "example.org")});
  CHECK(bench.dns.empty());

  DnsBench without;
  DnsSolver unwanted(*without.provider, for_account);
  const std::string refusal = without.refusal({"example.org"}, unwanted);
  CHECK(contains(refusal, "not_offered"));
  CHECK(contains(refusal, "the CA offers http-01, dns-01"));
}

TEST_CASE("dns-persist-01: one record, issued from again and again, in both dialects") {
  for (const auto dialect : {TestCaOptions::DnsPersist::account_url, TestCaOptions::DnsPersist::account_hash}) {
    TestCaOptions options;
    options.dns_persist = dialect;
    DnsBench bench(options);
    int published = 0;
    DnsPersistOptions with_wildcard;
    with_wildcard.record.wildcard = true;
    DnsPersistSolver solver(
        bench.client.directory(), bench.account,
        [&](const ChallengeContext&, const TxtRecord& record) {
          ++published;
          bench.dns.add_txt(record.name, record.value);
        },
        with_wildcard);
    CHECK(bench.issue({"example.org", "*.example.org"}, solver).size() == 2);
    CHECK(published == 1);

    DnsPersistSolver set_already(bench.client.directory(), bench.account);
    CHECK(bench.issue({"example.org", "*.example.org"}, set_already).size() == 2);
    CHECK(bench.dns.txt("_validation-persist.example.org").size() == 1);

    // Another account's record is not ours.
    const Account other = bench.client.new_account(AccountKey::generate("ed25519"), AccountOptions());
    DnsPersistSolver of_other(bench.client.directory(), other);
    bench.account = other;
    CHECK(contains(bench.refusal({"example.org"}, of_other), "is for another account"));
  }
}

TEST_CASE("dns-persist-01: policy, expiry, other CAs' and malformed records") {
  TestCaOptions options;
  options.dns_persist = TestCaOptions::DnsPersist::account_url;
  DnsBench bench(options);
  DnsPersistSolver solver(bench.client.directory(), bench.account);
  const std::string start = "ca.culmen.example; accounturi=" + bench.account.url;
  int number = 0;
  const auto outcome = [&](const std::vector<std::string>& values, bool wildcard = false) {
    const std::string domain = "d" + std::to_string(++number) + ".example";
    for (const std::string& value : values) bench.dns.add_txt("_validation-persist." + domain, value);
    return bench.refusal({(wildcard ? "*." : "") + domain}, solver);
  };
  CHECK(outcome({start}) == "none");
  CHECK(outcome({"CA.Culmen.Example.;AccountURI=" + bench.account.url + " ; future=thing"}) == "none");
  CHECK(outcome({start + "; policy=WildCard"}, true) == "none");
  CHECK(outcome({start + "; persistUntil=99999999999"}) == "none");
  CHECK(outcome({"other.example; accounturi=x", start + "; broken", start}) == "none");
  CHECK(contains(outcome({start}, true), "no policy=wildcard"));
  CHECK(contains(outcome({start + "; persistUntil=1000000000"}), "is past"));
  CHECK(contains(outcome({"other.example; accounturi=" + bench.account.url}), "names ca.culmen.example"));
  CHECK(contains(outcome({start + "; persistUntil=soon"}), "error:malformed"));
  CHECK(contains(outcome({start + ";"}), "error:malformed"));
  CHECK(contains(outcome({start + "; policy=wildcard; policy=wildcard"}), "is there twice"));
  CHECK(contains(outcome({"ca.culmen.example"}), "accounturi is missing"));
  CHECK(contains(outcome({}), "no TXT record"));
}

TEST_CASE("dns-persist-01 by hash: a former key of the account, and a record for any domain") {
  TestCaOptions options;
  options.dns_persist = TestCaOptions::DnsPersist::account_hash;
  DnsBench bench(options);
  DnsPersistOptions any_domain;
  any_domain.record.bind_domain = false;
  DnsPersistSolver solver(
      bench.client.directory(), bench.account,
      [&](const ChallengeContext&, const TxtRecord& record) { bench.dns.add_txt(record.name, record.value); },
      any_domain);
  CHECK(bench.issue({"a.example"}, solver).size() == 1);
  bench.account = bench.client.key_change(bench.account, AccountKey::generate("ed25519"));
  DnsPersistSolver set_already(bench.client.directory(), bench.account);
  CHECK(bench.issue({"a.example"}, set_already).size() == 1);
}

TEST_CASE("a DNS server's address that is none is refused at the start") {
  for (const char* text : {"127.0.0.1", "localhost:53", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:5x"}) {
    TestCaOptions options;
    options.dns_server = text;
    CHECK_THROWS_AS(TestCa{options}, Error);
  }
}
