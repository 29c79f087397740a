// Mutual exclusion between flows of one execution.
#pragma once

#include <list>
#include <utility>

#include "culmen/event.hpp"

namespace culmen::manager {

/// Lets one flow in at a time. Not thread-safe.
class Turn {
 public:
  /// Held while it exists. Must not outlive the Turn.
  class Held {
   public:
    explicit Held(Turn& turn) noexcept : turn_(&turn) {}
    Held(Held&& other) noexcept : turn_(std::exchange(other.turn_, nullptr)) {}
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (turn_) turn_->leave();
    }

   private:
    Turn* turn_;
  };

  /// Waits until it is free, and takes it. The answer is an error only on cancellation.
  Flow<Result<Held>> enter() { return enter(*this); }

 private:
  static Flow<Result<Held>> enter(Turn& turn) {
    while (turn.taken_) {
      const auto place = turn.waiting_.emplace(turn.waiting_.end());
      const Waiting waiting(turn, place);
      Result<void> woken = co_await place->wait();
      if (!woken) co_return woken.error();
    }
    turn.taken_ = true;
    co_return Held(turn);
  }
  void leave() noexcept {
    taken_ = false;
    // All of them: the first may be about to be cancelled.
    for (const Event& event : waiting_) event.set();
  }

  class Waiting {
   public:
    Waiting(Turn& turn, std::list<Event>::iterator place) : turn_(turn), place_(place) {}
    ~Waiting() { turn_.waiting_.erase(place_); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    Turn& turn_;
    std::list<Event>::iterator place_;
  };

  bool taken_ = false;
  std::list<Event> waiting_;
};

}  // namespace culmen::manager
