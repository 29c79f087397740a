// Shared by the responders of http-01 and tls-alpn-01: listening sockets and their connections.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>

#include "solvers/challenge_server.hpp"

namespace culmen::listen {

class Listening;

/// The executor of a connection. Not erased to any_io_executor: copies of that allocate, in functions of Asio that are
/// noexcept.
using ConnectionExecutor = boost::asio::strand<boost::asio::any_io_executor>;
using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, ConnectionExecutor>;
using ConnectionTimer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                      ConnectionExecutor>;

/// The maximum lifetime of a connection.
constexpr std::chrono::seconds connection_lifetime{10};

/// Whose connection it is, for a fair share: the address, of an IPv6 address the /64 network that one host may own.
boost::asio::ip::address source_of(const boost::asio::ip::address& peer);

/// One connection. Runs on the strand of its responder; kept alive by its pending operations.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection() = default;
  virtual ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  virtual void run() = 0;
  /// May be called from any thread.
  virtual void close() = 0;

 protected:
  /// Closes the socket. Called on the strand.
  virtual void drop() noexcept = 0;
  /// A completion handler that keeps the connection alive. No exception leaves it, whoever runs the executor: it drops
  /// the connection.
  template <class Step>
  auto handler(Step step) {
    return [self = shared_from_this(), step](auto&&... results) noexcept {
      try {
        step(std::forward<decltype(results)>(results)...);
      } catch (...) {
        self->drop();
      }
    };
  }

 private:
  friend class Listening;
  std::weak_ptr<Listening> listening_;
};

/// What a responder's error messages say about it.
struct ResponderErrorText {
  std::string challenge;    ///< "http-01"
  std::string public_port;  ///< "80": the port the CA connects to.
  std::string alternative;  ///< What the operator can do instead when another program uses the port.
};

/// Binds, accepts, and keeps the number of connections bounded. Every function may be called from any thread.
///
/// No exception leaves a handler, whoever runs the executor: it ends the connection at most. If accepting itself
/// fails, the responder stops: port() is 0, and start() works again.
class Responder final : public solvers::ChallengeServer {
 public:
  using MakeConnection = std::function<std::shared_ptr<Connection>(Socket socket)>;

  Responder(ResponderErrorText error_text, MakeConnection make)
      : error_text_(std::move(error_text)), make_(std::move(make)) {}
  ~Responder() override { stop(); }
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  /// Binds, and serves on that executor. Throws Error (io_failed, invalid_argument: also when it is running).
  void start(const boost::asio::any_io_executor& executor, std::uint16_t port, const std::string& address);
  void start_thread(std::uint16_t port, const std::string& address) override;
  std::uint16_t port() const noexcept override;
  void stop() noexcept override;

 private:
  void begin(const boost::asio::any_io_executor& executor, std::uint16_t port, const std::string& address);
  void end_thread() noexcept;

  const ResponderErrorText error_text_;
  const MakeConnection make_;
  mutable std::mutex mutex_;
  // Owned by its pending operations, so that it is destroyed with the executor's context if that is destroyed first.
  std::weak_ptr<Listening> listening_;
  std::unique_ptr<boost::asio::io_context> own_context_;
  std::thread own_thread_;
};

}  // namespace culmen::listen
