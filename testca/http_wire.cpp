#include "testca/http_wire.hpp"

#include <array>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/http/string_body.hpp>

#include "base/text.hpp"

namespace culmen::testca {

namespace asio = boost::asio;
namespace beast_http = boost::beast::http;

namespace {

// What the parser can use once there is more of it: a line, or the whole header, whose limit is lower.
constexpr std::size_t max_unparsed = 64 * 1024;

}  // namespace

template <class Parser>
asio::awaitable<void> HttpReader::read(Parser& parser, error_code& error) {
  parser.eager(true);
  std::array<char, 16384> chunk;
  for (;;) {
    if (!buffered_.empty()) {
      const std::size_t parsed = parser.put(asio::buffer(buffered_), error);
      buffered_.erase(0, parsed);
      if (error == beast_http::error::need_more) error = {};
      if (error || parser.is_done()) co_return;
      if (buffered_.size() > max_unparsed) {
        error = beast_http::error::header_limit;
        co_return;
      }
    }
    const std::size_t got = co_await stream_.read_some(asio::buffer(chunk), error);
    buffered_.append(chunk.data(), got);
    if (error == asio::error::eof) {
      error = {};
      if (!parser.got_some()) {
        error = beast_http::error::end_of_stream;
      } else {
        parser.put_eof(error);  // an answer without a length ends here; anything else is cut short
      }
      co_return;
    }
    if (error) co_return;
  }
}

asio::awaitable<Request> HttpReader::request(std::size_t max_body, bool& keep_alive, error_code& error) {
  beast_http::request_parser<beast_http::string_body> parser;
  parser.body_limit(max_body);
  co_await read(parser, error);
  Request request;
  if (error) co_return request;
  keep_alive = parser.keep_alive();
  auto message = parser.release();
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message) {
    request.headers.emplace_back(base::to_lower(std::string(field.name_string())), std::string(field.value()));
  }
  request.body = std::move(message.body());
  co_return request;
}

asio::awaitable<HttpAnswer> HttpReader::answer(std::size_t max_body, std::size_t max_header, error_code& error) {
  beast_http::response_parser<beast_http::string_body> parser;
  parser.body_limit(max_body);
  parser.header_limit(static_cast<std::uint32_t>(max_header));
  co_await read(parser, error);
  HttpAnswer answer;
  if (error) co_return answer;
  auto message = parser.release();
  answer.status = static_cast<int>(message.result_int());
  const auto location = message[beast_http::field::location];
  answer.location.assign(location.data(), location.size());
  answer.body = std::move(message.body());
  co_return answer;
}

bool is_body_limit(const error_code& error) { return error == beast_http::error::body_limit; }

std::string to_wire(const Reply& reply, bool head, bool keep_alive) {
  const auto reason = beast_http::obsolete_reason(static_cast<beast_http::status>(reply.status));
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " " + std::string(reason) + "\r\n";
  for (const auto& [name, value] : reply.headers) text += name + ": " + value + "\r\n";
  if (reply.status != 204) text += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  text += "\r\n";
  if (!head) text += reply.body;
  return text;
}

}  // namespace culmen::testca
