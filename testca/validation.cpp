#include "testca/validation.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <thread>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "base/link.hpp"
#include "base/name.hpp"
#include "culmen/error.hpp"

namespace culmen::testca {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

namespace {

constexpr int max_redirects = 10;
constexpr std::size_t max_body = 8192;  // a key authorization has 87 octets
constexpr std::size_t max_header = 16 * 1024;
constexpr std::size_t max_location = 2000;
constexpr std::chrono::seconds max_timeout{10};

using Response = http::response<http::string_body>;

/// What went wrong, as the type and detail of a problem document.
Problem failure(std::string_view type, const std::string& what) { return make_problem(400, type, what); }

/// Where one request goes.
struct Place {
  Place() = default;
  bool https = false;
  std::string host;  ///< IPv6 without brackets.
  std::uint16_t port = 80;
  std::string target;

  std::string host_header() const {
    std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
    if (port != (https ? 443 : 80)) text += ":" + std::to_string(port);
    return text;
  }
  std::string url() const { return (https ? "https://" : "http://") + host_header() + target; }
};

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

class Http01Validator::Impl {
 public:
  explicit Impl(const TestCaOptions& options)
      : options_(options), work_(asio::make_work_guard(context_)), thread_([this] { context_.run(); }) {
    tls_.set_verify_mode(
        asio::ssl::verify_none);  // as CAs do: what is behind a redirect need not have a certificate yet
  }

  ~Impl() {
    context_.stop();
    thread_.join();
  }

  void validate(const ValidationJob& job, ValidationDone done) {
    asio::co_spawn(context_, run(job, std::move(done)), asio::detached);
  }

 private:
  asio::awaitable<void> run(ValidationJob job, ValidationDone done) {
    // The name look-up cannot be interrupted; so the timer answers when it is late, and what comes after is not heard.
    auto report = std::make_shared<ValidationDone>(std::move(done));
    auto once = [report](std::optional<Problem> outcome) {
      if (ValidationDone first = std::exchange(*report, nullptr)) first(std::move(outcome));
    };
    auto limit = std::min<std::chrono::seconds>(options_.validation_timeout, max_timeout);
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

  asio::awaitable<std::optional<Problem>> look(const ValidationJob& job,
                                               std::chrono::steady_clock::time_point deadline) {
    Place place;
    place.host = job.identifier.value;
    place.port = options_.http_port;
    place.target = "/.well-known/acme-challenge/" + job.token;
    std::set<std::string> visited;
    for (int redirects = 0; redirects <= max_redirects; ++redirects) {
      if (!visited.insert(place.url()).second)
        co_return failure("connection", place.url() + ": the redirects go in a circle");
      Response response;
      std::optional<Problem> problem = co_await fetch(place, deadline, response);
      if (problem) co_return problem;
      unsigned status = response.result_int();
      bool is_redirect = status == 301 || status == 302 || status == 307 || status == 308;
      if (!is_redirect) co_return judge(job, place, response);
      problem = follow(place, response);
      if (problem) co_return problem;
    }
    co_return failure("connection", "more than " + std::to_string(max_redirects) + " redirects");
  }

  /// One GET; tries each address of the host until one answers.
  asio::awaitable<std::optional<Problem>> fetch(const Place& place, std::chrono::steady_clock::time_point deadline,
                                                Response& response) {
    std::vector<tcp::endpoint> endpoints;
    std::optional<Problem> problem = co_await find(place, endpoints);
    if (problem) co_return problem;
    for (const tcp::endpoint& endpoint : endpoints) {
      std::string where = endpoint.address().to_string() + " port " + std::to_string(endpoint.port());
      if (endpoint.address().is_loopback() ? !options_.allow_loopback
                                           : !options_.allow_loopback && is_reserved(endpoint.address())) {
        problem = failure("connection", place.host + " is at " + where + ", which this CA does not visit");
        continue;
      }
      beast::tcp_stream stream(context_);
      stream.expires_at(deadline);
      boost::system::error_code error;
      co_await stream.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
      if (error) {
        problem = failure("connection", where + ": " + error.message());
        continue;
      }
      if (place.https) {
        beast::ssl_stream<beast::tcp_stream> secure(std::move(stream), tls_);
        co_await secure.async_handshake(asio::ssl::stream_base::client,
                                        asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return failure("tls", where + ": " + error.message());
        problem = co_await exchange(secure, place, where, response);
      } else {
        problem = co_await exchange(stream, place, where, response);
      }
      co_return problem;
    }
    co_return problem;
  }

  asio::awaitable<std::optional<Problem>> find(const Place& place, std::vector<tcp::endpoint>& endpoints) {
    std::string host = place.host;
    auto mapped = options_.resolve.find(host);
    if (mapped == options_.resolve.end() && !base::canonical_ip(host)) mapped = options_.resolve.find("*");
    if (mapped != options_.resolve.end()) host = mapped->second;
    boost::system::error_code error;
    asio::ip::address address = asio::ip::make_address(host, error);
    if (!error) {
      endpoints.emplace_back(address, place.port);
      co_return std::nullopt;
    }
    tcp::resolver resolver(context_);
    std::string service = std::to_string(place.port);
    auto results = co_await resolver.async_resolve(host, service, tcp::resolver::numeric_service,
                                                   asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return failure("dns", "looking up " + host + ": " + error.message());
    for (const auto& entry : results) endpoints.push_back(entry.endpoint());
    // IPv6 first, IPv4 when it cannot be reached: what CAs do, and what shows a stale AAAA record.
    const auto is_v6 = [](const tcp::endpoint& e) { return e.address().is_v6(); };
    std::stable_partition(endpoints.begin(), endpoints.end(), is_v6);
    co_return std::nullopt;
  }

  template <class Stream>
  asio::awaitable<std::optional<Problem>> exchange(Stream& stream, const Place& place, const std::string& where,
                                                   Response& response) {
    http::request<http::empty_body> request(http::verb::get, place.target, 11);
    request.set(http::field::host, place.host_header());
    request.set(http::field::user_agent, "culmen-test-ca");
    request.set(http::field::accept, "*/*");
    request.set(http::field::connection, "close");
    boost::system::error_code error;
    co_await http::async_write(stream, request, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return failure("connection", where + ": " + error.message());
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
    parser.body_limit(max_body);
    parser.header_limit(max_header);
    co_await http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    if (error == http::error::body_limit)
      co_return failure("incorrectResponse", where + ": the answer is far too long for a key authorization");
    if (error) co_return failure("connection", where + ": " + error.message());
    response = parser.release();
    co_return std::nullopt;
  }

  static std::optional<Problem> judge(const ValidationJob& job, const Place& place, const Response& response) {
    if (response.result() != http::status::ok)
      return failure("incorrectResponse",
                     place.url() + " answered " + std::to_string(response.result_int()) + ", not 200");
    // RFC 8555 §8.3: "The server SHOULD ignore whitespace characters at the end of the body."
    std::string_view body = response.body();
    body = body.substr(0, body.find_last_not_of(" \t\r\n") + 1);
    if (body == job.key_authorization) return std::nullopt;
    return failure("incorrectResponse", place.url() + " answered \"" + printable(body, 100) +
                                            "\", not the key authorization of this challenge");
  }

  /// Moves `place` to where the response points.
  std::optional<Problem> follow(Place& place, const Response& response) const {
    std::string_view location(response[http::field::location].data(), response[http::field::location].size());
    auto target =
        location.empty() || location.size() > max_location ? std::nullopt : base::resolve_url(place.url(), location);
    auto parts = target ? base::parse_http_url(*target) : std::nullopt;
    if (!parts)
      return failure("connection",
                     place.url() + " redirects to \"" + printable(location, 200) + "\", which is no URL to follow");
    Place next;
    next.https = parts->scheme == "https";
    next.host = parts->host;
    // Only the two web ports, wherever these are for us.
    std::uint16_t own_port = next.https ? options_.https_port : options_.http_port;
    std::string standard_port = next.https ? "443" : "80";
    if (!parts->port.empty() && parts->port != standard_port && parts->port != std::to_string(own_port))
      return failure("connection",
                     place.url() + " redirects to port " + parts->port + "; only the web's own ports are followed");
    next.port = own_port;
    std::size_t authority = target->find("://") + 3;
    std::size_t path = target->find_first_of("/?#", authority);
    next.target = path == std::string::npos ? "/" : target->substr(path, target->find('#') - path);
    if (next.target.empty() || next.target.front() != '/') next.target.insert(0, "/");
    place = std::move(next);
    return std::nullopt;
  }

  const TestCaOptions options_;
  asio::io_context context_;
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

Http01Validator::Http01Validator(const TestCaOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Http01Validator::~Http01Validator() = default;

void Http01Validator::validate(const ValidationJob& job, ValidationDone done) { impl_->validate(job, std::move(done)); }

}  // namespace culmen::testca
