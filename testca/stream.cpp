#include "testca/stream.hpp"

#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

namespace culmen::testca {

namespace asio = boost::asio;
namespace beast = boost::beast;

namespace {

/// The part that is the same for both kinds. `Base` is Stream or TlsStream.
template <class Base, class AsioStream>
class StreamOver : public Base {
 public:
  template <class... Arguments>
  explicit StreamOver(Arguments&&... arguments) : stream_(std::forward<Arguments>(arguments)...) {}

  asio::awaitable<std::size_t> read_some(asio::mutable_buffer into, error_code& error) override {
    co_return co_await stream_.async_read_some(into, asio::redirect_error(asio::use_awaitable, error));
  }
  asio::awaitable<void> write(std::string_view bytes, error_code& error) override {
    co_await asio::async_write(stream_, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
  }
  void expires_after(std::chrono::seconds limit) override { beast::get_lowest_layer(stream_).expires_after(limit); }

 protected:
  AsioStream stream_;
};

using Tls = beast::ssl_stream<beast::tcp_stream>;

class TlsStreamOver final : public StreamOver<TlsStream, Tls> {
 public:
  using StreamOver::StreamOver;

  asio::awaitable<void> handshake_as_server(error_code& error) override {
    return handshake(asio::ssl::stream_base::server, error);
  }
  asio::awaitable<void> handshake_as_client(error_code& error) override {
    return handshake(asio::ssl::stream_base::client, error);
  }
  asio::awaitable<void> shutdown(error_code& error) override {
    co_await stream_.async_shutdown(asio::redirect_error(asio::use_awaitable, error));
  }
  SSL* native_handle() override { return stream_.native_handle(); }

 private:
  asio::awaitable<void> handshake(asio::ssl::stream_base::handshake_type side, error_code& error) {
    co_await stream_.async_handshake(side, asio::redirect_error(asio::use_awaitable, error));
  }
};

}  // namespace

std::unique_ptr<Stream> plain_stream(beast::tcp_stream stream) {
  return std::make_unique<StreamOver<Stream, beast::tcp_stream>>(std::move(stream));
}

std::unique_ptr<TlsStream> tls_stream(beast::tcp_stream stream, asio::ssl::context& context) {
  return std::make_unique<TlsStreamOver>(std::move(stream), context);
}

}  // namespace culmen::testca
