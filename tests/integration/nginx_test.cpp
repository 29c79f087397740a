// culmen through nginx, which ends connections when it likes: after a number of requests, and between two of them.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "culmen/asio/acme_client.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/test_ca.hpp"
#include "support/nginx.hpp"
#include "support/twin_port.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using server_test::Nginx;
using server_test::NginxOptions;

namespace {

constexpr int issuances = 3;
constexpr int names_each = 8;

/// A CA that believes everything, behind nginx.
struct BehindNginx {
  explicit BehindNginx(const NginxOptions& options) : nginx((ca.start(), ca), options) {}

  static TestCaOptions believing() {
    TestCaOptions options;
    options.skip_validation = true;
    options.port = culmen::test::twin_port();
    return options;
  }
  static IssueRequest request(int which) {
    std::vector<std::string> names;
    for (int i = 0; i < names_each; ++i)
      names.push_back("n" + std::to_string(i) + ".i" + std::to_string(which) + ".example");
    IssueRequest request(names);
    request.poll_deadline = 20s;
    return request;
  }

  TestCa ca{believing()};
  Nginx nginx;
  std::unique_ptr<ChallengeSolver> solver = make_solver(
      "http-01", [](const ChallengeContext&) {}, [](const ChallengeContext&) {});
};

/// What an issuance ended with: nothing, or what it threw.
template <class Issue>
std::string failure_of(Issue&& issue) {
  try {
    const IssuedCertificate issued = issue();
    const std::size_t names = Certificate::from_pem(issued.chain_pem).identifiers.size();
    return names == names_each ? "" : "a certificate for " + std::to_string(names) + " names";
  } catch (const std::exception& error) {
    return error.what();
  }
}

/// That nginx ended connections as often as it should have, and that none of it reached the CA or the caller as an
/// error.
void check_exchanges(const BehindNginx& behind, int requests_per_connection) {
  // The log gets its line after the client got its answer.
  REQUIRE(cli_test::eventually([&] { return !behind.nginx.exchanges().empty(); }));
  std::set<int> connections;
  int refused = 0, longest = 0, over_http2 = 0;
  for (const Nginx::Exchange& exchange : behind.nginx.exchanges()) {
    connections.insert(exchange.connection);
    longest = std::max(longest, exchange.number);
    if (exchange.protocol == "HTTP/2.0") ++over_http2;
    if (exchange.status < 200 || exchange.status > 299) ++refused;
  }
  CHECK(refused == 0);
  CHECK(over_http2 > 0);  // requests side by side; those that are alone take HTTP/1.1
  CHECK(longest == requests_per_connection);
  CHECK(connections.size() >= behind.nginx.exchanges().size() / static_cast<std::size_t>(requests_per_connection));
  CHECK(behind.ca.issued().size() == issuances);
  CHECK(behind.ca.request_counts()["new-order"] == issuances);
  CHECK(behind.ca.request_counts()["finalize"] == issuances);
}

NginxOptions ending_every_third() {
  NginxOptions options;
  options.keepalive_requests = 3;
  return options;
}

}  // namespace

TEST_CASE("nginx sends GOAWAY after every third request: the blocking client issues side by side") {
  BehindNginx behind(ending_every_third());
  blocking::AcmeClient client(behind.ca.directory_url(), behind.nginx.client_options());
  const Account account = client.new_account(AccountKey::generate(), AccountOptions());
  std::vector<std::future<std::string>> outcomes;
  for (int i = 0; i < issuances; ++i) {
    outcomes.push_back(std::async(std::launch::async, [&, i] {
      return failure_of([&] { return client.issue(account, BehindNginx::request(i), *behind.solver); });
    }));
  }
  for (auto& outcome : outcomes) CHECK(outcome.get() == "");
  check_exchanges(behind, 3);
}

TEST_CASE("nginx sends GOAWAY after every third request: the Asio client issues side by side") {
  BehindNginx behind(ending_every_third());
  boost::asio::io_context context;
  auto connecting = AcmeClient::async_connect(context.get_executor(), behind.ca.directory_url(),
                                              behind.nginx.client_options(), boost::asio::use_future);
  context.run();
  AcmeClient client = connecting.get();
  auto registering = client.async_new_account(AccountKey::generate(), AccountOptions(), boost::asio::use_future);
  context.restart();
  context.run();
  const Account account = registering.get();
  std::vector<std::future<IssuedCertificate>> issued;
  for (int i = 0; i < issuances; ++i) {
    issued.push_back(client.async_issue(account, BehindNginx::request(i), *behind.solver, boost::asio::use_future));
  }
  context.restart();
  context.run();
  for (auto& one : issued) CHECK(failure_of([&one] { return one.get(); }) == "");
  check_exchanges(behind, 3);
}

namespace {

using std::chrono::microseconds;
constexpr microseconds kept = 20ms;  // for how long nginx keeps a connection without a request
constexpr int callers = 4;

/// Orders by several callers, each pausing between its requests for `shortest` to `longest`. What failed, and how
/// often.
std::map<std::string, int> failures_after_pauses(bool http2, int rounds, microseconds shortest, microseconds longest) {
  NginxOptions options;
  options.http2 = http2;
  options.keepalive_timeout = "20ms";
  BehindNginx behind(options);
  std::map<std::string, int> failures;
  std::mutex mutex;
  const auto call = [&](int caller) {
    blocking::AcmeClient client(behind.ca.directory_url(), behind.nginx.client_options());
    const Account account = client.new_account(AccountKey::generate(), AccountOptions());
    const std::vector<Identifier> names = {Identifier::dns("pause.example")};
    for (int i = 0; i < rounds; ++i) {
      std::this_thread::sleep_for(shortest + (longest - shortest) * (i * callers + caller) / (rounds * callers));
      try {
        client.new_order(account, names);
      } catch (const Error& error) {
        const std::lock_guard lock(mutex);
        ++failures[error.detail()];
      }
    }
  };
  std::vector<std::future<void>> calls;
  for (int caller = 0; caller < callers; ++caller) calls.push_back(std::async(std::launch::async, call, caller));
  for (std::future<void>& called : calls) called.get();

  CHECK(behind.ca.request_counts()["new-order"] <= rounds * callers);  // none was processed twice
  std::set<int> connections;
  for (const Nginx::Exchange& exchange : behind.nginx.exchanges()) {
    connections.insert(exchange.connection);
    CHECK(exchange.protocol == "HTTP/1.1");  // each request was alone at its server
  }
  CHECK(connections.size() > callers);  // some were closed between two requests
  return failures;
}

void check_none(const std::map<std::string, int>& failures) {
  for (const auto& [what, times] : failures) FAIL_CHECK(what << ": " << times << " times");
}

}  // namespace

// F5: while the end of the TLS connection (close_notify) is unread, libcurl 7.88 takes the connection for a good one.
TEST_CASE("nginx closed the connection long before the next POST, HTTP/1.1") {
  check_none(failures_after_pauses(false, 5, 3 * kept, 3 * kept));
}

TEST_CASE("nginx closed the connection long before the next POST, HTTP/2") {
  check_none(failures_after_pauses(true, 5, 3 * kept, 3 * kept));
}

// F5. Whether a connection is closed just when a request goes out is a matter of microseconds.
TEST_CASE("nginx closes the connection just when a POST goes out, HTTP/1.1") {
  check_none(failures_after_pauses(false, 60, kept - 1ms, kept + 1ms));
}

TEST_CASE("nginx closes the connection just when a POST goes out, HTTP/2") {
  check_none(failures_after_pauses(true, 60, kept - 1ms, kept + 1ms));
}
