// Issuances at the same time: threads and coroutines on one client, several in one flow, two clients with one solver.
#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <fstream>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "culmen/asio/acme_client.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/poll_driver.hpp"
#include "culmen/test_ca.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
namespace asio = boost::asio;

namespace {

constexpr int issuances = 8;

/// A CA that validates at the solver, and what a client needs to trust it.
struct Issuer {
  Issuer() : ca(options(solver)) {
    ca.start();
    std::ofstream(folder / "root.pem") << ca.root_pem();
  }
  static TestCaOptions options(Http01Solver& solver) {
    solver.start_thread();
    TestCaOptions options;
    options.http_port = solver.port();
    options.resolve = {{"*", "127.0.0.1"}};
    return options;
  }
  ClientOptions client_options() const {
    ClientOptions options;
    options.transport.extra_root_file = folder / "root.pem";
    return options;
  }
  Http01Solver solver{0, "127.0.0.1"};
  TestCa ca;
  test::TemporaryFolder folder;
};

IssueRequest request_number(int number) {
  const std::string name = "n" + std::to_string(number) + ".example";
  return IssueRequest(std::vector<std::string>{name, "www." + name});
}

Account account_of(const blocking::AcmeClient& client) {
  AccountOptions options;
  options.agree_tos = true;
  return client.new_account(AccountKey::generate(), options);
}

void check_issued(const Issuer& issuer, std::size_t expected) {
  CHECK(issuer.ca.issued().size() == expected);
  CHECK(issuer.ca.request_counts().at("finalize") == static_cast<int>(expected));
}

Flow<Result<std::vector<Result<IssuedCertificate>>>> issue_all(engine::Session session, Account account,
                                                               std::vector<ChallengeSolver*> solvers) {
  std::vector<Flow<Result<IssuedCertificate>>> parts;
  for (int i = 0; i < issuances; ++i) parts.push_back(engine::issue(session, account, request_number(i), solvers));
  std::vector<Result<IssuedCertificate>> outcomes = co_await all(std::move(parts));
  co_return outcomes;
}

void check_all(const std::vector<Result<IssuedCertificate>>& outcomes) {
  REQUIRE(outcomes.size() == issuances);
  for (const Result<IssuedCertificate>& outcome : outcomes) CHECK_MESSAGE(outcome, outcome.error().what());
}

}  // namespace

TEST_CASE("several threads issue with one blocking client") {
  Issuer issuer;
  const blocking::AcmeClient client(issuer.ca.directory_url(), issuer.client_options());
  const Account account = account_of(client);
  std::vector<std::future<IssuedCertificate>> issued;
  for (int i = 0; i < issuances; ++i) {
    issued.push_back(std::async(std::launch::async, [&client, &account, &issuer, i] {
      return client.issue(account, request_number(i), issuer.solver);
    }));
  }
  for (std::future<IssuedCertificate>& each : issued) CHECK_NOTHROW(each.get());
  check_issued(issuer, issuances);
}

TEST_CASE("several coroutines on several threads issue with one Asio client") {
  Issuer issuer;
  asio::io_context context;
  const auto begin = [](Issuer& used) -> asio::awaitable<std::pair<AcmeClient, Account>> {
    const ClientOptions options = used.client_options();
    AcmeClient client = co_await AcmeClient::connect(used.ca.directory_url(), options);
    AccountOptions agreed;
    agreed.agree_tos = true;
    Account account = co_await client.new_account(AccountKey::generate(), agreed);
    std::pair<AcmeClient, Account> both(client, account);
    co_return both;
  };
  const auto issue = [](AcmeClient client, Account account, Issuer& used, int number) -> asio::awaitable<void> {
    const IssueRequest request = request_number(number);
    const IssuedCertificate issued = co_await client.issue(account, request, used.solver);
    CHECK(!issued.chain_pem.empty());
  };
  auto begun = asio::co_spawn(context, begin(issuer), asio::use_future);
  context.run();
  const auto [client, account] = begun.get();
  context.restart();
  std::vector<std::future<void>> issued;
  for (int i = 0; i < issuances; ++i) {
    issued.push_back(asio::co_spawn(context, issue(client, account, issuer, i), asio::use_future));
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&context] { context.run(); });
  for (std::thread& thread : threads) thread.join();
  for (std::future<void>& each : issued) CHECK_NOTHROW(each.get());
  check_issued(issuer, issuances);
}

TEST_CASE("one flow issues several certificates side by side, under each kind of driver") {
  Issuer issuer;
  const blocking::AcmeClient client(issuer.ca.directory_url(), issuer.client_options());
  const Account account = account_of(client);
  SUBCASE("blocking") { check_all(client.run(issue_all(client.session(), account, {&issuer.solver}))); }
  SUBCASE("pollable") {
    PollDriver driver(issuer.client_options().transport);
    std::vector<Result<IssuedCertificate>> outcomes;
    driver.start<std::vector<Result<IssuedCertificate>>>(
        issue_all(client.session(), account, {&issuer.solver}),
        [&outcomes](const Result<std::vector<Result<IssuedCertificate>>>& ended) { outcomes = ended.value(); });
    while (!driver.idle()) {
      pollfd ready{driver.fd(), POLLIN, 0};
      ::poll(&ready, 1, -1);
      driver.process();
    }
    check_all(outcomes);
  }
  check_issued(issuer, issuances);
}

TEST_CASE("two clients share a solver") {
  Issuer issuer;
  const blocking::AcmeClient first(issuer.ca.directory_url(), issuer.client_options());
  const blocking::AcmeClient second(issuer.ca.directory_url(), issuer.client_options());
  const auto issue = [&issuer](const blocking::AcmeClient& client, int number) {
    const Account account = account_of(client);
    for (int i = 0; i < 3; ++i) (void)client.issue(account, request_number(10 * number + i), issuer.solver);
  };
  auto one = std::async(std::launch::async, issue, std::cref(first), 1);
  auto two = std::async(std::launch::async, issue, std::cref(second), 2);
  CHECK_NOTHROW(one.get());
  CHECK_NOTHROW(two.get());
  check_issued(issuer, 6);
}
