// Asks: the requests a flow makes to its driver.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <utility>

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

/// One request from a flow to its driver. Lives in the frame of the asking coroutine, and keeps its address until it is
/// answered or withdrawn. Not thread-safe: answer it through ExecutionBase::answer(), on the execution's thread.
class Ask {
 public:
  enum class Kind {
    send,   ///< SendAsk: exchange an HTTP request.
    wait,   ///< WaitAsk: wait for a duration.
    call,   ///< CallAsk: call a function that may block.
    await,  ///< AwaitAsk: start an operation that reports its result later.
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
  Kind kind_;
  bool handed_out_ = false;
  Strand* strand_ = nullptr;
};

/// Asks to send `request`. The answer is the response with any status, or the transport error.
class SendAsk final : public Ask {
 public:
  explicit SendAsk(HttpRequest request_) : Ask(Kind::send), request(std::move(request_)) {}
  HttpRequest request;
  std::optional<Result<HttpResponse>> answer;
};

/// Asks to wait for `duration`; zero and negative durations end at once.
class WaitAsk final : public Ask {
 public:
  explicit WaitAsk(std::chrono::milliseconds duration_) : Ask(Kind::wait), duration(duration_) {}
  std::chrono::milliseconds duration;
  std::optional<Result<void>> answer;
};

/// Asks to call `function`; see call_function() in driver.hpp. Cancellation does not interrupt the call.
class CallAsk final : public Ask {
 public:
  /// What the function does. Storing never waits until a function of the user returns.
  enum class Purpose { user_code, storing };
  explicit CallAsk(std::function<Result<void>()> function_, Purpose purpose_ = Purpose::user_code)
      : Ask(Kind::call), function(std::move(function_)), purpose(purpose_) {}
  /// May block: a driver with an event loop calls it on another thread. An Error it throws becomes the answer; any
  /// other exception becomes solver_failed.
  std::function<Result<void>()> function;
  Purpose purpose;
  std::optional<Result<void>> answer;
};

/// Asks to start an operation that reports its result later. Cancellation does not interrupt it: the execution waits
/// for the report.
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

}  // namespace culmen
