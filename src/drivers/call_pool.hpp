// Threads for functions that may block.
#pragma once

#include <functional>
#include <memory>

#include "culmen/asks.hpp"

namespace culmen::drivers {

/// A few threads, started when they are needed. Functions that store never wait behind others: one more thread is
/// theirs alone. The destructor drops what has not begun, and leaves what runs to itself. Thread-safe.
class CallPool {
 public:
  class Job;

  /// `threads`: how many functions may run at the same time, besides storing ones; at least one.
  explicit CallPool(unsigned threads);
  ~CallPool();
  CallPool(const CallPool&) = delete;
  CallPool& operator=(const CallPool&) = delete;

  /// `report` is called on a thread of the pool when the function has returned, and destroyed there. Neither may throw.
  std::shared_ptr<Job> post(CallAsk::Purpose purpose, std::function<void()> function);
  /// Whether the function has not begun, and now never will.
  bool withdraw(const std::shared_ptr<Job>& job) noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace culmen::drivers
