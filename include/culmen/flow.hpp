// Flow<T>: protocol code that asks for I/O instead of doing it.
//
// A flow is a coroutine that awaits other flows and asks: send this request, wait this long, call this function. It
// never uses a socket, a clock or a thread. A driver performs each ask with whatever I/O it has, and answers it. culmen
// has drivers for any event loop (poll_driver.hpp), for Asio and for blocking calls (the clients' run()), and one in
// virtual time for tests (virtual_driver.hpp); see driver.hpp to write another.
//
// GCC 12 destroys some temporaries of a statement with co_await twice, without a warning: lambdas with captures,
// aggregates, `?:`. Put them into variables first. It rejects braced lists in such statements, such as {&solver}
// ("array used as initializer"), and does not warn if the Result of a co_await is discarded.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "culmen/asks.hpp"
#include "culmen/detail/flow_machine.hpp"
#include "culmen/http.hpp"
#include "culmen/result.hpp"

namespace culmen {

/// A coroutine that computes a T and asks for I/O. Starts when it is awaited or executed. Owns its coroutine frame;
/// await it at most once. Not thread-safe.
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

  /// The awaiter of co_await. Must not outlive the flow.
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
struct First;

template <class T>
Flow<T> detail::FlowPromise<T>::get_return_object() noexcept {
  return Flow<T>(std::coroutine_handle<FlowPromise<T>>::from_promise(*this));
}

namespace detail {

/// Resumes with the result of the flow that ended first.
template <class T>
class FirstAwaiter final : public GroupAwaiter<T> {
 public:
  explicit FirstAwaiter(std::vector<Flow<T>>&& flows)
      : GroupAwaiter<T>(std::move(flows), 0, FixedGroup::Until::first) {}
  First<T> await_resume() {
    check_access(!this->flows_.empty());
    const std::size_t first = this->group_->first();
    return First<T>(first, this->flows_[first].handle().promise().take());
  }
};

/// How a flow ended.
template <class T>
class Ending {
 public:
  Ending() = default;
  std::optional<Result<T>> result;
  std::exception_ptr thrown;
};
template <class T>
Flow<Result<void>> keep_ending(Flow<Result<T>> flow, Ending<T>* ending) {
  try {
    Result<T> result = co_await std::move(flow);
    ending->result.emplace(std::move(result));
  } catch (...) {
    ending->thrown = std::current_exception();
  }
  co_return Result<void>();
}
Flow<Result<void>> just_wait(std::chrono::microseconds duration);
/// Whether it is an Error with Errc::cancelled.
bool is_cancellation(const std::exception_ptr& thrown) noexcept;
/// The error of with_deadline().
Error late(std::chrono::microseconds limit, std::string_view doing);

}  // namespace detail

// ---- What a flow can await ----

/// Asks for an HTTP exchange. The answer is the response with any status, or the transport error.
inline detail::AskAwaiter<SendAsk, Result<HttpResponse>> send(HttpRequest request) {
  return detail::AskAwaiter<SendAsk, Result<HttpResponse>>(std::move(request));
}
/// Asks to wait for `duration`. The answer is an error only on cancellation.
inline detail::AskAwaiter<WaitAsk, Result<void>> wait(std::chrono::microseconds duration) {
  return detail::AskAwaiter<WaitAsk, Result<void>>(duration);
}
/// Asks to call a function that may block: a program, a user's callback. See CallAsk. Capture by value what it uses: it
/// may still run after the flow was destroyed. With GCC 12, put a lambda with captures into a variable first (see
/// above).
inline detail::AskAwaiter<CallAsk, Result<void>> call(std::function<Result<void>()> function) {
  return detail::AskAwaiter<CallAsk, Result<void>>(std::move(function));
}
/// The same for a function that stores something durable, such as a key. It never waits behind one given to call().
inline detail::AskAwaiter<CallAsk, Result<void>> call_storing(std::function<Result<void>()> function) {
  return detail::AskAwaiter<CallAsk, Result<void>>(std::move(function), CallAsk::Purpose::storing);
}
/// Asks to start an operation that reports its result later. See AwaitAsk.
inline detail::AskAwaiter<AwaitAsk, Result<void>> await_done(std::function<void(AwaitAsk::Done)> start) {
  return detail::AskAwaiter<AwaitAsk, Result<void>>(std::move(start));
}
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
// GCC 12 destroys what a lambda captures twice if it is written inside a co_await statement. Put it into a variable.
namespace detail {
template <class F>
constexpr bool is_std_function = false;
template <class Signature>
constexpr bool is_std_function<std::function<Signature>> = true;
/// A temporary that is no std::function: most likely a lambda, written in place.
template <class F>
concept LambdaInPlace = std::is_class_v<F> && !is_std_function<F>;
}  // namespace detail
template <detail::LambdaInPlace F>
void call(F&&) = delete;
template <detail::LambdaInPlace F>
void call_storing(F&&) = delete;
template <detail::LambdaInPlace F>
void await_done(F&&) = delete;
template <class T, detail::LambdaInPlace F>
void guarded(F&&, std::string) = delete;
#endif
/// Asks for an exchange of bytes with one server, by UDP or TCP. See ExchangeAsk.
inline detail::AskAwaiter<ExchangeAsk, Result<Bytes>> exchange_message(ExchangeRequest request) {
  return detail::AskAwaiter<ExchangeAsk, Result<Bytes>>(std::move(request));
}
/// The current time. Never waits.
inline detail::NowAwaiter now() { return {}; }
/// Runs all flows concurrently (interleaved, not in parallel), at most `width` at a time (0: no limit). Returns their
/// results in order. If a flow ends by an exception, rethrows the first one, once all have ended.
template <class T>
detail::AllAwaiter<T> all(std::vector<Flow<T>> flows, std::size_t width = 0) {
  return detail::AllAwaiter<T>(std::move(flows), width);
}
/// What first_of() returns. A plain value.
template <class T>
struct First {
  First(std::size_t index_, T result_) : index(index_), result(std::move(result_)) {}
  std::size_t index;  ///< Of the flow that ended first.
  T result;
};
/// Runs all flows concurrently until one ends, cancels the others and waits for them to end. If the first one ends by
/// an exception, rethrows it. `flows` must not be empty.
template <class T>
detail::FirstAwaiter<T> first_of(std::vector<Flow<T>> flows) {
  return detail::FirstAwaiter<T>(std::move(flows));
}

/// Runs a flow for at most `limit`, then cancels it, waits for it to end, and returns Errc::deadline. If the flow
/// ends with success or with another error in spite of that, returns its result. `doing` is for the error.
template <class T>
Flow<Result<T>> with_deadline(Flow<Result<T>> flow, std::chrono::microseconds limit, std::string doing) {
  detail::Ending<T> ending;
  std::vector<Flow<Result<void>>> both;
  both.push_back(detail::keep_ending(std::move(flow), &ending));
  both.push_back(detail::just_wait(limit));
  First<Result<void>> first = co_await first_of(std::move(both));
  const bool time_is_up = first.index == 1 && first.result;
  // A flow that goes on asking is ended by an exception.
  if (ending.thrown && time_is_up && detail::is_cancellation(ending.thrown)) co_return detail::late(limit, doing);
  if (ending.thrown) std::rethrow_exception(ending.thrown);
  Result<T>& result = *ending.result;
  if (time_is_up && !result && result.error().code() == Errc::cancelled) co_return detail::late(limit, doing);
  co_return std::move(result);
}

/// Runs a flow of the user's (a solver, a provider), which `make` returns. What `make` or the flow throws becomes an
/// Error: an Error with `doing` before it, any other exception as solver_failed. Returned errors stay as they are. Give
/// T, as in guarded<void>(make, "…"), unless `make` is a std::function.
template <class T>
Flow<Result<T>> guarded(std::function<Flow<Result<T>>()> make, std::string doing) {
  std::exception_ptr thrown;
  try {
    Flow<Result<T>> flow = make();
    Result<T> result = co_await std::move(flow);
    co_return result;
  } catch (...) {
    thrown = std::current_exception();
  }
  co_return error_from_exception(thrown, doing);
}
/// Runs a flow that cancellation does not affect. For clean-up.
template <class T>
Flow<T> shielded(Flow<T> flow) {
  Strand* const strand = co_await detail::StrandAwaiter();
  const detail::Shield shield(strand);
  T result = co_await std::move(flow);
  co_return result;
}

}  // namespace culmen
