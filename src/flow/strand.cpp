#include <algorithm>
#include <utility>

#include "culmen/driver.hpp"

namespace culmen {

namespace {

/// After cancellation a flow may go on asking that often; then the refusal is thrown. No clean-up needs as many, and a
/// loop without end has one.
constexpr unsigned max_refusals = 1000;

template <class A>
void refuse_as(Ask& ask) {
  static_cast<A&>(ask).answer.emplace(Error(Errc::cancelled, ""));  // the flow adds what it was doing
}

}  // namespace

// ---- Group ----

Group::Group(Strand& parent) noexcept : parent_(parent), shielded_(parent.shields_ > 0) {
  parent_.groups_.append(*this);
}

Group::~Group() { parent_.groups_.remove(*this); }

void Group::start(Strand& child, std::coroutine_handle<> flow) noexcept {
  if (parent_.cancelled_ && !shielded_) {
    child.cancelled_ = true;
    child.refusals_ = parent_.refusals_;
  }
  child.leaf_ = flow;
  child.ready();
}

// ---- Strand ----

Strand::Strand(ExecutionBase& execution) noexcept : execution_(execution), group_(nullptr) {}

Strand::Strand(Group& group) noexcept : execution_(group.parent_.execution_), group_(&group) {}

Strand::~Strand() {
  if (is_ready_) execution_.ready_.remove(*this);
}

void Strand::asks(std::coroutine_handle<> leaf, Ask& ask) {
  leaf_ = leaf;
  ask_ = &ask;
  ask.strand_ = this;
  if (cancelled_ && shields_ == 0) {
    refuse(ask);
  } else if (ask.kind() != Ask::Kind::signal) {
    ask.state_ = Ask::State::queued;
    execution_.asked_.append(ask);
  }
}

void Strand::take_back(Ask& ask) noexcept {
  if (!ask.strand_) return;
  ExecutionBase& execution = ask.strand_->execution_;
  if (ask.state_ == Ask::State::queued) execution.asked_.remove(ask);
  if (ask.state_ == Ask::State::handed_out && execution.performer_) execution.performer_->abandon(ask);
  ask.state_ = Ask::State::idle;
  ask.strand_->ask_ = nullptr;
  ask.strand_ = nullptr;
}

void Strand::signal(SignalAsk& ask) {
  if (!ask.strand_) return;  // refused already
  ask.answer.emplace();
  ask.strand_->execution_.answered(ask);
}

void Strand::ready() noexcept {
  if (is_ready_) return;
  is_ready_ = true;
  execution_.ready_.append(*this);
}

// The final awaiter calls it, from where nothing may be thrown: next() does the rest.
void Strand::finished() noexcept {
  finished_ = true;
  ready();
}

void Strand::end() {
  if (!group_) {
    execution_.done_ = true;
    return;
  }
  Strand& parent = group_->parent_;
  // A parent that is not cancelled itself may see any number of its children cancelled, one deadline after another.
  if (parent.cancelled_ && !group_->shielded_) parent.refusals_ = std::max(parent.refusals_, refusals_);
  group_->child_finished(*this);
}

Instant Strand::now() const { return execution_.clock_(); }

void Strand::cancel() {
  cancelled_ = true;
  for (Group* group = groups_.first(); group; group = detail::List<Group>::after(*group)) {
    if (!group->shielded_) group->cancel_children();
  }
  if (!ask_ || shields_ > 0) return;
  Ask& ask = *ask_;
  if (ask.state_ == Ask::State::handed_out) {
    if (!execution_.performer_ || !execution_.performer_->withdraw(ask)) return;
  }
  refuse(ask);
}

void Strand::refuse(Ask& ask) {
  switch (ask.kind()) {
    case Ask::Kind::send: refuse_as<SendAsk>(ask); break;
    case Ask::Kind::wait: refuse_as<WaitAsk>(ask); break;
    case Ask::Kind::call: refuse_as<CallAsk>(ask); break;
    case Ask::Kind::await: refuse_as<AwaitAsk>(ask); break;
    case Ask::Kind::exchange: refuse_as<ExchangeAsk>(ask); break;
    case Ask::Kind::signal: refuse_as<SignalAsk>(ask); break;
  }
  ask.ends_flow_ = ++refusals_ > max_refusals;
  execution_.answered(ask);
}

// ---- FixedGroup ----

FixedGroup::FixedGroup(Strand& parent, std::vector<std::coroutine_handle<>> flows, std::size_t width, Until until)
    : Group(parent), flows_(std::move(flows)), width_(width == 0 ? flows_.size() : width), until_(until) {
  strands_.reserve(flows_.size());
  for (std::size_t i = 0; i < flows_.size(); ++i) strands_.push_back(std::make_unique<Strand>(*this));
}

void FixedGroup::begin() noexcept {
  while (next_ < std::min(width_, flows_.size())) start_next();
}

void FixedGroup::start_next() noexcept {
  if (next_ == flows_.size()) return;
  start(*strands_[next_], flows_[next_]);
  ++next_;
}

void FixedGroup::child_finished(Strand& child) {
  ++finished_;
  if (until_ == Until::first && finished_ == 1) {
    const auto ended = std::ranges::find(strands_, &child, &std::unique_ptr<Strand>::get);
    first_ = static_cast<std::size_t>(ended - strands_.begin());
    cancel_children();
  }
  start_next();
  if (finished_ == flows_.size()) parent().ready();
}

void FixedGroup::cancel_children() {
  for (std::size_t i = 0; i < next_; ++i) strands_[i]->cancel();
}

// ---- with_deadline ----

Flow<Result<void>> detail::just_wait(std::chrono::microseconds duration) {
  Result<void> waited = co_await wait(duration);
  co_return waited;
}

bool detail::is_cancellation(const std::exception_ptr& thrown) noexcept {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return error.code() == Errc::cancelled;
  } catch (...) {
    return false;
  }
}

Error detail::late(std::chrono::microseconds limit, std::string_view doing) {
  const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(limit).count();
  const std::string text =
      milliseconds % 1000 == 0 ? std::to_string(milliseconds / 1000) + " s" : std::to_string(milliseconds) + " ms";
  return Error(Errc::deadline, doing, "not finished within " + text);
}

}  // namespace culmen
