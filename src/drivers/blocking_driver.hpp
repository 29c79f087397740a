// Runs executions on the calling thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "culmen/cancel_token.hpp"
#include "culmen/driver.hpp"
#include "drivers/performer.hpp"
#include "drivers/poll_loop.hpp"
#include "http/transport.hpp"

namespace culmen::drivers {

/// What one drive() works with. Kept until the driver goes, so that a signal handler may wake it at any time.
struct Lane {
  Lane() : loop(false) {}
  PollLoop loop;
  std::unique_ptr<Performer> performer;
  bool is_registered = false;
  bool is_busy = false;
};

/// Thread-safe: each drive() has a loop and a curl multi handle of its own, and leaves them with their open connections
/// for the next.
class BlockingDriver {
 public:
  /// Throws as Transport does.
  BlockingDriver(TransportOptions options, LogCallback log);
  ~BlockingDriver();
  BlockingDriver(const BlockingDriver&) = delete;
  BlockingDriver& operator=(const BlockingDriver&) = delete;

  /// Runs the execution until it is done; a token or cancel() cancels it. Performs its asks concurrently, except calls,
  /// which run one at a time on this thread.
  void drive(ExecutionBase& execution, const std::vector<CancelToken>& tokens = {});
  /// Cancels what is being driven; later drives are not affected. Safe in a signal handler.
  void cancel() noexcept;

 private:
  friend struct BlockingDriverAccess;  // tests
  static constexpr std::size_t max_registered = 64;
  Lane& acquire_lane();
  Lane& add_lane();
  void release_lane(Lane& lane);

  http::Transport transport_;
  std::atomic<unsigned> cancellations_ = 0;
  std::array<std::atomic<Lane*>, max_registered> registered_ = {};  // for cancel(), which may not lock
  std::mutex mutex_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};
static_assert(std::atomic<unsigned>::is_always_lock_free && std::atomic<Lane*>::is_always_lock_free);

}  // namespace culmen::drivers
