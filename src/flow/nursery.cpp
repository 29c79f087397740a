#include "culmen/nursery.hpp"

#include <deque>
#include <map>
#include <utility>

namespace culmen {

class Nursery::State final : public Group {
 public:
  explicit State(Strand& strand) : Group(strand) {}

  Id spawn(Flow<Result<void>> flow) {
    const Id id = next_id_;
    Child& child = children_.try_emplace(id, *this, std::move(flow)).first->second;
    ids_.emplace(&child.strand, id);
    ++next_id_;
    child.flow.handle().promise().strand = &child.strand;
    start(child.strand, child.flow.handle());
    return id;
  }
  void cancel(Id id) {
    const auto found = children_.find(id);
    if (found != children_.end()) found->second.strand.cancel();
  }
  void cancel_children() override {
    for (auto& [id, child] : children_) child.strand.cancel();
  }
  void child_finished(Strand& strand) override {
    const auto found = ids_.find(&strand);
    const Id id = found->second;
    const auto child = children_.find(id);
    ended_.emplace_back(id, guarded_call([&] { return child->second.flow.handle().promise().take(); }, ""));
    ids_.erase(found);
    children_.erase(child);
    child_ended_.set();
  }
  std::size_t size() const noexcept { return children_.size() + ended_.size(); }
  bool runs() const noexcept { return !children_.empty(); }
  detail::Signal& child_ended() noexcept { return child_ended_; }
  std::optional<Ended> take_ended() {
    if (ended_.empty()) return {};
    Ended ended = std::move(ended_.front());
    ended_.pop_front();
    return ended;
  }

 private:
  struct Child {
    Child(Group& group, Flow<Result<void>> flow_) : strand(group), flow(std::move(flow_)) {}
    Strand strand;  // before flow: frames are destroyed before their strands
    Flow<Result<void>> flow;
  };
  Id next_id_ = 1;
  std::map<Id, Child> children_;
  std::map<const Strand*, Id> ids_;
  std::deque<Ended> ended_;
  detail::Signal child_ended_;
};

Nursery::Nursery(Strand* strand) : state_(std::make_unique<State>(*strand)) {}
Nursery::Nursery(Nursery&&) noexcept = default;
Nursery& Nursery::operator=(Nursery&&) noexcept = default;
Nursery::~Nursery() = default;

Nursery::Id Nursery::spawn(Flow<Result<void>> flow) { return state_->spawn(std::move(flow)); }
void Nursery::cancel(Id id) { state_->cancel(id); }
void Nursery::cancel_all() { state_->cancel_children(); }
std::size_t Nursery::size() const noexcept { return state_->size(); }
Flow<Result<std::optional<Nursery::Ended>>> Nursery::next() { return next_of(state_.get()); }
Flow<Result<void>> Nursery::join() { return join_all(state_.get()); }

Flow<Result<std::optional<Nursery::Ended>>> Nursery::next_of(State* state) {
  for (;;) {
    std::optional<Ended> ended = state->take_ended();
    if (ended || !state->runs()) co_return ended;
    Result<void> signalled = co_await state->child_ended();
    if (!signalled) co_return signalled.error();
  }
}

Flow<Result<void>> Nursery::join_all(State* state) {
  Result<void> outcome;
  for (;;) {
    Result<std::optional<Ended>> ended = co_await shielded(next_of(state));
    if (!ended || !*ended) co_return outcome;
    if (outcome && !(*ended)->result) outcome = (*ended)->result;
  }
}

}  // namespace culmen
