// One exchange of bytes with a server, on a socket that does not block.
#pragma once

#include <optional>

#include "culmen/asks.hpp"
#include "drivers/reactor.hpp"

namespace culmen::drivers {

/// Performs one ExchangeRequest, except for its time limit. Not thread-safe. The request must outlive it.
class SocketExchange {
 public:
  explicit SocketExchange(const ExchangeRequest& request) noexcept : request_(request) {}
  ~SocketExchange();
  SocketExchange(const SocketExchange&) = delete;
  SocketExchange& operator=(const SocketExchange&) = delete;

  /// Opens the socket and begins. The outcome, if it is known at once.
  std::optional<Result<Bytes>> begin();
  /// Goes on: the socket is ready for what wanted() says, or has failed. The outcome, once it is known.
  std::optional<Result<Bytes>> advance();
  /// -1 before begin().
  int descriptor() const noexcept { return socket_; }
  /// What the socket has to be watched for: Readiness.
  int wanted() const noexcept { return wanted_; }
  /// The error when the time limit has passed.
  Error late() const;

 private:
  std::optional<Result<Bytes>> send_datagram();
  std::optional<Result<Bytes>> receive_datagram();
  std::optional<Result<Bytes>> connected();
  std::optional<Result<Bytes>> send_rest();
  std::optional<Result<Bytes>> receive_rest();
  Result<bool> is_accepted(const Bytes& answer) const;
  std::string doing() const;
  Error failed(const char* what, int number) const;
  Error too_long(std::size_t size) const;

  const ExchangeRequest& request_;
  int socket_ = -1;
  int wanted_ = 0;
  bool connected_ = false;
  Bytes to_send_;  // over TCP, with its length
  std::size_t sent_ = 0;
  Bytes received_;  // over TCP, with its length
};

}  // namespace culmen::drivers
