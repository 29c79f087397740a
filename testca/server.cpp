#include "testca/server.hpp"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "base/text.hpp"
#include "culmen/error.hpp"

namespace culmen::testca {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace beast_http = beast::http;
using tcp = asio::ip::tcp;
using Stream = beast::ssl_stream<beast::tcp_stream>;

namespace {

constexpr std::chrono::seconds idle_limit{60};
constexpr std::size_t max_http_body = 1 << 20;  // what ACME allows is judged further in, with a problem document
constexpr std::size_t endless_megabytes = 256;

beast_http::response<beast_http::string_body> to_beast(const Reply& reply, bool head) {
  beast_http::response<beast_http::string_body> response(static_cast<beast_http::status>(reply.status), 11);
  for (const auto& [name, value] : reply.headers) response.insert(name, value);
  if (!head) response.body() = reply.body;
  bool has_length = reply.status != 204;
  if (has_length) response.content_length(reply.body.size());
  return response;
}

Request to_request(beast_http::request<beast_http::string_body>&& message) {
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  for (const auto& field : message) {
    request.headers.emplace_back(base::to_lower(std::string(field.name_string())), std::string(field.value()));
  }
  request.body = std::move(message.body());
  return request;
}

}  // namespace

class HttpsServer::Impl {
 public:
  Impl(const std::string& address, std::uint16_t port, const Authority::TlsIdentity& identity, Handler handler,
       std::function<void()> connected)
      : handler_(std::move(handler)), connected_(std::move(connected)), acceptor_(context_) {
    tls_.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_tlsv1 |
                     asio::ssl::context::no_tlsv1_1);
    tls_.use_certificate_chain(asio::buffer(identity.certificate_pem));
    tls_.use_private_key(asio::buffer(identity.key_pem), asio::ssl::context::pem);
    bind(address, port);
  }

  ~Impl() {
    context_.stop();
    for (std::thread& thread : threads_) thread.join();
  }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void start() {
    asio::co_spawn(context_, accept(), asio::detached);
    unsigned count = std::clamp(std::thread::hardware_concurrency(), 2u, 4u);
    for (unsigned i = 0; i < count; ++i) threads_.emplace_back([this] { context_.run(); });
  }

 private:
  void bind(const std::string& address, std::uint16_t port) {
    std::string doing = "starting the test CA on " + address + " port " + std::to_string(port);
    boost::system::error_code error;
    tcp::endpoint endpoint(asio::ip::make_address(address, error), port);
    if (error) throw Error(Errc::invalid_argument, doing, "the address must be an IPv4 or IPv6 address");
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) return;
    std::string what = error.message();
    if (error == asio::error::address_in_use) what += "; choose another port, or 0 for any free one";
    if (error == asio::error::access_denied) what += "; ports below 1024 need root";
    throw Error(Errc::io_failed, doing, what).with_system_code(error);
  }

  asio::awaitable<void> accept() {
    while (true) {
      boost::system::error_code error;
      auto executor = asio::make_strand(context_);
      tcp::socket socket(executor);
      co_await acceptor_.async_accept(socket, asio::redirect_error(asio::use_awaitable, error));
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // out of descriptors, mostly: wait for some to be closed
        asio::steady_timer pause(context_, std::chrono::milliseconds(50));
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      socket.set_option(tcp::no_delay(true), error);
      asio::co_spawn(executor, serve(std::move(socket)), asio::detached);
    }
  }

  asio::awaitable<void> serve(tcp::socket socket) {
    Stream stream(std::move(socket), tls_);
    beast::tcp_stream& transport = beast::get_lowest_layer(stream);
    transport.expires_after(idle_limit);
    boost::system::error_code error;
    co_await stream.async_handshake(asio::ssl::stream_base::server, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    connected_();
    beast::flat_buffer buffer;
    while (true) {
      beast_http::request_parser<beast_http::string_body> parser;
      parser.body_limit(max_http_body);
      transport.expires_after(idle_limit);
      co_await beast_http::async_read(stream, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      bool keep_alive = parser.keep_alive();
      bool head = parser.get().method() == beast_http::verb::head;
      Request request = to_request(parser.release());
      Reply reply = handler_(request);
      if (reply.delivery == Reply::Delivery::close) co_return;
      if (reply.delivery == Reply::Delivery::endless) {
        co_await write_endlessly(stream, reply);
        co_return;
      }
      beast_http::response<beast_http::string_body> response = to_beast(reply, head);
      response.keep_alive(keep_alive);
      if (head) {
        beast_http::response_serializer<beast_http::string_body> serializer(response);
        co_await beast_http::async_write_header(stream, serializer, asio::redirect_error(asio::use_awaitable, error));
      } else {
        co_await beast_http::async_write(stream, response, asio::redirect_error(asio::use_awaitable, error));
      }
      if (error || !keep_alive) break;
    }
    transport.expires_after(std::chrono::seconds(2));
    co_await stream.async_shutdown(asio::redirect_error(asio::use_awaitable, error));
  }

  asio::awaitable<void> write_endlessly(Stream& stream, const Reply& reply) {
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " OK\r\nConnection: close\r\n";
    for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
    head += "\r\n";
    boost::system::error_code error;
    co_await asio::async_write(stream, asio::buffer(head), asio::redirect_error(asio::use_awaitable, error));
    std::string megabyte(1 << 20, ' ');
    for (std::size_t i = 0; !error && i < endless_megabytes; ++i) {
      beast::get_lowest_layer(stream).expires_after(idle_limit);
      co_await asio::async_write(stream, asio::buffer(megabyte), asio::redirect_error(asio::use_awaitable, error));
    }
  }

  Handler handler_;
  std::function<void()> connected_;
  asio::ssl::context tls_{asio::ssl::context::tls_server};
  asio::io_context context_;
  tcp::acceptor acceptor_;
  std::vector<std::thread> threads_;
};

HttpsServer::HttpsServer(const std::string& address, std::uint16_t port, const Authority::TlsIdentity& identity,
                         Handler handler, std::function<void()> connected)
    : impl_(std::make_unique<Impl>(address, port, identity, std::move(handler), std::move(connected))) {}
HttpsServer::~HttpsServer() = default;

std::uint16_t HttpsServer::port() const { return impl_->port(); }
void HttpsServer::start() { impl_->start(); }

}  // namespace culmen::testca
