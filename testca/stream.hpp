// Connections of the test CA, plain or TLS. What they need of Asio's and Beast's stream templates is compiled in
// stream.cpp.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/beast/core/tcp_stream.hpp>

namespace culmen::testca {

using boost::system::error_code;

/// Operations that are not done by the time set with expires_after() end with beast::error::timeout.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual boost::asio::awaitable<std::size_t> read_some(boost::asio::mutable_buffer into, error_code& error) = 0;
  /// All of it.
  virtual boost::asio::awaitable<void> write(std::string_view bytes, error_code& error) = 0;
  virtual void expires_after(std::chrono::seconds limit) = 0;
};

class TlsStream : public Stream {
 public:
  virtual boost::asio::awaitable<void> handshake_as_server(error_code& error) = 0;
  virtual boost::asio::awaitable<void> handshake_as_client(error_code& error) = 0;
  virtual boost::asio::awaitable<void> shutdown(error_code& error) = 0;
  virtual SSL* native_handle() = 0;
};

std::unique_ptr<Stream> plain_stream(boost::beast::tcp_stream stream);
/// `context` must outlive the stream.
std::unique_ptr<TlsStream> tls_stream(boost::beast::tcp_stream stream, boost::asio::ssl::context& context);

}  // namespace culmen::testca
