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

/// As Event::set().
template <class State>
void wake(State& state) {
  decltype(state.waiting) waiting;
  {
    const std::lock_guard lock(state.mutex);
    waiting = std::exchange(state.waiting, {});
    state.is_set = waiting.empty();
  }
  for (const auto& [number, done] : waiting) done(Result<void>());
}

/// Takes a waiting flow off the list when it stops waiting, however that happens. If it was woken and never came to
/// know, because it was cancelled meanwhile, others are.
template <class State>
class Registration {
 public:
  explicit Registration(std::shared_ptr<State> state) : state_(std::move(state)) {
    const std::lock_guard lock(state_->mutex);
    number_ = ++state_->registered;
  }
  ~Registration() {
    AwaitAsk::Done dropped;  // destroyed without the lock: it may report to a driver
    {
      const std::lock_guard lock(state_->mutex);
      const auto found = state_->waiting.find(number_);
      if (found != state_->waiting.end()) {
        dropped = std::move(found->second);
        state_->waiting.erase(found);
        return;
      }
    }
    if (has_begun && !was_woken) wake(*state_);
  }
  Registration(const Registration&) = delete;
  Registration& operator=(const Registration&) = delete;
  std::size_t number() const noexcept { return number_; }

  bool has_begun = false;
  bool was_woken = false;

 private:
  std::shared_ptr<State> state_;
  std::size_t number_ = 0;
};

}  // namespace

Event::Event() : state_(std::make_shared<State>()) {}

void Event::set() const { wake(*state_); }

Flow<Result<void>> Event::wait() const { return wait_for(state_); }

Flow<Result<void>> Event::wait_for(std::shared_ptr<State> state) {
  Registration<State> registration(state);
  std::function<void(AwaitAsk::Done)> begin = [state, &registration](AwaitAsk::Done done) {
    registration.has_begun = true;
    {
      const std::lock_guard lock(state->mutex);
      if (!std::exchange(state->is_set, false)) {
        state->waiting.emplace(registration.number(), std::move(done));
        return;
      }
    }
    done(Result<void>());
  };
  Result<void> woken = co_await await_done(std::move(begin));
  registration.was_woken = woken.has_value();
  co_return woken;
}

}  // namespace culmen
