// For writing a driver: Execution<T> runs a flow and hands out its asks; the driver performs and answers them.
//
// examples/05_own_event_loop.cpp is an example.
#pragma once

#include <coroutine>
#include <deque>
#include <functional>
#include <utility>

#include "culmen/asks.hpp"
#include "culmen/flow.hpp"

namespace culmen {

/// Calls the function of `ask`. Never throws what the function throws: an Error is returned, any other exception
/// becomes an Error (solver_failed).
Result<void> call_function(const CallAsk& ask);

/// An execution without its result type: the interface for drivers. Not thread-safe: all functions must be called on
/// one thread or strand at a time, also answer(). The flow's code runs inside next().
class ExecutionBase {
 public:
  /// The source of now(). Called inside next().
  using Clock = std::function<Instant()>;

  ExecutionBase(const ExecutionBase&) = delete;
  ExecutionBase& operator=(const ExecutionBase&) = delete;

  /// Runs the flow until it needs an answer, and returns an ask that was not returned before. Returns nullptr if there
  /// is none: the flow is done(), or waits for answers to asks already handed out.
  Ask* next();

  bool done() const noexcept { return done_; }

  /// Answers an ask that next() returned. Do not use the ask afterwards.
  void answer(SendAsk& ask, Result<HttpResponse> answer);
  void answer(WaitAsk& ask, Result<void> answer);
  void answer(CallAsk& ask, Result<void> answer);
  void answer(AwaitAsk& ask, Result<void> answer);

  /// Cancels the flow: every pending send and wait outside shielded() is answered with Errc::cancelled. `withdraw` is
  /// called with each of those that was handed out; the driver must stop working on it and not answer it. A call or
  /// await in progress finishes first; the next ask after it is cancelled. Keep driving until done(): clean-up asks
  /// too.
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

/// Runs one flow. Thread safety as for ExecutionBase. The driver must have dropped every ask before the execution is
/// destroyed.
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
