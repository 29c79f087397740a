// A small HTTP server that answers http-01 requests and nothing else (RFC 8555 §8.3).
#include <chrono>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "culmen/http01_solver.hpp"
#include "listen/responder.hpp"
#include "solvers/http01_answers.hpp"

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace beast_http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace culmen::listen {

namespace {

constexpr std::uint32_t max_header_bytes = 8 << 10;
constexpr std::string_view challenge_path = "/.well-known/acme-challenge/";

/// The path of a request target, in origin or absolute form, without the query.
std::string_view path_of(std::string_view target) {
  if (target.starts_with("http://")) {
    const std::size_t slash = target.find('/', 7);
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return target.substr(0, target.find('?'));
}

beast_http::response<beast_http::string_body> answer_to(const beast_http::request<beast_http::empty_body>& request,
                                                        const solvers::Http01Answers& answers) {
  beast_http::response<beast_http::string_body> response(beast_http::status::not_found, request.version());
  response.set(beast_http::field::content_type, "text/plain");
  const bool readable = request.method() == beast_http::verb::get || request.method() == beast_http::verb::head;
  if (!readable) {
    response.result(beast_http::status::method_not_allowed);
    response.set(beast_http::field::allow, "GET, HEAD");
  } else {
    const auto target = request.target();
    const std::string_view path = path_of(std::string_view(target.data(), target.size()));
    if (path.starts_with(challenge_path)) {
      if (std::optional<std::string> answer = answers.find(path.substr(challenge_path.size()))) {
        response.result(beast_http::status::ok);
        // RFC 8555 §8.3: "the HTTP server … should set the Content-Type header to application/octet-stream".
        response.set(beast_http::field::content_type, "application/octet-stream");
        response.body() = std::move(*answer);
      }
    }
  }
  response.keep_alive(request.keep_alive());
  response.content_length(response.body().size());
  return response;
}

/// Answers requests one after the other, for at most ten seconds in total. Runs on its own strand.
class HttpConnection final : public Connection {
 public:
  HttpConnection(tcp::socket socket, std::shared_ptr<const solvers::Http01Answers> answers)
      : stream_(std::move(socket)), answers_(std::move(answers)) {}

  void run() override {
    asio::post(stream_.get_executor(), [self = this_one()] {
      self->stream_.expires_after(connection_lifetime);
      self->read();
    });
  }
  void close() override {
    asio::post(stream_.get_executor(), [self = this_one()] { self->stream_.close(); });
  }

 private:
  std::shared_ptr<HttpConnection> this_one() { return std::static_pointer_cast<HttpConnection>(shared_from_this()); }
  void read() {
    parser_.emplace();
    parser_->header_limit(max_header_bytes);
    beast_http::async_read(stream_, buffer_, *parser_,
                           [self = this_one()](error_code failed, std::size_t) { self->answer(failed); });
  }
  void answer(const error_code& failed) {
    if (failed == beast_http::error::end_of_stream || failed == beast::error::timeout ||
        failed == asio::error::operation_aborted) {
      return;
    }
    if (failed) {
      // A request that breaks HTTP, or one that carries a body.
      if (failed.category() != beast_http::make_error_code(beast_http::error::bad_method).category()) return;
      response_ = beast_http::response<beast_http::string_body>(beast_http::status::bad_request, 11);
      response_.keep_alive(false);
      response_.content_length(0);
    } else {
      response_ = answer_to(parser_->get(), *answers_);
    }
    serializer_.emplace(response_);
    const auto done = [self = this_one()](error_code broken, std::size_t) { self->written(broken); };
    if (!failed && parser_->get().method() == beast_http::verb::head) {
      beast_http::async_write_header(stream_, *serializer_, done);
    } else {
      beast_http::async_write(stream_, *serializer_, done);
    }
  }
  void written(const error_code& broken) {
    if (broken) return;
    if (response_.keep_alive()) {
      read();
    } else {
      error_code ignored;
      stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }
  }

  beast::tcp_stream stream_;
  std::shared_ptr<const solvers::Http01Answers> answers_;
  beast::flat_buffer buffer_{2 * max_header_bytes};
  std::optional<beast_http::request_parser<beast_http::empty_body>> parser_;
  beast_http::response<beast_http::string_body> response_;
  std::optional<beast_http::response_serializer<beast_http::string_body>> serializer_;
};

std::shared_ptr<Responder> make_responder(std::shared_ptr<const solvers::Http01Answers> answers) {
  ResponderErrorText error_text;
  error_text.challenge = "http-01";
  error_text.public_port = "80";
  error_text.alternative =
      "let it answer: put the files into its web root (--webroot), or listen on another port and have it pass " +
      std::string(challenge_path) + " on";
  return std::make_shared<Responder>(std::move(error_text), [answers](tcp::socket socket) {
    return std::make_shared<HttpConnection>(std::move(socket), answers);
  });
}

}  // namespace

}  // namespace culmen::listen

namespace culmen {

Http01Solver::Http01Solver(std::uint16_t port, std::string address)
    : wanted_port_(port),
      address_(std::move(address)),
      answers_(std::make_shared<solvers::Http01Answers>()),
      server_(listen::make_responder(answers_)) {}

}  // namespace culmen
