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
#include <boost/beast/core/tcp_stream.hpp>

#include "culmen/error.hpp"
#include "testca/http_wire.hpp"
#include "testca/stream.hpp"

namespace culmen::testca {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;

namespace {

constexpr std::chrono::seconds idle_limit{60};
constexpr std::size_t max_http_body = 1 << 20;  // what ACME allows is judged further in, with a problem document
constexpr std::size_t endless_megabytes = 256;

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
    const std::unique_ptr<TlsStream> stream = tls_stream(beast::tcp_stream(std::move(socket)), tls_);
    stream->expires_after(idle_limit);
    boost::system::error_code error;
    co_await stream->handshake_as_server(error);
    if (error) co_return;
    connected_();
    HttpReader reader(*stream);
    bool keep_alive = true;
    while (keep_alive) {
      stream->expires_after(idle_limit);
      const Request request = co_await reader.request(max_http_body, keep_alive, error);
      if (error) break;
      const Reply reply = handler_(request);
      if (reply.after.count() > 0) {
        asio::steady_timer pause(context_, reply.after);
        co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
        stream->expires_after(idle_limit);
      }
      if (reply.delivery == Reply::Delivery::close) co_return;
      if (reply.delivery == Reply::Delivery::endless) {
        co_await write_endlessly(*stream, reply);
        co_return;
      }
      const std::string text = to_wire(reply, request.method == "HEAD", keep_alive);
      co_await stream->write(text, error);
      if (error) break;
    }
    stream->expires_after(std::chrono::seconds(2));
    co_await stream->shutdown(error);
  }

  asio::awaitable<void> write_endlessly(Stream& stream, const Reply& reply) {
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " OK\r\nConnection: close\r\n";
    for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
    head += "\r\n";
    boost::system::error_code error;
    co_await stream.write(head, error);
    const std::string megabyte(1 << 20, ' ');
    for (std::size_t i = 0; !error && i < endless_megabytes; ++i) {
      stream.expires_after(idle_limit);
      co_await stream.write(megabyte, error);
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
