// What performing asks needs of an event loop.
#pragma once

#include <chrono>
#include <optional>

namespace culmen::drivers {

using SteadyTime = std::chrono::steady_clock::time_point;

/// What a descriptor is ready for, or is watched for: a set of bits.
enum Readiness : int { readable = 1, writable = 2, failed = 4 };

/// Watches descriptors and a deadline for a Performer, and calls its on_…() functions, never from inside a function of
/// this class. All on one thread or strand, except wake().
class Reactor {
 public:
  /// Calls Performer::on_ready() while the descriptor is ready for one of `events`; 0: not for the time being.
  virtual void watch(int descriptor, int events) = 0;
  /// Watches it no longer: it is about to be closed. Does nothing if it was not watched.
  virtual void forget(int descriptor) noexcept = 0;
  /// Calls Performer::on_due() at that time or soon after, once; replaces the time set before.
  virtual void set_due(std::optional<SteadyTime> due) = 0;
  /// Calls Performer::on_wake() soon. From any thread. False if it cannot, for lack of memory.
  virtual bool wake() noexcept = 0;

 protected:
  ~Reactor() = default;
};

}  // namespace culmen::drivers
