// HTTP/1.1 messages on a stream.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "testca/http_message.hpp"
#include "testca/stream.hpp"

namespace culmen::testca {

/// What a web server answered, as far as the CA looks at it.
struct HttpAnswer {
  HttpAnswer() = default;
  int status = 0;
  std::string location;
  std::string body;
};

/// Reads one message after the other. Bodies and headers over the limits are an error (see is_body_limit); so is
/// anything else that does not end, such as the extension of a chunk.
class HttpReader {
 public:
  explicit HttpReader(Stream& stream) : stream_(stream) {}

  boost::asio::awaitable<Request> request(std::size_t max_body, bool& keep_alive, error_code& error);
  boost::asio::awaitable<HttpAnswer> answer(std::size_t max_body, std::size_t max_header, error_code& error);

 private:
  template <class Parser>
  boost::asio::awaitable<void> read(Parser& parser, error_code& error);

  Stream& stream_;
  std::string buffered_;  // read, and not parsed yet
};

/// Whether the error is that of a body that is too long.
bool is_body_limit(const error_code& error);

/// The reply as it goes out; without the body for HEAD.
std::string to_wire(const Reply& reply, bool head, bool keep_alive);

}  // namespace culmen::testca
