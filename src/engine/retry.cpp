#include "engine/retry.hpp"

#include <algorithm>
#include <utility>

namespace culmen::engine {

namespace {
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds first_busy_pause{1000};
constexpr milliseconds shortest_busy_pause{50};
constexpr milliseconds first_failure_pause{500};
constexpr milliseconds first_challenge_pause{1000};
constexpr int most_doublings = 16;  // more than any deadline

constexpr microseconds first_poll_pause{4000};
constexpr milliseconds shortest_wanted_interval{200};  // a caller that asks for 0 must not hammer the CA

constexpr milliseconds first_refresh_backoff{250};
constexpr milliseconds longest_refresh_backoff{5000};
constexpr milliseconds longest_refresh_pause{60000};

constexpr int freely = 3;       // how often a request is repeated that may be sent as often as one likes
constexpr int unprocessed = 5;  // and one that the server has not processed

bool is_lost(const Error& error) { return error.code() == Errc::connection_failed || error.code() == Errc::timeout; }
bool is_busy(const Error& error) { return error.http_status() == 429 || error.http_status() == 503; }
bool is_server_failure(const Error& error) { return error.http_status() >= 500 && is_worth_retrying(error); }
milliseconds doubled(milliseconds pause, int times) { return pause * (1 << std::clamp(times, 0, most_doublings)); }
}  // namespace

// ---- Limits of what callers pass ----

seconds checked_deadline(seconds deadline) noexcept {
  constexpr seconds longest = std::chrono::years(10);
  return std::clamp(deadline, seconds(0), longest);
}

std::size_t checked_width(std::size_t width) noexcept { return std::clamp<std::size_t>(width, 1, 100); }

int checked_nonce_retries(int retries) noexcept { return std::clamp(retries, 0, 100); }

SessionOptions checked(SessionOptions options) noexcept {
  options.nonce_retries = checked_nonce_retries(options.nonce_retries);
  options.nonce_pool = std::min<std::size_t>(options.nonce_pool, 10'000);
  options.nonce_lifetime = checked_deadline(options.nonce_lifetime);
  options.poll_deadline = checked_deadline(options.poll_deadline);
  options.poll_interval_limit = std::clamp<milliseconds>(options.poll_interval_limit, milliseconds(1), seconds(3600));
  options.busy_retries = std::clamp(options.busy_retries, 0, 100);
  options.directory_lifetime = std::max(checked_deadline(options.directory_lifetime), seconds(1));
  return options;
}

bool outcome_unknown(const Error& error) noexcept { return is_lost(error) || error.http_status() >= 500; }

bool may_be_repeated(const Error& error) noexcept {
  return is_lost(error) || (is_server_failure(error) && !is_busy(error) && !error.retry_after());
}

// ---- RequestRetries ----

RequestRetries::RequestRetries(const SessionOptions& options, int nonce_retries, Repeat repeat, Instant start,
                               std::optional<milliseconds> time_limit)
    : busy_retries_(options.busy_retries),
      nonce_retries_(nonce_retries),
      repeat_(repeat),
      end_(start.steady + std::min<milliseconds>(options.poll_deadline, time_limit.value_or(options.poll_deadline))) {}

std::optional<milliseconds> RequestRetries::pause_after(const Error& error, Instant now) {
  std::optional<milliseconds> pause;
  if (error.code() == Errc::bad_nonce) {
    if (nonces_refused_ >= nonce_retries_) return std::nullopt;
    ++nonces_refused_;
    return milliseconds(0);
  }
  if (is_busy(error)) {
    pause = busy_pause(error);
  } else if (is_lost(error) || is_server_failure(error)) {
    pause = failure_pause(error);
  }
  if (!pause || *pause >= end_ - now.steady) return std::nullopt;
  ++(is_busy(error) ? times_busy_ : failures_);
  return pause;
}

std::optional<milliseconds> RequestRetries::pause_after_unreadable(Instant now) {
  if (repeat_ != Repeat::freely || failures_ >= freely) return std::nullopt;
  const milliseconds pause = doubled(first_failure_pause, failures_);
  if (pause >= end_ - now.steady) return std::nullopt;
  ++failures_;
  return pause;
}

std::optional<milliseconds> RequestRetries::failure_pause(const Error& error) {
  int most = repeat_ == Repeat::freely ? freely : repeat_ == Repeat::once ? 1 : 0;
  const HttpFailure how = is_lost(error) ? http_failure(error) : HttpFailure::other;
  if (how == HttpFailure::not_sent) most = unprocessed;
  if (how == HttpFailure::closed_unanswered && repeat_ != Repeat::never) most = unprocessed;
  if (failures_ >= most) return std::nullopt;
  if (const std::optional<seconds> asked = error.retry_after())
    return std::max<milliseconds>(*asked, first_failure_pause);
  // The server closes connections that were idle: another connection works at once.
  if (is_lost(error)) return failures_ == 0 ? milliseconds(0) : doubled(first_failure_pause, failures_ - 1);
  return doubled(first_failure_pause, failures_);
}

std::optional<milliseconds> RequestRetries::busy_pause(const Error& error) {
  if (times_busy_ >= busy_retries_) return std::nullopt;
  if (const std::optional<seconds> asked = error.retry_after())
    return std::max<milliseconds>(*asked, shortest_busy_pause);
  // A rate limit without a time: trying again would only count against it.
  if (error.http_status() == 429) return std::nullopt;
  return doubled(first_busy_pause, times_busy_);
}

milliseconds repeat_pause(int repeats_so_far) noexcept {
  return repeats_so_far == 0 ? milliseconds(0) : doubled(first_failure_pause, repeats_so_far - 1);
}

milliseconds challenge_retry_pause(int retries_so_far) noexcept {
  return doubled(first_challenge_pause, retries_so_far);
}

// ---- CompletionEstimate ----

CompletionEstimate::Estimate CompletionEstimate::current() {
  const std::lock_guard lock(mutex_);
  Estimate estimate;
  estimate.number = number_;
  if (expected_.count() > 0) {
    estimate.first_poll = std::max(std::chrono::round<microseconds>(expected_), microseconds(1));
  }
  return estimate;
}

void CompletionEstimate::seen_done(const Estimate& began_with, std::chrono::steady_clock::duration after,
                                   bool at_first_poll) {
  // Down quickly until the first miss. From then on a few first polls in a hundred come too early: a poll more costs
  // less than to be late each time.
  constexpr double much_sooner = 0.85, sooner = 0.95, later = 1.25;
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

PollTimer::PollTimer(const SessionOptions& options, microseconds round_trip, Instant start, const PollOptions& poll,
                     std::optional<microseconds> estimate)
    : limit_(poll.interval ? std::clamp<milliseconds>(*poll.interval, shortest_wanted_interval, seconds(3600))
                           : options.poll_interval_limit),
      smallest_step_(estimate ? std::max<microseconds>(*estimate / 4, milliseconds(1)) : first_poll_pause),
      interval_(poll.interval ? limit_ : std::min(std::max(2 * round_trip, first_poll_pause), limit_)),
      end_(start.steady + checked_deadline(poll.deadline.value_or(options.poll_deadline))) {
  if (poll.begun) first_poll_ = *poll.begun + std::min(estimate.value_or(interval_), limit_);
  if (estimate) interval_ = std::min(smallest_step_, limit_);
}

Result<microseconds> PollTimer::pause(std::optional<seconds> retry_after, Instant now, const std::string& doing) {
  const auto left = std::chrono::duration_cast<microseconds>(end_ - now.steady);
  if (left <= microseconds(0)) return Error(Errc::deadline, doing, "still not finished; the time is up");
  if (retry_after && *retry_after > seconds(0)) {
    if (*retry_after > left) {
      return Error(Errc::deadline, doing, "the CA asks to wait longer than there is time")
          .with_retry_after(retry_after);
    }
    return microseconds(*retry_after);
  }
  if (const auto first_poll = std::exchange(first_poll_, std::nullopt)) {
    const auto until = std::chrono::ceil<microseconds>(*first_poll - now.steady);
    return std::clamp(until, microseconds(0), left);
  }
  const microseconds pause = std::min(interval_, left);
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
