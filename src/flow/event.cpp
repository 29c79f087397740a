#include "culmen/event.hpp"

#include <map>
#include <mutex>
#include <utility>

namespace culmen {

struct Event::State {
  State() = default;
  std::mutex mutex;
  bool is_set = false;  // and nobody has waited since
  std::size_t registered = 0;
  std::map<std::size_t, AwaitAsk::Done> waiting;
};

namespace {

/// Takes a waiting flow off the list when it stops waiting, however that happens.
template <class State>
class Registration {
 public:
  explicit Registration(std::shared_ptr<State> state) : state_(std::move(state)) {
    const std::lock_guard lock(state_->mutex);
    number_ = ++state_->registered;
  }
  ~Registration() {
    AwaitAsk::Done dropped;  // destroyed without the lock: it may report to a driver
    const std::lock_guard lock(state_->mutex);
    const auto found = state_->waiting.find(number_);
    if (found == state_->waiting.end()) return;
    dropped = std::move(found->second);
    state_->waiting.erase(found);
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  std::size_t number() const noexcept { return number_; }

 private:
  std::shared_ptr<State> state_;
  std::size_t number_ = 0;
};

}  // namespace

Event::Event() : state_(std::make_shared<State>()) {}

void Event::set() const {
  std::map<std::size_t, AwaitAsk::Done> waiting;
  {
    const std::lock_guard lock(state_->mutex);
    waiting = std::exchange(state_->waiting, {});
    state_->is_set = waiting.empty();
  }
  for (const auto& [number, done] : waiting) done(Result<void>());
}

Flow<Result<void>> Event::wait() const { return wait_for(state_); }

Flow<Result<void>> Event::wait_for(std::shared_ptr<State> state) {
  const Registration<State> registration(state);
  std::function<void(AwaitAsk::Done)> begin = [state, number = registration.number()](AwaitAsk::Done done) {
    {
      const std::lock_guard lock(state->mutex);
      if (!std::exchange(state->is_set, false)) {
        state->waiting.emplace(number, std::move(done));
        return;
      }
    }
    done(Result<void>());
  };
  Result<void> woken = co_await await_done(std::move(begin));
  co_return woken;
}

}  // namespace culmen
