#include "testca/validation.hpp"

#include <set>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "base/link.hpp"
#include "culmen/error.hpp"
#include "testca/visiting.hpp"

namespace culmen::testca {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace beast_http = beast::http;

namespace {

constexpr int max_redirects = 10;
constexpr std::size_t max_answer_body = 8192;  // a key authorization has 87 octets
constexpr std::size_t max_header = 16 * 1024;
constexpr std::size_t max_location = 2000;

using Response = beast_http::response<beast_http::string_body>;

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

}  // namespace

class Http01Validator::Impl {
 public:
  explicit Impl(const TestCaOptions& options) : visits_(options) {
    tls_.set_verify_mode(
        asio::ssl::verify_none);  // as CAs do: what is behind a redirect need not have a certificate yet
  }

  void validate(const ValidationJob& job, ValidationDone done) {
    visits_.begin(job, std::move(done),
                  [this](ValidationJob at_hand, Deadline deadline) { return look(std::move(at_hand), deadline); });
  }

 private:
  asio::awaitable<std::optional<Problem>> look(ValidationJob job, Deadline deadline) {
    Place place;
    place.host = job.identifier.value;
    place.port = visits_.options().http_port;
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
  asio::awaitable<std::optional<Problem>> fetch(const Place& place, Deadline deadline, Response& response) {
    beast::tcp_stream stream(visits_.context());
    std::string where;
    std::optional<Problem> problem = co_await visits_.connect(place.host, place.port, deadline, stream, where);
    if (problem) co_return problem;
    if (!place.https) {
      problem = co_await exchange(stream, place, where, response);
      co_return problem;
    }
    beast::ssl_stream<beast::tcp_stream> secure(std::move(stream), tls_);
    boost::system::error_code error;
    co_await secure.async_handshake(asio::ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return failure("tls", where + ": " + error.message());
    problem = co_await exchange(secure, place, where, response);
    co_return problem;
  }

  template <class Stream>
  asio::awaitable<std::optional<Problem>> exchange(Stream& stream, const Place& place, const std::string& where,
                                                   Response& response) {
    beast_http::request<beast_http::empty_body> request(beast_http::verb::get, place.target, 11);
    request.set(beast_http::field::host, place.host_header());
    request.set(beast_http::field::user_agent, "culmen-test-ca");
    request.set(beast_http::field::accept, "*/*");
    request.set(beast_http::field::connection, "close");
    boost::system::error_code error;
    co_await beast_http::async_write(stream, request, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return failure("connection", where + ": " + error.message());
    beast::flat_buffer buffer;
    beast_http::response_parser<beast_http::string_body> parser;
    parser.body_limit(max_answer_body);
    parser.header_limit(max_header);
    co_await beast_http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    if (error == beast_http::error::body_limit)
      co_return failure("incorrectResponse", where + ": the answer is far too long for a key authorization");
    if (error) co_return failure("connection", where + ": " + error.message());
    response = parser.release();
    co_return std::nullopt;
  }

  static std::optional<Problem> judge(const ValidationJob& job, const Place& place, const Response& response) {
    if (response.result() != beast_http::status::ok)
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
    std::string_view location(response[beast_http::field::location].data(),
                              response[beast_http::field::location].size());
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
    std::uint16_t own_port = next.https ? visits_.options().https_port : visits_.options().http_port;
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

  asio::ssl::context tls_{asio::ssl::context::tls_client};
  Visits visits_;  // the last: its end is the end of all that runs
};

Http01Validator::Http01Validator(const TestCaOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Http01Validator::~Http01Validator() = default;

void Http01Validator::validate(const ValidationJob& job, ValidationDone done) { impl_->validate(job, std::move(done)); }

}  // namespace culmen::testca
