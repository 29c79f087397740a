// culmen at a CA behind an HTTP/2 server that refuses and resets streams, allows few of them, and goes away.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_future.hpp>

#include "culmen/asio/acme_client.hpp"
#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/test_ca.hpp"
#include "support/culmen_program.hpp"
#include "support/errors.hpp"
#include "support/h2_server.hpp"
#include "support/temporary_folder.hpp"
#include "support/twin_port.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using test::H2Answer;
using test::H2Error;
using test::H2Options;
using test::H2Request;
using test::H2Server;
namespace asio = boost::asio;

namespace {

Flow<Result<HttpResponse>> sent_to_ca(HttpRequest request) { co_return co_await send(std::move(request)); }

/// A test CA that believes everything, behind an HTTP/2 server at the same port of another address.
class BehindH2 {
 public:
  /// What is done with a request that comes in; nothing: it goes to the CA.
  using Trouble = std::function<std::optional<H2Answer>(const H2Request&)>;

  explicit BehindH2(Trouble trouble, unsigned max_streams = 0) : trouble_(std::move(trouble)) {
    ca.start();
    const std::string url = ca.directory_url();
    base_ = url.substr(0, url.rfind('/'));
    port_ = base_.substr(base_.rfind(':') + 1);
    H2Options options;
    options.address = "127.0.0.2";
    options.port = static_cast<std::uint16_t>(std::stoi(port_));
    options.max_streams = max_streams;
    ClientOptions direct;
    direct.transport.extra_root_file = ca_root_.write("root.pem", ca.root_pem());
    to_ca_ = std::make_unique<blocking::AcmeClient>(url, direct);
    ca.reset_counts();
    server = std::make_unique<H2Server>(
        leaf_, [this](const H2Request& request) { return answer(request); }, options);
  }

  ClientOptions client_options() const {
    ClientOptions options;
    options.transport.extra_root_file = folder_.write("root.pem", root_.certificate_pem());
    options.transport.only_extra_root = true;  // there is no way around the HTTP/2 server
    options.transport.resolve = "127.0.0.1:" + port_ + ":127.0.0.2";
    return options;
  }
  std::string path_of(const std::string& url) const { return url.substr(base_.size()); }
  /// The largest number of times that one signed request was processed. It has to be 1.
  int most_processed() const {
    const std::lock_guard lock(mutex_);
    int most = 0;
    for (const auto& [body, times] : processed_) most = std::max(most, times);
    return most;
  }
  H2Answer pass_on(const H2Request& request) {
    const bool is_post = request.method == "POST";
    if (is_post) {
      const std::lock_guard lock(mutex_);
      ++processed_[request.body];
    }
    HttpRequest out(is_post                    ? HttpMethod::post
                    : request.method == "HEAD" ? HttpMethod::head
                                               : HttpMethod::get,
                    base_ + request.path);
    out.body = request.body;
    out.content_type = request.content_type;
    out.accept = request.accept;
    H2Answer answer;
    const HttpResponse got = to_ca_->run(sent_to_ca(std::move(out)));
    answer.status = got.status;
    answer.body = got.body;
    for (const auto& header : got.headers) {
      if (header.first != "connection" && header.first != "content-length") answer.headers.push_back(header);
    }
    return answer;
  }

  TestCa ca{believing()};
  std::unique_ptr<H2Server> server;

 private:
  static TestCaOptions believing() {
    TestCaOptions options;
    options.skip_validation = true;
    options.port = test::twin_port();
    return options;
  }
  H2Answer answer(const H2Request& request) {
    if (std::optional<H2Answer> troubled = trouble_(request)) return *troubled;
    return pass_on(request);
  }

  Trouble trouble_;
  test::Identity root_ = test::make_identity("Root", "", nullptr);
  test::Identity leaf_ = test::make_identity("HTTP/2", "IP:127.0.0.1", &root_);
  test::TemporaryFolder folder_, ca_root_;
  std::string base_, port_;
  std::unique_ptr<blocking::AcmeClient> to_ca_;
  mutable std::mutex mutex_;
  std::map<std::string, int> processed_;
};

IssueRequest many_names(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("n" + std::to_string(i) + ".example");
  IssueRequest request(names);
  request.poll_deadline = 10s;
  request.width = static_cast<std::size_t>(count);
  return request;
}

std::unique_ptr<ChallengeSolver> idle_solver() {
  return make_solver(
      "http-01", [](const ChallengeContext&) {}, [](const ChallengeContext&) {});
}

/// What the Asio context makes of one operation.
template <class T>
T completed(asio::io_context& context, std::future<T> future) {
  context.restart();
  context.run();
  return future.get();
}

AcmeClient connected(asio::io_context& context, const BehindH2& behind) {
  return completed(context, AcmeClient::async_connect(context.get_executor(), behind.ca.directory_url(),
                                                      behind.client_options(), asio::use_future));
}

Account registered(asio::io_context& context, const AcmeClient& client) {
  return completed(context, client.async_new_account(AccountKey::generate(), AccountOptions(), asio::use_future));
}

/// Issues for so many names, by the one face and by the other; what was thrown by each.
std::vector<std::string> failures_of_issuing(BehindH2& behind, int names) {
  const auto solver = idle_solver();
  std::vector<std::string> thrown;
  thrown.push_back(thrown_by([&] {
    const blocking::AcmeClient client(behind.ca.directory_url(), behind.client_options());
    const Account account = client.new_account(AccountKey::generate(), AccountOptions());
    return client.issue(account, many_names(names), *solver);
  }));
  thrown.push_back(thrown_by([&] {
    asio::io_context context;
    const AcmeClient client = connected(context, behind);
    const Account account = registered(context, client);
    return completed(context, client.async_issue(account, many_names(names), *solver, asio::use_future));
  }));
  return thrown;
}

/// Both certificates are there, nothing was asked for more than once, and no signed request was processed twice.
void check_issued(BehindH2& behind, int names) {
  for (const std::string& thrown : failures_of_issuing(behind, names)) CHECK(thrown == "(nothing thrown)");
  CHECK(behind.ca.issued().size() == 2);
  CHECK(behind.ca.request_counts()["new-order"] == 2);
  CHECK(behind.ca.request_counts()["finalize"] == 2);
  CHECK(behind.most_processed() == 1);
}

bool is_post_to(const H2Request& request, const std::string& prefix, const std::string& suffix = "") {
  return request.method == "POST" && request.path.starts_with(prefix) && request.path.ends_with(suffix);
}

/// Knows which requests of a client came before. Connections have threads of their own.
class FirstTimes {
 public:
  bool is_first(const H2Request& request) {
    const std::lock_guard lock(mutex_);
    if (request.path == "/directory") {  // another client
      seen_.clear();
      return false;
    }
    return seen_.insert(request.method + request.path).second;
  }

 private:
  std::mutex mutex_;
  std::set<std::string> seen_;
};

constexpr const char* nothing = "(nothing thrown)";

}  // namespace

TEST_CASE("HTTP/2: at most two streams, and 64 names at once") {
  BehindH2 behind([](const H2Request&) { return std::nullopt; }, 2);
  check_issued(behind, 64);
  CHECK(behind.server->most_at_once() <= 2);
}

TEST_CASE("HTTP/2: one stream at a time") {
  BehindH2 behind([](const H2Request&) { return std::nullopt; }, 1);
  check_issued(behind, 16);
  CHECK(behind.server->most_at_once() == 1);
}

// A stream that was refused was not processed.
TEST_CASE("HTTP/2: each request is refused when it comes first") {
  FirstTimes first_times;
  BehindH2 behind([&](const H2Request& request) -> std::optional<H2Answer> {
    if (first_times.is_first(request)) return H2Answer::reset(H2Error::refused_stream);
    return {};
  });
  check_issued(behind, 12);
}

// Neither was what comes after the last stream that GOAWAY names.
TEST_CASE("HTTP/2: the server goes away before every seventh request") {
  BehindH2 behind([](const H2Request& request) -> std::optional<H2Answer> {
    if (request.number % 7 == 0) return H2Answer::other(H2Answer::How::go_away);
    return {};
  });
  check_issued(behind, 5);
  CHECK(behind.server->connections() > 2);
}

TEST_CASE("HTTP/2: reads that are reset are repeated") {
  FirstTimes first_times;
  for (const H2Error code : {H2Error::internal_error, H2Error::cancel}) {
    CAPTURE(static_cast<int>(code));
    BehindH2 behind([&](const H2Request& request) -> std::optional<H2Answer> {
      if (is_post_to(request, "/acme/authz/") && first_times.is_first(request)) return H2Answer::reset(code);
      return {};
    });
    check_issued(behind, 12);
  }
}

TEST_CASE("HTTP/2: a read whose answer is cut off is repeated") {
  FirstTimes first_times;
  BehindH2 behind([&](const H2Request& request) -> std::optional<H2Answer> {
    if (!is_post_to(request, "/acme/certificate/") || !first_times.is_first(request)) return {};
    H2Answer half = behind.pass_on(request);
    half.how = H2Answer::How::cut_off;
    return half;
  });
  check_issued(behind, 3);
}

TEST_CASE("HTTP/2: a finalization that was processed, and then reset, is looked up and not repeated") {
  BehindH2 behind([&](const H2Request& request) -> std::optional<H2Answer> {
    if (!is_post_to(request, "/acme/order/", "/finalize")) return {};
    behind.pass_on(request);
    return H2Answer::reset(H2Error::internal_error);
  });
  check_issued(behind, 3);
}

TEST_CASE("HTTP/2: a request that is withdrawn leaves the others on its connection alone") {
  BehindH2 behind([&](const H2Request& request) -> std::optional<H2Answer> {
    if (is_post_to(request, "/acme/order/")) return H2Answer::other(H2Answer::How::hold);
    H2Answer answer = behind.pass_on(request);
    answer.delay = 50ms;
    return answer;
  });
  asio::io_context context;
  const AcmeClient client = connected(context, behind);
  const Account account = registered(context, client);
  std::vector<Identifier> names;
  for (int i = 0; i < 20; ++i) names.push_back(Identifier::dns("n" + std::to_string(i) + ".example"));
  const Order order = completed(context, client.async_new_order(account, names, asio::use_future));

  asio::cancellation_signal signal;
  std::string held = nothing;
  client.async_get_order(account, order.url,
                         asio::bind_cancellation_slot(signal.slot(), [&held](std::exception_ptr failed, const Order&) {
                           held = thrown_by([&failed] {
                             if (failed) std::rethrow_exception(failed);
                             return 0;
                           });
                         }));
  std::vector<std::future<Authorization>> read;
  for (const std::string& url : order.authorizations) {
    read.push_back(client.async_get_authorization(account, url, asio::use_future));
  }
  asio::steady_timer timer(context, 25ms);
  timer.async_wait([&signal](boost::system::error_code) { signal.emit(asio::cancellation_type::terminal); });
  context.restart();
  context.run();
  CHECK(held.starts_with("cancelled"));
  for (auto& one : read) CHECK(thrown_by([&one] { return one.get(); }) == nothing);
  CHECK(behind.server->withdrawn() == 1);
  CHECK(behind.server->connections() <= 2);  // one for requests that are alone
}
