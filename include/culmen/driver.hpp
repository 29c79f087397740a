// For writing a driver: Execution<T> runs a flow and hands out its asks; the driver performs and answers them.
//
// For an event loop that can watch a file descriptor, PollDriver (poll_driver.hpp) is enough.
#pragma once

#include <coroutine>
#include <functional>
#include <utility>

#include "culmen/asks.hpp"
#include "culmen/flow.hpp"

namespace culmen {

/// Calls the function of `ask`. Never throws what the function throws: an Error is returned, any other exception
/// becomes an Error (solver_failed).
Result<void> call_function(const CallAsk& ask);

/// The part of a driver that drops asks it has not answered. Both functions are called on the execution's thread,
/// inside next(), cancel() or the destructor of the execution; they must not call the execution. An ask that was
/// answered is not passed to them.
class AskPerformer {
 public:
  /// The ask is cancelled: stop working on it, do not answer it, and return true. Only for a call whose function has
  /// begun return false: let it run, and answer it when it returns.
  virtual bool withdraw(Ask& ask) noexcept = 0;
  /// The ask is about to be destroyed: do not refer to it again. A function that runs may run on, without the ask.
  virtual void abandon(Ask& ask) noexcept = 0;

 protected:
  ~AskPerformer() = default;
};

/// An execution without its result type: the interface for drivers. Not thread-safe: all functions must be called on
/// one thread or strand at a time, also answer(). The flow's code runs inside next().
class ExecutionBase {
 public:
  /// The source of now(). Called inside next().
  using Clock = std::function<Instant()>;

  ExecutionBase(const ExecutionBase&) = delete;
  ExecutionBase& operator=(const ExecutionBase&) = delete;

  /// The performer to notify when an ask is withdrawn or abandoned; nullptr: none. Without a performer, asks that
  /// were handed out are only cancelled when they are answered, and the driver must have dropped every ask before the
  /// execution is destroyed. The performer must outlive the execution, or be replaced.
  void set_performer(AskPerformer* performer) noexcept { performer_ = performer; }

  /// Runs the flow until it needs an answer, and returns an ask that was not returned before. Returns nullptr if there
  /// is none: the flow is done(), or waits for answers to asks already handed out.
  Ask* next();

  bool done() const noexcept { return done_; }

  /// Answers an ask that next() returned. Do not use the ask afterwards.
  void answer(SendAsk& ask, Result<HttpResponse> answer);
  void answer(WaitAsk& ask, Result<void> answer);
  void answer(CallAsk& ask, Result<void> answer);
  void answer(AwaitAsk& ask, Result<void> answer);
  void answer(ExchangeAsk& ask, Result<Bytes> answer);

  /// Cancels the flow permanently: every ask outside shielded(), pending or new, is answered with Errc::cancelled. A
  /// call whose function has begun finishes first. Keep driving until done(): clean-up asks too. After a thousand
  /// refused asks the Error is thrown into the flow.
  void cancel();

 protected:
  explicit ExecutionBase(Clock clock);
  ~ExecutionBase() = default;
  void start(std::coroutine_handle<> root) noexcept;
  Strand root_;

 private:
  friend class Strand;
  void answered(Ask& ask) noexcept;

  Clock clock_;
  AskPerformer* performer_ = nullptr;
  detail::List<Strand> ready_;
  detail::List<Ask> asked_;
  bool done_ = false;
};

/// Performs the ask on the calling thread, blocking it, and answers it: the default for kinds of asks that a driver
/// does not know. HTTP requests go out with the default TransportOptions.
void perform_blocking(ExecutionBase& execution, Ask& ask);

/// Runs one flow. Thread safety as for ExecutionBase. May be destroyed at any time, except from inside the flow: the
/// asks that are out are then abandoned (AskPerformer).
template <class T>
class Execution final : public ExecutionBase {
 public:
  Execution(Flow<T> flow, Clock clock) : ExecutionBase(std::move(clock)), flow_(std::move(flow)) {
    flow_.handle().promise().strand = &root_;
    start(flow_.handle());
  }
  /// The flow's result. Call it once, after done(). Rethrows an exception that left the flow.
  T result() { return flow_.handle().promise().take(); }

 private:
  Flow<T> flow_;
};

}  // namespace culmen
