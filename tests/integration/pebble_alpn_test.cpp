// tls-alpn-01, IP addresses and ARI against Pebble.
#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include <boost/json.hpp>

#include "base/time.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/tls_alpn01_solver.hpp"
#include "support/pebble.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using pebble_test::Pebble;

namespace {

struct AlpnBench {
  AlpnBench() : client(pebble.directory_url(), trusting(pebble)), account(registered()) {}
  Account registered() {
    AccountOptions options;
    options.agree_tos = true;
    return client.new_account(AccountKey::generate("ec:P-256"), options);
  }
  Pebble pebble;
  blocking::AcmeClient client;
  Account account;
};

std::vector<Identifier> names_of(const IssuedCertificate& issued) {
  return Certificate::from_pem(issued.chain_pem).identifiers;
}

}  // namespace

TEST_CASE("tls-alpn-01: a name, and twenty of them") {
  AlpnBench bench;
  TlsAlpn01Solver solver(bench.pebble.tls_port(), "127.0.0.1");
  solver.start_thread();
  CHECK(names_of(bench.client.issue(bench.account, IssueRequest{"alpn.example.com"}, solver)) ==
        std::vector<Identifier>{Identifier::dns("alpn.example.com")});
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) names.push_back("alpn" + std::to_string(i) + ".example.com");
  CHECK(names_of(bench.client.issue(bench.account, IssueRequest(names), solver)).size() == 20);
}

TEST_CASE("tls-alpn-01: the wrong proof is refused") {
  AlpnBench bench;
  TlsAlpn01Solver solver(bench.pebble.tls_port(), "127.0.0.1");
  solver.start_thread();
  const auto wrong = make_solver(
      "tls-alpn-01",
      [&solver](const ChallengeContext& context) { solver.add(context.identifier.value, "dns", "another.proof"); },
      [](const ChallengeContext&) {});
  CHECK_THROWS_AS(bench.client.issue(bench.account, IssueRequest{"wrong.example.com"}, *wrong), Error);
}

TEST_CASE("IP addresses by both challenges, beside a name") {
  AlpnBench bench;
  Http01Solver web(bench.pebble.http_port());
  web.start_thread();
  TlsAlpn01Solver tls(bench.pebble.tls_port());
  tls.start_thread();
  for (ChallengeSolver* solver : {static_cast<ChallengeSolver*>(&web), static_cast<ChallengeSolver*>(&tls)}) {
    CAPTURE(std::string(solver->type()));
    CHECK(names_of(bench.client.issue(bench.account, IssueRequest{"127.0.0.1"}, *solver)) ==
          std::vector<Identifier>{Identifier::ip("127.0.0.1")});
    CHECK(names_of(bench.client.issue(bench.account, IssueRequest{"::1"}, *solver)) ==
          std::vector<Identifier>{Identifier::ip("::1")});
    CHECK(
        names_of(bench.client.issue(bench.account, IssueRequest{"127.0.0.1", "beside.example.com"}, *solver)).size() ==
        2);
  }
}

TEST_CASE("ARI: a window set through the management port moves the decision of culmen renew") {
  Pebble pebble;
  culmen::test::TemporaryFolder folder;
  const std::string state = (folder / "state").string();
  const cli_test::Outcome issued =
      cli_test::run({cli_test::culmen_path(), "issue", "--agree-tos", "--server", pebble.directory_url(), "--server-ca",
                     pebble.root_file(), "--dir", state, "--challenge", "tls-alpn-01", "--tls-port",
                     std::to_string(pebble.tls_port()), "--tls-address", "127.0.0.1", "-d", "renewed.example.com"});
  REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
  const std::vector<std::string> renew = {cli_test::culmen_path(), "renew", "--dir", state, "--json"};
  const auto result = [](const cli_test::Outcome& outcome) {
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.exit_code == 0);
    const boost::json::value parsed = outcome.json();
    return std::string(parsed.at("certificates").at(0).at("result").as_string());
  };
  CHECK(result(cli_test::run(renew)) == "not due");

  const std::filesystem::path live = std::filesystem::path(state) / "certificates/renewed.example.com/live";
  const auto now = std::chrono::system_clock::now();
  const std::string ari = R"({"suggestedWindow":{"start":")" + base::format_rfc3339(now - 2h) + R"(","end":")" +
                          base::format_rfc3339(now - 1h) + R"("},"explanationURL":"https://ca.example/incident"})";
  const Bytes leaf = Certificate::from_pem(cli_test::contents(live / "fullchain.pem")).der;
  if (!pebble.set_renewal_info(der_to_pem(leaf), ari)) {
    CHECK(pebble_test::which_pebble == "DISTRIBUTION");  // before 2.7 there is no such thing
    return;
  }
  CHECK(result(cli_test::run(renew)) == "not due");  // the CA said when to ask again; it is not yet time
  // As if it had been issued long ago: right after an order, even an incident waits.
  const std::filesystem::path file = live.parent_path() / "record.json";
  boost::json::object record = cli_test::read_object(file);
  record["attempts"] = boost::json::object();
  std::ofstream(file) << boost::json::serialize(record);
  std::this_thread::sleep_for(1100ms);  // certificates end at whole seconds, and the new one has to end later
  std::vector<std::string> again = renew;
  again.emplace_back("--ask-again");
  CHECK(result(cli_test::run(again)) == "renewed");
  CHECK(std::filesystem::read_symlink(live) == "2");
}
