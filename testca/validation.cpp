#include "testca/validation.hpp"

#include <set>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/tcp_stream.hpp>

#include "base/link.hpp"
#include "culmen/error.hpp"
#include "testca/http_wire.hpp"
#include "testca/stream.hpp"
#include "testca/visiting.hpp"

namespace culmen::testca {

namespace asio = boost::asio;
namespace beast = boost::beast;

namespace {

constexpr int max_redirects = 10;
constexpr std::size_t max_answer_body = 8192;  // a key authorization has 87 octets
constexpr std::size_t max_header = 16 * 1024;
constexpr std::size_t max_location = 2000;

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
      HttpAnswer answer;
      std::optional<Problem> problem = co_await fetch(place, deadline, answer);
      if (problem) co_return problem;
      const int status = answer.status;
      bool is_redirect = status == 301 || status == 302 || status == 307 || status == 308;
      if (!is_redirect) co_return judge(job, place, answer);
      problem = follow(place, answer);
      if (problem) co_return problem;
    }
    co_return failure("connection", "more than " + std::to_string(max_redirects) + " redirects");
  }

  /// One GET; tries each address of the host until one answers.
  asio::awaitable<std::optional<Problem>> fetch(const Place& place, Deadline deadline, HttpAnswer& answer) {
    beast::tcp_stream connection(visits_.context());
    std::string where;
    std::optional<Problem> problem = co_await visits_.connect(place.host, place.port, deadline, connection, where);
    if (problem) co_return problem;
    if (!place.https) {
      const std::unique_ptr<Stream> stream = plain_stream(std::move(connection));
      problem = co_await exchange(*stream, place, where, answer);
      co_return problem;
    }
    const std::unique_ptr<TlsStream> stream = tls_stream(std::move(connection), tls_);
    boost::system::error_code error;
    co_await stream->handshake_as_client(error);
    if (error) co_return failure("tls", where + ": " + error.message());
    problem = co_await exchange(*stream, place, where, answer);
    co_return problem;
  }

  asio::awaitable<std::optional<Problem>> exchange(Stream& stream, const Place& place, const std::string& where,
                                                   HttpAnswer& answer) {
    const std::string request = "GET " + place.target + " HTTP/1.1\r\nHost: " + place.host_header() +
                                "\r\nUser-Agent: culmen-test-ca\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    boost::system::error_code error;
    co_await stream.write(request, error);
    if (error) co_return failure("connection", where + ": " + error.message());
    HttpReader reader(stream);
    answer = co_await reader.answer(max_answer_body, max_header, error);
    if (is_body_limit(error))
      co_return failure("incorrectResponse", where + ": the answer is far too long for a key authorization");
    if (error) co_return failure("connection", where + ": " + error.message());
    co_return std::nullopt;
  }

  static std::optional<Problem> judge(const ValidationJob& job, const Place& place, const HttpAnswer& answer) {
    if (answer.status != 200)
      return failure("incorrectResponse", place.url() + " answered " + std::to_string(answer.status) + ", not 200");
    // RFC 8555 §8.3: "The server SHOULD ignore whitespace characters at the end of the body."
    std::string_view body = answer.body;
    body = body.substr(0, body.find_last_not_of(" \t\r\n") + 1);
    if (body == job.key_authorization) return std::nullopt;
    return failure("incorrectResponse", place.url() + " answered \"" + printable(body, 100) +
                                            "\", not the key authorization of this challenge");
  }

  /// Moves `place` to where the response points.
  std::optional<Problem> follow(Place& place, const HttpAnswer& answer) const {
    const std::string& location = answer.location;
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
