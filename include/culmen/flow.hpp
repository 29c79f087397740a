// Flow<T>: protocol code that asks instead of doing, and Execution<T>: what a driver answers.
//
// A flow is a coroutine that awaits other flows and asks: send this request, wait this long, call this function.
// It never touches a socket, a clock or a thread. A driver runs it: it takes the asks from an Execution, carries them
// out in whatever way its world does that, and answers. The blocking and the Asio driver come with culmen; another
// event loop needs the few lines that examples/05_own_event_loop.cpp shows.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

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

// ---- What a driver sees: the asks ----

class Strand;

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

/// Calls the function of `ask`; what it throws becomes an Error (solver_failed).
Result<void> call_function(const CallAsk& ask);

// ---- Inside: strands ----

class ExecutionBase;
class AllState;

/// One line of control in an execution: a stack of flows of which the top one has at most one unanswered ask.
class Strand {
 public:
  Strand(ExecutionBase& execution, Strand* parent, AllState* all) noexcept;

  void asks(std::coroutine_handle<> leaf, Ask& ask);
  void finished();
  Instant now() const;
  void shield() noexcept { ++shields_; }
  void unshield() noexcept { --shields_; }
  ExecutionBase& execution() noexcept { return execution_; }

 private:
  friend class ExecutionBase;
  friend class AllState;
  ExecutionBase& execution_;
  Strand* parent_;
  AllState* all_;                // of the `all` this strand is a child of; nullptr for the root
  AllState* running_ = nullptr;  // of the `all` this strand waits for
  std::coroutine_handle<> leaf_;
  Ask* ask_ = nullptr;
  int shields_ = 0;
  bool cancel_due_ = false;
};

/// The part of `all` that does not depend on the result type: which children run, and who waits for them.
class AllState {
 public:
  void start(Strand& parent, std::coroutine_handle<> parent_handle, std::vector<std::coroutine_handle<>> children,
             std::vector<Strand**> slots, std::size_t width);
  void child_finished(Strand& child);

 private:
  friend class ExecutionBase;
  void start_next();
  Strand* parent_ = nullptr;
  std::coroutine_handle<> parent_handle_;
  std::deque<Strand> strands_;
  std::vector<std::coroutine_handle<>> children_;
  std::size_t next_ = 0;
  std::size_t finished_ = 0;
  bool start_cancelled_ = false;
};

/// An execution without its result type: what drivers work with.
class ExecutionBase {
 public:
  using Clock = std::function<Instant()>;

  ExecutionBase(const ExecutionBase&) = delete;
  ExecutionBase& operator=(const ExecutionBase&) = delete;

  /// Runs the flow as far as it goes without an answer, and returns an ask not returned before; nullptr when there is
  /// none: then the flow is done(), or waits for answers to asks already handed out.
  Ask* next();

  bool done() const noexcept { return done_; }

  /// The answer to an ask that next() returned. The ask is gone afterwards.
  void answer(SendAsk& ask, Result<HttpResponse> answer);
  void answer(WaitAsk& ask, Result<void> answer);
  void answer(CallAsk& ask, Result<void> answer);
  void answer(AwaitAsk& ask, Result<void> answer);

  /// Cancels: every send and wait that is not part of a clean-up is answered with Errc::cancelled, and `withdraw` is
  /// called with each of them that was handed out, so that the driver forgets it. Calls that run on are let finish;
  /// what follows them is cancelled. The execution then still has to be driven until done(): clean-up asks too.
  void cancel(const std::function<void(Ask&)>& withdraw);

 protected:
  explicit ExecutionBase(Clock clock);
  ~ExecutionBase() = default;
  void start(std::coroutine_handle<> root) { ready_.push_back(root); }
  Strand root_;

 private:
  friend class Strand;
  friend class AllState;
  void answered(Ask& ask);
  void cancel_strand(Strand& strand, const std::function<void(Ask&)>& withdraw);
  static void refuse(Ask& ask);

  Clock clock_;
  std::deque<std::coroutine_handle<>> ready_;
  std::deque<Ask*> asked_;
  bool done_ = false;
};

// ---- Flow ----

template <class T>
class Flow;

namespace detail {

class FlowPromiseBase {
 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }

  class FinalAwaiter {
   public:
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      FlowPromiseBase& promise = self.promise();
      if (promise.continuation) return promise.continuation;
      promise.strand->finished();
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }

  Strand* strand = nullptr;
  std::coroutine_handle<> continuation;
  std::exception_ptr exception;
};

template <class T>
class FlowPromise final : public FlowPromiseBase {
 public:
  Flow<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
  std::optional<T> value;
};

}  // namespace detail

/// A coroutine that computes a T by asking. Starts when it is awaited or executed; owns its frame.
template <class T>
class [[nodiscard]] Flow {
 public:
  using promise_type = detail::FlowPromise<T>;
  using value_type = T;

  Flow(Flow&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Flow& operator=(Flow&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Flow() {
    if (handle_) handle_.destroy();
  }

  class Awaiter {
   public:
    explicit Awaiter(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> parent) const noexcept {
      handle_.promise().strand = parent.promise().strand;
      handle_.promise().continuation = parent;
      return handle_;
    }
    T await_resume() const { return handle_.promise().take(); }

   private:
    std::coroutine_handle<promise_type> handle_;
  };
  Awaiter operator co_await() && noexcept { return Awaiter(handle_); }

  /// For `all` and Execution.
  std::coroutine_handle<promise_type> handle() const noexcept { return handle_; }

 private:
  friend promise_type;
  explicit Flow(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

template <class T>
Flow<T> detail::FlowPromise<T>::get_return_object() noexcept {
  return Flow<T>(std::coroutine_handle<FlowPromise<T>>::from_promise(*this));
}

/// Runs one flow. The driver that owns it must have dropped every ask before it destroys the execution.
/// Not thread-safe: one thread at a time.
template <class T>
class Execution final : public ExecutionBase {
 public:
  Execution(Flow<T> flow, Clock clock) : ExecutionBase(std::move(clock)), flow_(std::move(flow)) {
    flow_.handle().promise().strand = &root_;
    start(flow_.handle());
  }
  /// The flow's result; once, after done(). Rethrows what the flow let escape.
  T result() { return flow_.handle().promise().take(); }

 private:
  Flow<T> flow_;
};

// ---- What a flow can await ----

namespace detail {

template <class A, class Answer>
class AskAwaiter {
 public:
  template <class Input>
  explicit AskAwaiter(Input&& input) : ask_(std::forward<Input>(input)) {}
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> self) {
    self.promise().strand->asks(self, ask_);
  }
  Answer await_resume() { return std::move(*ask_.answer); }

 private:
  A ask_;
};

class NowAwaiter {
 public:
  NowAwaiter() = default;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) {
    now_ = self.promise().strand->now();
    return false;
  }
  Instant await_resume() const noexcept { return now_; }

 private:
  Instant now_;
};

/// Keeps cancellation away from the strand while it lives.
class Shield {
 public:
  explicit Shield(Strand* strand) noexcept : strand_(strand) { strand_->shield(); }
  Shield(Shield&& other) noexcept : strand_(std::exchange(other.strand_, nullptr)) {}
  Shield& operator=(Shield&&) = delete;
  ~Shield() {
    if (strand_) strand_->unshield();
  }

 private:
  Strand* strand_;
};

class ShieldAwaiter {
 public:
  ShieldAwaiter() = default;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    strand_ = self.promise().strand;
    return false;
  }
  Shield await_resume() const noexcept { return Shield(strand_); }

 private:
  Strand* strand_ = nullptr;
};

template <class T>
class AllAwaiter {
 public:
  AllAwaiter(std::vector<Flow<T>>&& flows, std::size_t width) : flows_(std::move(flows)), width_(width) {}
  bool await_ready() const noexcept { return flows_.empty(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> self) {
    std::vector<std::coroutine_handle<>> children;
    std::vector<Strand**> slots;
    children.reserve(flows_.size());
    slots.reserve(flows_.size());
    for (const Flow<T>& flow : flows_) {
      children.push_back(flow.handle());
      slots.push_back(&flow.handle().promise().strand);
    }
    state_.start(*self.promise().strand, self, std::move(children), std::move(slots), width_);
  }
  std::vector<T> await_resume() {
    std::vector<T> results;
    results.reserve(flows_.size());
    for (const Flow<T>& flow : flows_) results.push_back(flow.handle().promise().take());
    return results;
  }

 private:
  std::vector<Flow<T>> flows_;
  std::size_t width_;
  AllState state_;
};

}  // namespace detail

/// Asks for an HTTP exchange. The answer is the response, whatever its status, or why there is none.
inline detail::AskAwaiter<SendAsk, Result<HttpResponse>> send(HttpRequest request) {
  return detail::AskAwaiter<SendAsk, Result<HttpResponse>>(std::move(request));
}
/// Asks to let that much time pass.
inline detail::AskAwaiter<WaitAsk, Result<void>> wait(std::chrono::milliseconds duration) {
  return detail::AskAwaiter<WaitAsk, Result<void>>(duration);
}
/// Asks for a function call that may block: a file, a program, a user's own code.
inline detail::AskAwaiter<CallAsk, Result<void>> call(std::function<Result<void>()> function) {
  return detail::AskAwaiter<CallAsk, Result<void>>(std::move(function));
}
/// Asks to start something that reports when it is done.
inline detail::AskAwaiter<AwaitAsk, Result<void>> await_done(std::function<void(AwaitAsk::Done)> start) {
  return detail::AskAwaiter<AwaitAsk, Result<void>>(std::move(start));
}
/// The time, without waiting.
inline detail::NowAwaiter now() { return {}; }
/// Runs all flows side by side, at most `width` of them at a time (0: no limit); their results in order.
template <class T>
detail::AllAwaiter<T> all(std::vector<Flow<T>> flows, std::size_t width = 0) {
  return detail::AllAwaiter<T>(std::move(flows), width);
}
/// Runs a flow that cancellation does not touch: clean-up.
template <class T>
Flow<T> shielded(Flow<T> flow) {
  const detail::Shield shield = co_await detail::ShieldAwaiter();
  T result = co_await std::move(flow);
  co_return result;
}

}  // namespace culmen
