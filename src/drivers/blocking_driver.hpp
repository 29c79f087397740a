// Runs executions on the calling thread.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "culmen/driver.hpp"
#include "http/multi.hpp"
#include "http/transport.hpp"

namespace culmen::drivers {

/// A flag that wakes whoever polls its descriptor. raise() is safe in a signal handler.
class CancelFlag {
 public:
  /// Throws Error (io_failed).
  CancelFlag();
  ~CancelFlag();
  CancelFlag(const CancelFlag&) = delete;
  CancelFlag& operator=(const CancelFlag&) = delete;

  void raise() noexcept;
  bool raised() const noexcept { return raised_.load(); }
  /// Readable from raise() on.
  int descriptor() const noexcept { return ends_[0]; }

 private:
  std::atomic<bool> raised_ = false;
  int ends_[2] = {-1, -1};
};
static_assert(std::atomic<bool>::is_always_lock_free);

/// Safe to use from several threads at once: each drive() takes a curl multi handle for itself, and leaves it, with its
/// open connections, to the next.
class BlockingDriver {
 public:
  /// Throws as Transport does.
  BlockingDriver(TransportOptions options, LogCallback log);

  /// Runs it to its end. All it asks for is done side by side, but for calls: those are made here, one by one.
  void drive(ExecutionBase& execution);
  /// Cancels what is driven now and whatever will be.
  void cancel() noexcept { cancel_.raise(); }

 private:
  std::unique_ptr<http::Multi> take_multi();
  void give_back(std::unique_ptr<http::Multi> multi);

  http::Transport transport_;
  CancelFlag cancel_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<http::Multi>> idle_;
};

}  // namespace culmen::drivers
