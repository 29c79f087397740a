// An event loop on epoll, one turn at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>

#include "drivers/reactor.hpp"

namespace culmen::drivers {

class Performer;

/// A Reactor that works while turn() is called. Not thread-safe, except for wake().
class PollLoop final : public Reactor {
 public:
  /// `with_timer`: descriptor() becomes readable when the deadline passes, too. Throws Error (io_failed).
  explicit PollLoop(bool with_timer);
  ~PollLoop();
  PollLoop(const PollLoop&) = delete;
  PollLoop& operator=(const PollLoop&) = delete;

  /// Readable when a turn has something to do.
  int descriptor() const noexcept { return epoll_; }
  /// When a turn has something to do at the latest; nullopt: only when descriptor() is readable.
  std::optional<SteadyTime> due() const noexcept { return due_; }
  /// Calls the performer for all that is ready or due; first waits until something is, at most until `until`.
  void turn(Performer& performer, SteadyTime until);

  /// Ends the waiting of turn() while `descriptor` is readable, and does nothing else about it.
  void add_interruption(int descriptor);
  void remove_interruption(int descriptor) noexcept;

  void watch(int descriptor, int events) override;
  void forget(int descriptor) noexcept override;
  void set_due(std::optional<SteadyTime> due) override;
  bool wake() noexcept override;

 private:
  struct Watched {
    std::uint32_t number = 0;  // tells it from an earlier one with the same descriptor
    int events = 0;
  };
  void close_all() noexcept;
  void drain(int descriptor) const noexcept;

  int epoll_ = -1;
  int wake_ = -1;
  int timer_ = -1;
  std::uint32_t last_number_ = 0;
  std::unordered_map<int, Watched> watched_;
  std::optional<SteadyTime> due_;
};

}  // namespace culmen::drivers
