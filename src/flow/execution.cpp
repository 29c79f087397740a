#include <algorithm>
#include <utility>

#include "culmen/driver.hpp"

namespace culmen {

// ---- Strand ----

Strand::Strand(ExecutionBase& execution, Strand* parent, AllState* all) noexcept
    : execution_(execution), parent_(parent), all_(all) {
  if (parent_ && parent_->shields_ > 0) shields_ = 1;
}

void Strand::asks(std::coroutine_handle<> leaf, Ask& ask) {
  leaf_ = leaf;
  ask_ = &ask;
  ask.strand_ = this;
  if (cancel_due_ && shields_ == 0) {
    cancel_due_ = false;
    ExecutionBase::refuse(ask);
    execution_.answered(ask);
    return;
  }
  execution_.asked_.push_back(&ask);
}

void Strand::finished() {
  if (all_) {
    all_->child_finished(*this);
  } else {
    execution_.done_ = true;
  }
}

Instant Strand::now() const { return execution_.clock_(); }

// ---- all ----

void AllState::start(Strand& parent, std::coroutine_handle<> parent_handle,
                     std::vector<std::coroutine_handle<>> children, std::vector<Strand**> slots, std::size_t width) {
  parent_ = &parent;
  parent_handle_ = parent_handle;
  children_ = std::move(children);
  parent.running_ = this;
  for (Strand** slot : slots) *slot = &strands_.emplace_back(parent.execution(), &parent, this);
  const std::size_t first = width == 0 ? children_.size() : std::min(width, children_.size());
  for (std::size_t i = 0; i < first; ++i) start_next();
}

void AllState::start_next() {
  if (next_ == children_.size()) return;
  strands_[next_].cancel_due_ = start_cancelled_;
  parent_->execution_.ready_.push_back(children_[next_]);
  ++next_;
}

void AllState::child_finished(Strand& child) {
  if (child.cancel_due_) parent_->cancel_due_ = true;  // the child did not see the cancellation: pass it to the parent
  ++finished_;
  start_next();
  if (finished_ < children_.size()) return;
  parent_->running_ = nullptr;
  parent_->execution_.ready_.push_back(parent_handle_);
}

// ---- Execution ----

ExecutionBase::ExecutionBase(Clock clock) : root_(*this, nullptr, nullptr), clock_(std::move(clock)) {}

Ask* ExecutionBase::next() {
  while (!ready_.empty()) {
    const std::coroutine_handle<> handle = ready_.front();
    ready_.pop_front();
    handle.resume();
  }
  if (asked_.empty()) return nullptr;
  Ask* ask = asked_.front();
  asked_.pop_front();
  ask->handed_out_ = true;
  return ask;
}

void ExecutionBase::answered(Ask& ask) {
  Strand& strand = *ask.strand_;
  strand.ask_ = nullptr;
  ready_.push_back(strand.leaf_);
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

void ExecutionBase::refuse(Ask& ask) {
  Error error(Errc::cancelled, "");  // the flow adds what it was doing
  switch (ask.kind()) {
    case Ask::Kind::send: static_cast<SendAsk&>(ask).answer.emplace(std::move(error)); break;
    case Ask::Kind::wait: static_cast<WaitAsk&>(ask).answer.emplace(std::move(error)); break;
    case Ask::Kind::call: static_cast<CallAsk&>(ask).answer.emplace(std::move(error)); break;
    case Ask::Kind::await: static_cast<AwaitAsk&>(ask).answer.emplace(std::move(error)); break;
  }
}

void ExecutionBase::cancel(const std::function<void(Ask&)>& withdraw) {
  if (!done_) cancel_strand(root_, withdraw);
}

void ExecutionBase::cancel_strand(Strand& strand, const std::function<void(Ask&)>& withdraw) {
  if (AllState* all = strand.running_) {
    if (strand.shields_ > 0) {
      strand.cancel_due_ = true;
      return;
    }
    all->start_cancelled_ = true;
    for (std::size_t i = 0; i < all->next_; ++i) cancel_strand(all->strands_[i], withdraw);
    return;
  }
  Ask* ask = strand.ask_;
  const bool runs_on = ask && ask->handed_out_ && (ask->kind() == Ask::Kind::call || ask->kind() == Ask::Kind::await);
  if (!ask || strand.shields_ > 0 || runs_on) {
    strand.cancel_due_ = true;
    return;
  }
  if (ask->handed_out_) {
    withdraw(*ask);
  } else {
    std::erase(asked_, ask);
  }
  refuse(*ask);
  answered(*ask);
}

Result<void> call_function(const CallAsk& ask) { return guarded_call(ask.function, ""); }

}  // namespace culmen
