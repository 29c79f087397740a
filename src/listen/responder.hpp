// What the responders of http-01 and tls-alpn-01 have in common: sockets that listen, and their connections.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "solvers/challenge_server.hpp"

namespace culmen::listen {

class Listening;

/// No connection lives longer.
constexpr std::chrono::seconds connection_lifetime{10};

/// One connection; runs on the strand of its socket, and lives as long as something waits for it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection() = default;
  virtual ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  virtual void run() = 0;
  /// May be called from any thread.
  virtual void close() = 0;

 private:
  friend class Listening;

  std::weak_ptr<Listening> listening_;
  std::optional<std::list<std::weak_ptr<Connection>>::iterator> place_;  // of Listening, under its mutex
};

/// What a responder is for, to say so in errors.
struct ResponderKind {
  std::string challenge;     ///< "http-01"
  std::string port_to_keep;  ///< "80": the CA comes to no other.
  std::string instead;       ///< What else can be done when another program has the port.
};

/// Binds, accepts, and keeps the number of connections bounded. Every function may be called from any thread.
class Responder final : public solvers::ChallengeServer {
 public:
  using MakeConnection = std::function<std::shared_ptr<Connection>(boost::asio::ip::tcp::socket socket)>;

  Responder(ResponderKind kind, MakeConnection make) : kind_(std::move(kind)), make_(std::move(make)) {}
  ~Responder() override { stop(); }
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  /// Binds and serves on that executor. Throws Error (io_failed, invalid_argument); does so too when it is running.
  void start(const boost::asio::any_io_executor& executor, std::uint16_t port, const std::string& address);
  void start_thread(std::uint16_t port, const std::string& address) override;
  std::uint16_t port() const noexcept override;
  void stop() noexcept override;

 private:
  void begin(const boost::asio::any_io_executor& executor, std::uint16_t port, const std::string& address);

  const ResponderKind kind_;
  const MakeConnection make_;
  mutable std::mutex mutex_;
  // Owned by what waits on the executor, so that it goes with the executor's context if that goes first.
  std::weak_ptr<Listening> listening_;
  std::unique_ptr<boost::asio::io_context> own_context_;
  std::thread own_thread_;
};

}  // namespace culmen::listen
