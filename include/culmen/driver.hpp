// For a driver of your own: Execution<T> runs a flow and hands out its asks; the driver performs and answers them.
//
// examples/05_own_event_loop.cpp shows one.
#pragma once

#include <coroutine>
#include <deque>
#include <functional>
#include <utility>

#include "culmen/asks.hpp"
#include "culmen/flow.hpp"

namespace culmen {

/// Calls the function of `ask`; what it throws becomes an Error (solver_failed).
Result<void> call_function(const CallAsk& ask);

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

}  // namespace culmen
