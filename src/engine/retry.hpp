// How long to pause between two looks at something that is not finished.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "culmen/engine.hpp"
#include "engine/session.hpp"

namespace culmen::engine {

/// How often to look, and for how long.
struct Pace {
  explicit Pace(std::optional<std::chrono::seconds> deadline_) : deadline(deadline_) {}
  Pace(std::chrono::milliseconds every_, std::chrono::seconds deadline_) : deadline(deadline_), every(every_) {}
  std::optional<std::chrono::seconds> deadline;    ///< SessionOptions::poll_deadline unless given.
  std::optional<std::chrono::milliseconds> every;  ///< What the caller wants; Retry-After wins all the same.
  /// When the CA was told to begin, if that was just now: how long it takes is learned, and the first look is late
  /// enough.
  std::optional<std::chrono::steady_clock::time_point> begun;
};

/// Paces one polling loop: obeys Retry-After; otherwise starts at about two round trips, or at what the CA usually
/// takes if that is known, and grows by half each time.
class Pacer {
 public:
  Pacer(Session::State& state, Instant start, const Pace& pace,
        std::optional<std::chrono::milliseconds> usual = std::nullopt)
      : limit_(pace.every ? std::max(*pace.every, shortest_wanted) : state.options.poll_interval_limit),
        shortest_(usual ? std::max(*usual / 4, std::chrono::milliseconds(1)) : shortest),
        interval_(pace.every ? limit_ : std::clamp(2 * state.round_trip(), shortest, limit_)),
        end_(start.steady + pace.deadline.value_or(state.options.poll_deadline)) {
    if (pace.begun) first_look_ = *pace.begun + std::min(usual.value_or(interval_), limit_);
    if (usual) interval_ = std::min(shortest_, limit_);
  }

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
    if (const auto first_look = std::exchange(first_look_, std::nullopt)) {
      const auto until = std::chrono::ceil<std::chrono::milliseconds>(*first_look - now.steady);
      return std::clamp(until, std::chrono::milliseconds(0), left);
    }
    const std::chrono::milliseconds pause = std::min(interval_, left);
    interval_ = std::min(limit_, interval_ + std::max(interval_ / 2, shortest_));
    return pause;
  }

 private:
  static constexpr std::chrono::milliseconds shortest{4};
  static constexpr std::chrono::milliseconds shortest_wanted{200};  // callers who say 0 shall not hammer the CA
  std::chrono::milliseconds limit_;
  std::chrono::milliseconds shortest_;  // step by which pauses grow at least
  std::optional<std::chrono::steady_clock::time_point> first_look_;
  std::chrono::milliseconds interval_;
  std::chrono::steady_clock::time_point end_;
};

/// poll_authorization() and wait_for_certificate() (orders.hpp) at a pace of the caller's.
Flow<Result<Authorization>> watch_authorization(Session session, Account account, std::string authorization_url,
                                                Pace pace);
Flow<Result<Order>> watch_certificate(Session session, Account account, Order finalized, Pace pace);

}  // namespace culmen::engine
