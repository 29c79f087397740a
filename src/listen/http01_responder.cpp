// A small HTTP server that answers http-01 requests and nothing else (RFC 8555 §8.3).
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

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

using Request = beast_http::request<beast_http::empty_body>;

std::string response_text(int minor_version, std::string_view status, std::string_view fields, std::string_view body,
                          bool keep_alive) {
  std::string text = minor_version == 0 ? "HTTP/1.0 " : "HTTP/1.1 ";
  text.append(status).append("\r\n").append(fields);
  text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  if (keep_alive && minor_version == 0) text += "Connection: keep-alive\r\n";
  return text += "\r\n";
}

std::string answer_to(const Request& request, const solvers::Http01Answers& answers) {
  const int minor_version = request.version() == 10 ? 0 : 1;
  const bool is_head = request.method() == beast_http::verb::head;
  if (request.method() != beast_http::verb::get && !is_head) {
    return response_text(minor_version, "405 Method Not Allowed", "Allow: GET, HEAD\r\n", "", request.keep_alive());
  }
  const std::string_view path = path_of(std::string_view(request.target().data(), request.target().size()));
  std::optional<std::string> answer;
  if (path.starts_with(challenge_path)) answer = answers.find(path.substr(challenge_path.size()));
  if (!answer) return response_text(minor_version, "404 Not Found", "", "", request.keep_alive());
  // RFC 8555 §8.3: "the HTTP server … should set the Content-Type header to application/octet-stream".
  const std::string head = response_text(minor_version, "200 OK", "Content-Type: application/octet-stream\r\n", *answer,
                                         request.keep_alive());
  return is_head ? head : head + *answer;
}

/// Answers requests one after the other, for at most ten seconds in total.
class HttpConnection final : public Connection {
 public:
  HttpConnection(Socket socket, std::shared_ptr<const solvers::Http01Answers> answers)
      : socket_(std::move(socket)), deadline_(socket_.get_executor()), answers_(std::move(answers)) {}

  void run() override {
    asio::post(socket_.get_executor(), handler([this] {
                 deadline_.expires_after(connection_lifetime);
                 deadline_.async_wait(handler([this](error_code cancelled) {
                   if (!cancelled) drop();
                 }));
                 read();
               }));
  }
  void close() override {
    asio::post(socket_.get_executor(), handler([this] { drop(); }));
  }

 private:
  void drop() noexcept override {
    deadline_.cancel();
    error_code ignored;
    socket_.close(ignored);
  }
  void read() {
    parser_.emplace();
    parser_->header_limit(max_header_bytes);
    beast_http::async_read(socket_, buffer_, *parser_,
                           handler([this](error_code failed, std::size_t) { answer(failed); }));
  }
  void answer(const error_code& failed) {
    const bool is_http_error =
        failed.category() == beast_http::make_error_code(beast_http::error::bad_method).category();
    if (failed && (!is_http_error || failed == beast_http::error::end_of_stream)) return drop();
    // A request that breaks HTTP, or one that carries a body, is the last one.
    const bool keep_alive = !failed && parser_->get().keep_alive();
    text_ = failed ? response_text(1, "400 Bad Request", "", "", false) : answer_to(parser_->get(), *answers_);
    asio::async_write(socket_, asio::buffer(text_), handler([this, keep_alive](error_code broken, std::size_t) {
                        if (broken) return drop();
                        if (keep_alive) return read();
                        error_code ignored;
                        socket_.shutdown(tcp::socket::shutdown_send, ignored);
                        deadline_.cancel();
                      }));
  }

  Socket socket_;
  ConnectionTimer deadline_;
  std::shared_ptr<const solvers::Http01Answers> answers_;
  beast::flat_buffer buffer_{2 * max_header_bytes};
  std::optional<beast_http::request_parser<beast_http::empty_body>> parser_;
  std::string text_;
};

std::shared_ptr<Responder> make_responder(std::shared_ptr<const solvers::Http01Answers> answers) {
  ResponderErrorText error_text;
  error_text.challenge = "http-01";
  error_text.public_port = "80";
  error_text.alternative =
      "let it answer: put the files into its web root (--webroot), or listen on another port and have it pass " +
      std::string(challenge_path) + " on";
  return std::make_shared<Responder>(std::move(error_text), [answers](Socket socket) {
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
