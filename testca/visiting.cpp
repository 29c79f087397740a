#include "testca/visiting.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/name.hpp"
#include "culmen/error.hpp"

namespace culmen::testca {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;

namespace {

bool is_reserved(const asio::ip::address& address) {
  if (address.is_loopback() || address.is_unspecified() || address.is_multicast()) return true;
  if (address.is_v6()) {
    asio::ip::address_v6 v6 = address.to_v6();
    if (v6.is_v4_mapped()) return is_reserved(asio::ip::make_address_v4(asio::ip::v4_mapped, v6));
    return v6.is_link_local() || (v6.to_bytes()[0] & 0xfe) == 0xfc;
  }
  auto octets = address.to_v4().to_bytes();
  return octets[0] == 0 || octets[0] == 10 || (octets[0] == 172 && (octets[1] & 0xf0) == 16) ||
         (octets[0] == 192 && octets[1] == 168) || (octets[0] == 169 && octets[1] == 254);
}

}  // namespace

Problem failure(std::string_view type, const std::string& what) { return make_problem(400, type, what); }

Visits::Visits(const TestCaOptions& options)
    : options_(options), work_(asio::make_work_guard(context_)), thread_([this] { context_.run(); }) {}

Visits::~Visits() {
  context_.stop();
  thread_.join();
}

void Visits::begin(const ValidationJob& job, ValidationDone done, Look look) {
  asio::co_spawn(context_, run(job, std::move(done), std::move(look)), asio::detached);
}

asio::awaitable<void> Visits::run(ValidationJob job, ValidationDone done, Look look) {
  // The name look-up cannot be interrupted; so the timer answers when it is late, and what comes after is not heard.
  auto report = std::make_shared<ValidationDone>(std::move(done));
  auto once = [report](std::optional<Problem> outcome) {
    if (ValidationDone first = std::exchange(*report, nullptr)) first(std::move(outcome));
  };
  auto limit = std::min<std::chrono::seconds>(options_.validation_timeout, max_validation_timeout);
  asio::steady_timer timer(context_, limit);
  timer.async_wait([once, limit, name = job.identifier.value](boost::system::error_code cancelled) {
    if (!cancelled)
      once(failure("connection", name + ": no answer within " + std::to_string(limit.count()) + " seconds"));
  });
  auto deadline = std::chrono::steady_clock::now() + limit;
  std::optional<Problem> outcome;
  try {
    outcome = co_await look(job, deadline);
  } catch (const std::exception& error) {
    outcome = failure("serverInternal", error.what());
  }
  timer.cancel();
  once(std::move(outcome));
}

asio::awaitable<std::optional<Problem>> Visits::connect(const std::string& host, std::uint16_t port, Deadline deadline,
                                                        boost::beast::tcp_stream& stream, std::string& where) {
  std::vector<tcp::endpoint> endpoints;
  std::optional<Problem> problem = co_await find(host, port, endpoints);
  if (problem) co_return problem;
  for (const tcp::endpoint& endpoint : endpoints) {
    where = endpoint.address().to_string() + " port " + std::to_string(endpoint.port());
    if (endpoint.address().is_loopback() ? !options_.allow_loopback
                                         : !options_.allow_loopback && is_reserved(endpoint.address())) {
      problem = failure("connection", host + " is at " + where + ", which this CA does not visit");
      continue;
    }
    stream.expires_at(deadline);
    boost::system::error_code error;
    co_await stream.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    if (!error) co_return std::nullopt;
    stream.close();
    problem = failure("connection", where + ": " + error.message());
  }
  co_return problem;
}

asio::awaitable<std::optional<Problem>> Visits::find(const std::string& name, std::uint16_t port,
                                                     std::vector<tcp::endpoint>& endpoints) {
  std::string host = name;
  auto mapped = options_.resolve.find(host);
  if (mapped == options_.resolve.end() && !base::canonical_ip(host)) mapped = options_.resolve.find("*");
  if (mapped != options_.resolve.end()) host = mapped->second;
  boost::system::error_code error;
  asio::ip::address address = asio::ip::make_address(host, error);
  if (!error) {
    endpoints.emplace_back(address, port);
    co_return std::nullopt;
  }
  tcp::resolver resolver(context_);
  std::string service = std::to_string(port);
  auto results = co_await resolver.async_resolve(host, service, tcp::resolver::numeric_service,
                                                 asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return failure("dns", "looking up " + host + ": " + error.message());
  for (const auto& entry : results) endpoints.push_back(entry.endpoint());
  // IPv6 first, IPv4 when it cannot be reached: what CAs do, and what shows a stale AAAA record.
  const auto is_v6 = [](const tcp::endpoint& e) { return e.address().is_v6(); };
  std::stable_partition(endpoints.begin(), endpoints.end(), is_v6);
  co_return std::nullopt;
}

}  // namespace culmen::testca
