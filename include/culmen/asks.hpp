// Asks: the requests a flow makes to its driver.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "culmen/bytes.hpp"
#include "culmen/http.hpp"
#include "culmen/result.hpp"

namespace culmen {

/// Both clocks, read at the same time: wall-clock time for dates in responses, steady time for deadlines. A plain
/// value.
struct Instant {
  Instant() = default;
  Instant(std::chrono::system_clock::time_point wall_, std::chrono::steady_clock::time_point steady_)
      : wall(wall_), steady(steady_) {}
  std::chrono::system_clock::time_point wall;
  std::chrono::steady_clock::time_point steady;
};

class Strand;
class ExecutionBase;
namespace detail {
template <class Item>
class List;
}

/// One request from a flow to its driver. Lives in the frame of the asking coroutine, and keeps its address until it is
/// answered, withdrawn or abandoned (AskPerformer). Not thread-safe: answer it through ExecutionBase::answer(), on the
/// execution's thread.
class Ask {
 public:
  /// More kinds may come: a driver gives those it does not know to perform_blocking() (driver.hpp).
  enum class Kind {
    send,      ///< SendAsk: exchange an HTTP request.
    wait,      ///< WaitAsk: wait for a duration.
    call,      ///< CallAsk: call a function that may block.
    await,     ///< AwaitAsk: start an operation that reports its result later.
    exchange,  ///< ExchangeAsk: send bytes to a server, and receive its answer.
    signal,    ///< Internal: flows of one execution wait for each other. Drivers never see it.
  };
  Kind kind() const noexcept { return kind_; }

  Ask(const Ask&) = delete;
  Ask& operator=(const Ask&) = delete;

 protected:
  explicit Ask(Kind kind) noexcept : kind_(kind) {}
  ~Ask() = default;

 private:
  friend class ExecutionBase;
  friend class Strand;
  friend class detail::List<Ask>;
  enum class State { idle, queued, handed_out };
  Kind kind_;
  State state_ = State::idle;
  bool ends_flow_ = false;    // refused so often that the flow has to end
  Strand* strand_ = nullptr;  // until it is answered
  Ask* before_ = nullptr;     // in the execution's queue
  Ask* after_ = nullptr;
};

/// Asks to send `request`. The answer is the response with any status, or the transport error.
class SendAsk final : public Ask {
 public:
  explicit SendAsk(HttpRequest request_) : Ask(Kind::send), request(std::move(request_)) {}
  HttpRequest request;
  std::optional<Result<HttpResponse>> answer;
};

/// Asks to wait for `duration`, at least; zero and negative durations end at once.
class WaitAsk final : public Ask {
 public:
  explicit WaitAsk(std::chrono::microseconds duration_) : Ask(Kind::wait), duration(duration_) {}
  std::chrono::microseconds duration;
  std::optional<Result<void>> answer;
};

/// Asks to call `function`; see call_function() in driver.hpp. Cancellation withdraws a call that has not begun, and
/// does not interrupt one that has.
class CallAsk final : public Ask {
 public:
  /// What the function does. A call that stores never waits behind a user's function.
  enum class Purpose { user_code, storing };
  explicit CallAsk(std::function<Result<void>()> function_, Purpose purpose_ = Purpose::user_code)
      : Ask(Kind::call), function(std::move(function_)), purpose(purpose_) {}
  /// May block: a driver with an event loop calls it on another thread. An Error it throws becomes the answer; any
  /// other exception becomes solver_failed. It may still run when the flow and the driver are gone.
  std::function<Result<void>()> function;
  Purpose purpose;
  std::optional<Result<void>> answer;
};

/// Asks to start an operation that reports its result later. Cancellation does not interrupt the operation, but answers
/// the ask: a later report is ignored.
class AwaitAsk final : public Ask {
 public:
  using Done = std::function<void(Result<void>)>;
  explicit AwaitAsk(std::function<void(Done)> start_) : Ask(Kind::await), start(std::move(start_)) {}
  /// Called once by the driver, on the execution's thread; must not block. It must arrange for `Done` to be called
  /// once, on any thread, before or after it returns. Later calls are ignored. culmen's drivers answer with an
  /// exception that it throws, and with solver_failed if the last copy of `Done` is destroyed without a call.
  std::function<void(Done)> start;
  std::optional<Result<void>> answer;
};

/// Bytes for one server, and how to recognize its answer, as DNS does it (RFC 1035 §4.2). A plain value with a
/// callback.
struct ExchangeRequest {
  enum class Transport {
    udp,  ///< One datagram out, one back. Nothing is sent again.
    tcp,  ///< One message each way, after its length in two octets, which the driver adds and removes.
  };
  ExchangeRequest(Transport transport_, std::string address_, std::uint16_t port_, Bytes message_)
      : transport(transport_), address(std::move(address_)), port(port_), message(std::move(message_)) {}

  Transport transport;
  std::string address;  ///< An IPv4 or IPv6 address; a name is invalid_argument.
  std::uint16_t port;
  Bytes message;
  std::chrono::milliseconds time_limit{5000};  ///< For the whole exchange; then the error is timeout.
  std::size_t max_response_bytes = 65535;      ///< A longer message is response_too_large, before `accepts` sees it.
  /// Whether the bytes are the answer. Over UDP other datagrams are ignored, so that a forged or late one does not end
  /// the exchange; over TCP they are bad_response. Called on the execution's thread; must not block. What it throws
  /// ends the exchange, as error_from_exception() makes it. Empty: every message is accepted.
  std::function<bool(ByteView)> accepts;
};

/// Asks to exchange bytes with one server. The answer is its message, or the error: connection_failed, timeout,
/// response_too_large, bad_response, invalid_argument.
class ExchangeAsk final : public Ask {
 public:
  explicit ExchangeAsk(ExchangeRequest request_) : Ask(Kind::exchange), request(std::move(request_)) {}
  ExchangeRequest request;
  std::optional<Result<Bytes>> answer;
};

/// Internal: waits until another flow of the execution signals it.
class SignalAsk final : public Ask {
 public:
  SignalAsk() noexcept : Ask(Kind::signal) {}
  std::optional<Result<void>> answer;
};

}  // namespace culmen
