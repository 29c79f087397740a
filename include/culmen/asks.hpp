// The asks: what a flow can ask its driver to do.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <utility>

#include "culmen/http.hpp"
#include "culmen/result.hpp"

namespace culmen {

/// Both clocks, read at one moment: the calendar for what servers say, the steady one for deadlines.
struct Instant {
  Instant() = default;
  Instant(std::chrono::system_clock::time_point wall_, std::chrono::steady_clock::time_point steady_)
      : wall(wall_), steady(steady_) {}
  std::chrono::system_clock::time_point wall;
  std::chrono::steady_clock::time_point steady;
};

class Strand;
class ExecutionBase;

/// One thing a flow asks for. It lives in the asking coroutine; its address is its name until it is answered.
class Ask {
 public:
  enum class Kind {
    send,   ///< SendAsk: exchange an HTTP request.
    wait,   ///< WaitAsk: let time pass.
    call,   ///< CallAsk: call a function that may block.
    await,  ///< AwaitAsk: start something that reports later.
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

class SendAsk final : public Ask {
 public:
  explicit SendAsk(HttpRequest request_) : Ask(Kind::send), request(std::move(request_)) {}
  HttpRequest request;
  std::optional<Result<HttpResponse>> answer;
};

class WaitAsk final : public Ask {
 public:
  explicit WaitAsk(std::chrono::milliseconds duration_) : Ask(Kind::wait), duration(duration_) {}
  std::chrono::milliseconds duration;
  std::optional<Result<void>> answer;
};

class CallAsk final : public Ask {
 public:
  explicit CallAsk(std::function<Result<void>()> function_) : Ask(Kind::call), function(std::move(function_)) {}
  /// May block. A driver with a loop calls it on another thread. Exceptions it throws become the answer.
  std::function<Result<void>()> function;
  std::optional<Result<void>> answer;
};

class AwaitAsk final : public Ask {
 public:
  using Done = std::function<void(Result<void>)>;
  explicit AwaitAsk(std::function<void(Done)> start_) : Ask(Kind::await), start(std::move(start_)) {}
  /// Called once by the driver; must see to it that `Done` is called exactly once, from any thread, now or later.
  std::function<void(Done)> start;
  std::optional<Result<void>> answer;
};

}  // namespace culmen
