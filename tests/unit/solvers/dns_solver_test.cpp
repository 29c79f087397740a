// dns-01, dns-account-01 and dns-persist-01 without a DNS.
#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "culmen/dns_solver.hpp"
#include "culmen/driver.hpp"
#include "support/abandoned_call.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

struct Ran {
  Ran() = default;
  Result<void> result;
  std::vector<std::chrono::microseconds> waits;
};

Ran run(Flow<Result<void>> flow) {
  Ran ran;
  Execution<Result<void>> execution(std::move(flow), [] { return Instant(); });
  while (Ask* ask = execution.next()) {
    if (ask->kind() == Ask::Kind::wait) {
      auto& wait = static_cast<WaitAsk&>(*ask);
      ran.waits.push_back(wait.duration);
      execution.answer(wait, Result<void>());
    } else {
      REQUIRE(ask->kind() == Ask::Kind::call);
      auto& call = static_cast<CallAsk&>(*ask);
      execution.answer(call, call_function(call));
    }
  }
  ran.result = execution.result();
  return ran;
}

ChallengeContext dns_challenge(const std::string& type) {
  ChallengeContext context;
  context.identifier = Identifier("dns", "example.org");
  context.type = type;
  context.token = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
  context.key_authorization = context.token + ".kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
  context.account_url = "https://ca.test/acme/acct/1";
  context.challenge.type = type;
  context.challenge.json = R"({"type":"dns-persist-01","issuer-domain-names":["ca.test"]})";
  return context;
}

using Log = std::vector<std::string>;
using Waits = std::vector<std::chrono::microseconds>;

std::vector<ChallengeContext> contexts_of(const ChallengeContext& context, std::size_t count = 1) {
  return std::vector<ChallengeContext>(count, context);
}

/// A provider whose functions throw before they return a flow, or in the flow.
class ThrowingProvider final : public DnsProvider {
 public:
  Flow<Result<void>> add_txt(std::string, std::string) override { throw std::runtime_error("no zone"); }
  Flow<Result<void>> remove_txt(std::string name, std::string) override {
    if (!name.empty()) throw 42;
    co_return Result<void>();
  }
};

/// Notes what it is asked to do.
std::unique_ptr<DnsProvider> noting(Log& log) {
  return make_dns_provider(
      [&log](const std::string& name, const std::string& value) { log.push_back("+" + name + " " + value); },
      [&log](const std::string& name, const std::string& value) { log.push_back("-" + name + " " + value); });
}

constexpr const char* record_value = "lAV291d372xyXVEZRY9j2FQ8g1TYpOaJr620CiahePA";  // of that token and key

}  // namespace

TEST_CASE("the provider is asked for one value at one name") {
  Log log;
  const auto provider = noting(log);
  DnsSolver solver(*provider);
  CHECK(solver.type() == "dns-01");
  CHECK(run(solver.present(dns_challenge("dns-01"))).result);
  CHECK(run(solver.cleanup(dns_challenge("dns-01"))).result);
  CHECK(log == Log{std::string("+_acme-challenge.example.org ") + record_value,
                   std::string("-_acme-challenge.example.org ") + record_value});

  log.clear();
  DnsSolverOptions options;
  options.type = "dns-account-01";
  options.settle = 30s;
  DnsSolver for_account(*provider, options);
  const Ran presented = run(for_account.present(dns_challenge("dns-account-01")));
  CHECK(presented.result);
  CHECK(presented.waits.empty());
  CHECK(run(for_account.ready(contexts_of(dns_challenge("dns-account-01"), 48))).waits == Waits{30s});
  CHECK(run(for_account.cleanup(dns_challenge("dns-account-01"))).waits.empty());
  CHECK(log.at(0) == std::string("+_chipdnrz6ovfpe6e._acme-challenge.example.org ") + record_value);
  CHECK(log.at(1) == std::string("-_chipdnrz6ovfpe6e._acme-challenge.example.org ") + record_value);
}

TEST_CASE("what a provider throws says what was being done") {
  const auto provider =
      make_dns_provider([](const std::string&, const std::string&) { throw std::runtime_error("no credentials"); }, {});
  DnsSolver solver(*provider);
  const Ran ran = run(solver.present(dns_challenge("dns-01")));
  REQUIRE_FALSE(ran.result);
  const std::string what = ran.result.error().what();
  CHECK(what.find("adding a TXT value at _acme-challenge.example.org") != std::string::npos);
  CHECK(what.find("no credentials") != std::string::npos);
  CHECK(run(solver.cleanup(dns_challenge("dns-01"))).result);
}

TEST_CASE("what a provider's flows throw is an error that says what was being done") {
  ThrowingProvider provider;
  DnsSolver solver(provider);
  const Ran added = run(solver.present(dns_challenge("dns-01")));
  REQUIRE_FALSE(added.result);
  CHECK(added.result.error().code() == Errc::solver_failed);
  CHECK(added.result.error().what() == std::string("adding a TXT value at _acme-challenge.example.org: no zone"));
  const Ran removed = run(solver.cleanup(dns_challenge("dns-01")));
  REQUIRE_FALSE(removed.result);
  CHECK(std::string(removed.result.error().what()).starts_with("removing a TXT value at _acme-challenge.example.org"));
}

TEST_CASE("a call that was started may run on after its flow, its solver and its provider are gone") {
  Log log;
  std::vector<std::function<Result<void>()>> calls;
  {
    const auto provider = noting(log);
    DnsSolver solver(*provider);
    calls.push_back(test::abandoned_call(solver.present(dns_challenge("dns-01"))));
    calls.push_back(test::abandoned_call(solver.cleanup(dns_challenge("dns-01"))));
    DnsPersistSolver persistent(Directory(), Account("https://ca.test/acme/acct/1", AccountKey::generate("ed25519")),
                                [&log](const ChallengeContext& context, const TxtRecord& record) {
                                  log.push_back(context.identifier.value + " " + record.name);
                                });
    calls.push_back(test::abandoned_call(persistent.present(dns_challenge("dns-persist-01"))));
    const auto by_functions = make_solver(
        "http-01", [&log](const ChallengeContext& context) { log.push_back("+" + context.token); },
        [&log](const ChallengeContext& context) { log.push_back("-" + context.token); });
    calls.push_back(test::abandoned_call(by_functions->present(dns_challenge("http-01"))));
    calls.push_back(test::abandoned_call(by_functions->cleanup(dns_challenge("http-01"))));
  }
  for (const auto& function : calls) CHECK(function());
  const std::string token = dns_challenge("http-01").token;
  CHECK(log == Log{std::string("+_acme-challenge.example.org ") + record_value,
                   std::string("-_acme-challenge.example.org ") + record_value,
                   "example.org _validation-persist.example.org", "+" + token, "-" + token});
}

TEST_CASE("a solver that has nothing to wait for is ready at once") {
  const auto provider = make_dns_provider({}, {});
  DnsSolver dns(*provider);
  const auto by_functions = make_solver("http-01", {}, {});
  for (ChallengeSolver* solver : {static_cast<ChallengeSolver*>(&dns), by_functions.get()}) {
    const Ran ran = run(solver->ready(contexts_of(dns_challenge("dns-01"))));
    CHECK(ran.result);
    CHECK(ran.waits.empty());
  }
}

TEST_CASE("DNS solvers know what has no zone") {
  const auto provider = make_dns_provider({}, {});
  const DnsSolver solver(*provider);
  CHECK(solver.can_solve(Identifier("dns", "example.org"), false));
  CHECK(solver.can_solve(Identifier("dns", "example.org"), true));
  CHECK_FALSE(solver.can_solve(Identifier("ip", "192.0.2.1"), false));
  CHECK_FALSE(solver.can_solve(Identifier("dns", std::string(56, 'a') + ".onion"), false));
  DnsSolverOptions options;
  options.type = "dns-persist-01";
  CHECK_THROWS_AS(DnsSolver(*provider, options), Error);
}

TEST_CASE("dns-persist-01: the record is published once, and stays") {
  const Account account("https://ca.test/acme/acct/1", AccountKey::generate("ed25519"));
  Log log;
  DnsPersistOptions options;
  options.settle = 5s;
  DnsPersistSolver solver(
      Directory(), account,
      [&log](const ChallengeContext&, const TxtRecord& record) { log.push_back(record.name + " " + record.value); },
      options);
  const ChallengeContext apex = dns_challenge("dns-persist-01");
  CHECK(run(solver.ready(contexts_of(apex))).waits.empty());  // nothing was published
  CHECK(run(solver.present(apex)).waits.empty());
  CHECK(run(solver.ready(contexts_of(apex, 3))).waits == Waits{5s});
  CHECK(run(solver.present(apex)).result);
  CHECK(run(solver.ready(contexts_of(apex))).waits.empty());  // the same record: it is settled
  CHECK(run(solver.cleanup(apex)).result);
  ChallengeContext wildcard = apex;
  wildcard.wildcard = true;
  CHECK(run(solver.present(wildcard)).result);
  CHECK(run(solver.ready({apex, wildcard})).waits == Waits{5s});
  CHECK(log == Log{"_validation-persist.example.org ca.test; accounturi=https://ca.test/acme/acct/1",
                   "_validation-persist.example.org ca.test; accounturi=https://ca.test/acme/acct/1; policy=wildcard"});

  DnsPersistSolver set_already(Directory(), account);
  CHECK(run(set_already.present(apex)).result);
  ChallengeContext broken = apex;
  broken.challenge.json = R"({"type":"dns-persist-01"})";
  const Ran refused = run(set_already.present(broken));
  REQUIRE_FALSE(refused.result);
  CHECK(refused.result.error().code() == Errc::bad_response);
}

TEST_CASE("dns-persist-01: a publisher that fails is asked again") {
  int calls = 0;
  DnsPersistSolver solver(Directory(), Account("https://ca.test/acme/acct/1", AccountKey::generate("ed25519")),
                          [&calls](const ChallengeContext&, const TxtRecord&) {
                            if (++calls == 1) throw std::runtime_error("not now");
                          });
  CHECK_FALSE(run(solver.present(dns_challenge("dns-persist-01"))).result);
  CHECK(run(solver.present(dns_challenge("dns-persist-01"))).result);
  CHECK(calls == 2);
}
