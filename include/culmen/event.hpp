// An event that flows wait for.
#pragma once

#include <memory>

#include "culmen/flow.hpp"

namespace culmen {

/// Wakes waiting flows, of any number of executions, from any thread. It resets itself: several set() in a row, while
/// no flow waits, count as one. Copies are the same event. Thread-safe; set() is not safe in a signal handler.
class Event {
 public:
  Event();
  /// Wakes every flow that waits. If none does, or one was cancelled before it woke, the next wait() returns at once.
  void set() const;
  /// Waits for set(). The answer is an error only on cancellation.
  Flow<Result<void>> wait() const;

 private:
  struct State;
  static Flow<Result<void>> wait_for(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace culmen
