#include <utility>

#include "culmen/driver.hpp"

namespace culmen {

ExecutionBase::ExecutionBase(Clock clock) : root_(*this), clock_(std::move(clock)) {}

void ExecutionBase::start(std::coroutine_handle<> root) noexcept {
  root_.suspend(root);
  root_.ready();
}

Ask* ExecutionBase::next() {
  while (Strand* const strand = ready_.take_first()) {
    strand->is_ready_ = false;
    if (strand->finished_) {
      strand->end();
    } else {
      strand->leaf_.resume();
    }
  }
  Ask* const ask = asked_.take_first();
  if (ask) ask->state_ = Ask::State::handed_out;
  return ask;
}

void ExecutionBase::answered(Ask& ask) noexcept {
  Strand& strand = *ask.strand_;
  if (ask.state_ == Ask::State::queued) asked_.remove(ask);
  ask.state_ = Ask::State::idle;
  ask.strand_ = nullptr;
  strand.ask_ = nullptr;
  strand.ready();
}

void ExecutionBase::answer(SendAsk& ask, Result<HttpResponse> answer) {
  ask.answer.emplace(std::move(answer));
  answered(ask);
}
void ExecutionBase::answer(WaitAsk& ask, Result<void> answer) {
  ask.answer.emplace(std::move(answer));
  answered(ask);
}
void ExecutionBase::answer(CallAsk& ask, Result<void> answer) {
  ask.answer.emplace(std::move(answer));
  answered(ask);
}
void ExecutionBase::answer(AwaitAsk& ask, Result<void> answer) {
  ask.answer.emplace(std::move(answer));
  answered(ask);
}
void ExecutionBase::answer(ExchangeAsk& ask, Result<Bytes> answer) {
  ask.answer.emplace(std::move(answer));
  answered(ask);
}

void ExecutionBase::cancel() {
  if (!done_) root_.cancel();
}

Result<void> call_function(const CallAsk& ask) { return guarded_call(ask.function, ""); }

}  // namespace culmen
