// DNS challenges against Pebble, whose own DNS server is asked.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/dns_solver.hpp"
#include "support/pebble.hpp"

using namespace culmen;
using pebble_test::Pebble;

namespace {

Account new_account(blocking::AcmeClient& client) {
  AccountOptions options;
  options.agree_tos = true;
  return client.new_account(AccountKey::generate("ec:P-256"), options);
}

struct DnsBench {
  DnsBench()
      : client(pebble.directory_url(), trusting(pebble)),
        account(new_account(client)),
        provider(
            make_dns_provider([this](const std::string& name, const std::string& value) { add(name, value); },
                              [this](const std::string& name, const std::string& value) { remove(name, value); })) {}

  void add(const std::string& name, const std::string& value) {
    const std::lock_guard lock(mutex);
    pebble.add_txt(name, value);
    present[name].push_back(value);
    most_values = std::max(most_values, present[name].size());
  }
  /// Its DNS server can only forget all values of a name.
  void remove(const std::string& name, const std::string& value) {
    const std::lock_guard lock(mutex);
    std::erase(present[name], value);
    pebble.clear_txt(name);
    for (const std::string& other : present[name]) pebble.add_txt(name, other);
    if (present[name].empty()) present.erase(name);
  }
  std::size_t issue(const std::vector<std::string>& names, ChallengeSolver& solver) {
    const IssuedCertificate issued = client.issue(account, IssueRequest(names), solver);
    return Certificate::from_pem(issued.chain_pem).identifiers.size();
  }
  /// Whether Pebble offers a challenge for a name.
  bool offers(const std::string& type) {
    const Order order = client.new_order(account, {Identifier::dns("offer.example.com")});
    return client.get_authorization(account, order.authorizations.at(0)).find_challenge(type) != nullptr;
  }

  Pebble pebble;
  blocking::AcmeClient client;
  Account account;
  std::mutex mutex;
  std::map<std::string, std::vector<std::string>> present;
  std::size_t most_values = 0;
  std::unique_ptr<DnsProvider> provider;
};

/// The names that Pebble may ask for the record of a dns-account-01 challenge: Pebble 2.5 to 2.7 follow an earlier
/// draft (draft-ietf-acme-scoped-dns-challenges), where the name tells a host from a wildcard.
std::vector<std::string> names_to_ask(const std::string& name) {
  std::vector<std::string> names = {name};
  if (pebble_test::which_pebble == "DISTRIBUTION") {
    const std::size_t scope = name.find("._acme-challenge.") + std::string_view("._acme-").size();
    for (const char* earlier : {"host-", "wildcard-"}) names.push_back(std::string(name).insert(scope, earlier));
  }
  return names;
}

/// With a Pebble from before the challenge type: culmen says what is offered instead.
void check_not_offered(DnsBench& bench, ChallengeSolver& solver) {
  CHECK(pebble_test::which_pebble == "DISTRIBUTION");
  try {
    bench.issue({"example.com"}, solver);
    FAIL("issued by a challenge that was not offered");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::not_offered);
    const std::string what = error.what();
    CHECK(what.find("the CA offers ") != std::string::npos);
    CHECK(what.find("dns-01") != std::string::npos);
    CHECK(what.find("the solvers at hand are " + std::string(solver.type())) != std::string::npos);
  }
}

}  // namespace

TEST_CASE("dns-01: apex and wildcard in one order") {
  DnsBench bench;
  DnsSolver solver(*bench.provider);
  CHECK(bench.issue({"example.com", "*.example.com"}, solver) == 2);
  CHECK(bench.most_values == 2);
  CHECK(bench.present.empty());
}

TEST_CASE("dns-01: a wrong value") {
  DnsBench bench;
  const auto wrong =
      make_dns_provider([&](const std::string& name, const std::string&) { bench.add(name, "wrong"); }, {});
  DnsSolver solver(*wrong);
  try {
    bench.issue({"example.com"}, solver);
    FAIL("issued on a wrong value");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::order_invalid);
    const auto names_it = [](const Problem& problem) { return problem.identifier == Identifier::dns("example.com"); };
    CHECK(std::ranges::any_of(error.problems(), names_it));
  }
}

TEST_CASE("dns-account-01") {
  DnsBench bench;
  DnsSolverOptions options;
  options.type = "dns-account-01";
  const auto provider = make_dns_provider(
      [&](const std::string& name, const std::string& value) {
        for (const std::string& one : names_to_ask(name)) bench.add(one, value);
      },
      [&](const std::string& name, const std::string& value) {
        for (const std::string& one : names_to_ask(name)) bench.remove(one, value);
      });
  DnsSolver solver(*provider, options);
  if (!bench.offers("dns-account-01")) return check_not_offered(bench, solver);
  CHECK(bench.issue({"example.com", "*.example.com"}, solver) == 2);
  CHECK(bench.present.empty());
}

TEST_CASE("dns-persist-01: a record that stays, for the name and its wildcard") {
  DnsBench bench;
  int published = 0;
  DnsPersistOptions options;
  options.record.wildcard = true;
  DnsPersistSolver solver(
      bench.client.directory(), bench.account,
      [&](const ChallengeContext&, const TxtRecord& record) {
        ++published;
        bench.add(record.name, record.value);
      },
      options);
  if (!bench.offers("dns-persist-01")) return check_not_offered(bench, solver);
  CHECK(bench.issue({"example.com", "*.example.com"}, solver) == 2);
  CHECK(published == 1);
  DnsPersistSolver set_already(bench.client.directory(), bench.account);
  CHECK(bench.issue({"example.com"}, set_already) == 1);
}

TEST_CASE("profiles are those of the directory") {
  DnsBench bench;
  DnsSolver solver(*bench.provider);
  IssueRequest request(std::vector<std::string>{"example.com"});
  const std::map<std::string, std::string> profiles = bench.client.directory().meta.profiles;
  request.profile = profiles.empty() ? "shortlived" : profiles.rbegin()->first;
  if (profiles.empty()) {
    CHECK(pebble_test::which_pebble == "DISTRIBUTION");
    try {
      bench.client.issue(bench.account, request, solver);
      FAIL("a profile that is not there was ordered");
    } catch (const Error& error) {
      CHECK(error.code() == Errc::not_offered);
      CHECK(std::string(error.what()).find("it has none") != std::string::npos);
    }
    return;
  }
  CHECK(bench.client.issue(bench.account, request, solver).order.profile == request.profile);
}
