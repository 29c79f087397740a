#include "engine/retry.hpp"

#include <algorithm>
#include <utility>

namespace culmen::engine {

namespace {
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds first_busy_pause{1000};
constexpr milliseconds shortest_busy_pause{50};
constexpr int most_doublings = 16;  // of first_busy_pause: more than any deadline

constexpr milliseconds first_poll_pause{4};
constexpr milliseconds shortest_wanted_interval{200};  // a caller that asks for 0 must not hammer the CA

constexpr milliseconds first_refresh_backoff{250};
constexpr milliseconds longest_refresh_backoff{5000};
constexpr milliseconds longest_refresh_pause{60000};

bool is_lost(const Error& error) { return error.code() == Errc::connection_failed || error.code() == Errc::timeout; }
bool is_busy(const Error& error) { return error.http_status() == 429 || error.http_status() == 503; }
}  // namespace

bool outcome_unknown(const Error& error) noexcept { return is_lost(error) || error.http_status() >= 500; }

// ---- RequestRetries ----

std::optional<milliseconds> RequestRetries::pause_after(const Error& error, Instant now) {
  if (is_lost(error)) {
    if (!idempotent_ || std::exchange(lost_, true)) return std::nullopt;
    return milliseconds(0);
  }
  if (error.code() == Errc::bad_nonce) {
    if (nonces_refused_ >= nonce_retries_) return std::nullopt;
    ++nonces_refused_;
    return milliseconds(0);
  }
  if (is_busy(error)) return busy_pause(error, now);
  return std::nullopt;
}

std::optional<milliseconds> RequestRetries::busy_pause(const Error& error, Instant now) {
  if (times_busy_ >= options_.busy_retries) return std::nullopt;
  milliseconds pause = first_busy_pause * (1 << std::min(times_busy_, most_doublings));
  if (const std::optional<seconds> asked = error.retry_after()) {
    pause = *asked;
  } else if (error.http_status() == 429) {
    return std::nullopt;  // A rate limit without a time: trying again would only count against it.
  }
  if (pause > options_.poll_deadline - (now.steady - start_)) return std::nullopt;
  ++times_busy_;
  return std::max(pause, shortest_busy_pause);
}

// ---- CompletionEstimate ----

CompletionEstimate::Estimate CompletionEstimate::current() {
  const std::lock_guard lock(mutex_);
  Estimate estimate;
  estimate.number = number_;
  if (expected_.count() > 0) {
    estimate.first_poll = std::max(std::chrono::round<milliseconds>(expected_), milliseconds(1));
  }
  return estimate;
}

void CompletionEstimate::seen_done(const Estimate& began_with, std::chrono::steady_clock::duration after,
                                   bool at_first_poll) {
  // Down quickly until the first miss; from then on in balance at about one miss in twenty.
  constexpr double much_sooner = 0.85, sooner = 0.988, later = 1.25;
  const std::chrono::duration<double, std::milli> took = after;
  const std::lock_guard lock(mutex_);
  if (began_with.number != number_) return;
  ++number_;
  if (expected_.count() == 0) {
    expected_ = took;
  } else if (at_first_poll) {
    expected_ *= missed_ ? sooner : much_sooner;
  } else {
    missed_ = true;
    expected_ = std::max(expected_ * later, took * 0.75);
  }
}

// ---- PollTimer ----

PollTimer::PollTimer(const SessionOptions& options, milliseconds round_trip, Instant start, const PollOptions& poll,
                     std::optional<milliseconds> estimate)
    : limit_(poll.interval ? std::max(*poll.interval, shortest_wanted_interval) : options.poll_interval_limit),
      smallest_step_(estimate ? std::max(*estimate / 4, milliseconds(1)) : first_poll_pause),
      interval_(poll.interval ? limit_ : std::clamp(2 * round_trip, first_poll_pause, limit_)),
      end_(start.steady + poll.deadline.value_or(options.poll_deadline)) {
  if (poll.begun) first_poll_ = *poll.begun + std::min(estimate.value_or(interval_), limit_);
  if (estimate) interval_ = std::min(smallest_step_, limit_);
}

Result<milliseconds> PollTimer::pause(std::optional<seconds> retry_after, Instant now, const std::string& doing) {
  const auto left = std::chrono::duration_cast<milliseconds>(end_ - now.steady);
  if (left <= milliseconds(0)) return Error(Errc::deadline, doing, "still not finished; the time is up");
  if (retry_after && *retry_after > seconds(0)) {
    if (*retry_after > left) {
      return Error(Errc::deadline, doing, "the CA asks to wait longer than there is time")
          .with_retry_after(retry_after);
    }
    return milliseconds(*retry_after);
  }
  if (const auto first_poll = std::exchange(first_poll_, std::nullopt)) {
    const auto until = std::chrono::ceil<milliseconds>(*first_poll - now.steady);
    return std::clamp(until, milliseconds(0), left);
  }
  const milliseconds pause = std::min(interval_, left);
  interval_ = std::min(limit_, interval_ + std::max(interval_ / 2, smallest_step_));
  return pause;
}

// ---- refresh() ----

milliseconds refresh_pause(milliseconds backoff, std::optional<seconds> retry_after) {
  if (backoff == milliseconds(0) || !retry_after) return backoff;
  return std::min(milliseconds(*retry_after), longest_refresh_pause);
}

milliseconds next_refresh_backoff(milliseconds backoff, bool order_changed) {
  if (order_changed) return milliseconds(0);
  return std::clamp(backoff * 2, first_refresh_backoff, longest_refresh_backoff);
}

}  // namespace culmen::engine
