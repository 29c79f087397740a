// How long to pause between two looks at something that is not finished.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

#include "culmen/engine.hpp"
#include "flow/session.hpp"

namespace culmen::engine {

/// Paces one polling loop: obeys Retry-After; otherwise starts at about two round trips and grows by half each time.
class Pacer {
 public:
  Pacer(Session::State& state, Instant start, std::chrono::seconds deadline)
      : limit_(state.options.poll_interval_limit),
        interval_(std::clamp(2 * state.round_trip(), shortest, limit_)),
        end_(start.steady + deadline) {}

  /// How long to wait now. An error when the time is up, and at once when the server asks to wait past it.
  Result<std::chrono::milliseconds> pause(std::optional<std::chrono::seconds> retry_after, Instant now,
                                          const std::string& doing) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end_ - now.steady);
    if (left <= std::chrono::milliseconds(0)) return Error(Errc::deadline, doing, "still not finished; the time is up");
    if (retry_after && *retry_after > std::chrono::seconds(0)) {
      if (*retry_after > left) {
        return Error(Errc::deadline, doing, "the CA asks to wait longer than there is time")
            .with_retry_after(retry_after);
      }
      return std::chrono::milliseconds(*retry_after);
    }
    const std::chrono::milliseconds pause = std::min(interval_, left);
    interval_ = std::min(limit_, interval_ + std::max(interval_ / 2, shortest));
    return pause;
  }

 private:
  static constexpr std::chrono::milliseconds shortest{4};
  std::chrono::milliseconds limit_;
  std::chrono::milliseconds interval_;
  std::chrono::steady_clock::time_point end_;
};

}  // namespace culmen::engine
