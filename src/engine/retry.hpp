// Every rule about asking again: badNonce, lost responses, busy servers, polling, Retry-After, back-off, and the limits
// of options. docs/requests.md has the rule for each request.
//
// How a Retry-After header is read and capped is in base/time.hpp; which errors are temporary is is_worth_retrying().
#pragma once

#include <chrono>
#include <cstddef>
#include <mutex>
#include <optional>
#include <string>

#include "culmen/error.hpp"
#include "culmen/flow.hpp"
#include "culmen/options.hpp"
#include "culmen/result.hpp"

namespace culmen::engine {

using std::chrono::microseconds;

/// issue() repeats a request that got badNonce at least this often; single operations SessionOptions::nonce_retries
/// times.
constexpr int min_issue_nonce_retries = 10;
/// How often in a row a poll may fail with a temporary error, after the repetitions of the request itself.
constexpr int max_failed_polls = 3;

// ---- Limits of what callers pass ----

/// The options with every value in a range that the code can compute with. Applied once, when a session is made.
SessionOptions checked(SessionOptions options) noexcept;
/// At most ten years: longer times overflow the clock. Negative times are zero.
std::chrono::seconds checked_deadline(std::chrono::seconds deadline) noexcept;
/// For `all`: at least 1, at most 100.
std::size_t checked_width(std::size_t width) noexcept;
int checked_nonce_retries(int retries) noexcept;

/// Whether the server may have acted on the request although this error came back: query the outcome before repeating.
bool outcome_unknown(const Error& error) noexcept;
/// Whether a request whose outcome was unknown may be sent again without a pause that the server asked for: the
/// response was lost, or the server failed in a way that may pass. Not if it was busy (RequestRetries has waited
/// already).
bool may_be_repeated(const Error& error) noexcept;

/// How often a request may be sent whose response was lost, or which failed with a temporary 5xx.
enum class Repeat {
  freely,  ///< Sending it again has no further effect: up to three times more.
  once,    ///< Sending it again may leave something behind that only expires: a single time more.
  never,   ///< The caller must query the outcome first.
};

/// Decides for one request whether to send it again after an error, and when.
class RequestRetries {
 public:
  /// `time_limit`: for all attempts together, if it is shorter than SessionOptions::poll_deadline.
  RequestRetries(const SessionOptions& options, int nonce_retries, Repeat repeat, Instant start,
                 std::optional<std::chrono::milliseconds> time_limit = std::nullopt);

  /// How long to wait before the next attempt, possibly zero; nullopt: report the error.
  ///
  /// badNonce: at once, `nonce_retries` times (RFC 8555 §6.5). A lost connection or response, or a temporary 5xx: as
  /// `Repeat` says; but freely if nothing was sent, and as often for Repeat::once if the server closed a kept
  /// connection without an answer, so that most likely it did not read the request. The first repetition after a lost
  /// connection is at once; all others wait, for Retry-After or with back-off. 429 and 503: after Retry-After, or with
  /// back-off for a 503 without one, SessionOptions::busy_retries times. No attempt begins after the time limit.
  std::optional<std::chrono::milliseconds> pause_after(const Error& error, Instant now);
  /// The same for a success whose body cannot be read: like a temporary 5xx for Repeat::freely, otherwise nullopt.
  std::optional<std::chrono::milliseconds> pause_after_unreadable(Instant now);

 private:
  std::optional<std::chrono::milliseconds> failure_pause(const Error& error);
  std::optional<std::chrono::milliseconds> busy_pause(const Error& error);

  int busy_retries_;
  int nonce_retries_;
  Repeat repeat_;
  std::chrono::steady_clock::time_point end_;
  int nonces_refused_ = 0;
  int times_busy_ = 0;
  int failures_ = 0;
};

/// How often finalize and the POST to a challenge are sent again when their outcome was looked up and they had not
/// arrived; and the pause before the next time.
constexpr int max_repeats_after_look = 5;
std::chrono::milliseconds repeat_pause(int repeats_so_far) noexcept;

/// When to post a challenge again that the CA left pending with an error (RFC 8555 §8.2): after 1, 2 and 4 seconds.
constexpr int max_challenge_retries = 3;
/// How often the CA is seen to have left the error after the last repetition, before it counts as final.
constexpr int looks_after_last_retry = 2;
std::chrono::milliseconds challenge_retry_pause(int retries_so_far) noexcept;

/// Learns how long a CA takes for its background work, so that about 95 % of first polls find it done. Thread-safe.
class CompletionEstimate {
 public:
  struct Estimate {
    std::optional<microseconds> first_poll;  ///< When to poll first; nullopt: nothing is known yet.
    unsigned number = 0;
  };
  Estimate current();
  /// The work was seen done `after` it began, at the first poll or at a later one. Only the first observation per
  /// estimate is used: many orders may run side by side.
  void seen_done(const Estimate& began_with, std::chrono::steady_clock::duration after, bool at_first_poll);

 private:
  std::mutex mutex_;
  unsigned number_ = 0;
  std::chrono::duration<double, std::milli> expected_{0};
  bool missed_ = false;  // a first poll came too early once
};

/// How often to poll, and for how long.
struct PollOptions {
  explicit PollOptions(std::optional<std::chrono::seconds> deadline_) : deadline(deadline_) {}
  PollOptions(std::chrono::milliseconds interval_, std::chrono::seconds deadline_)
      : deadline(deadline_), interval(interval_) {}
  std::optional<std::chrono::seconds> deadline;       ///< SessionOptions::poll_deadline unless given.
  std::optional<std::chrono::milliseconds> interval;  ///< Fixed, at least 200 ms; Retry-After takes precedence.
  /// When the CA was told to begin, if that was just now: then CompletionEstimate sets the time of the first poll.
  std::optional<std::chrono::steady_clock::time_point> begun;
};

/// The pauses of one polling loop: Retry-After where the CA sends it; otherwise starting at about two round trips, or
/// at the estimate if there is one, and growing by half each time.
class PollTimer {
 public:
  PollTimer(const SessionOptions& options, microseconds round_trip, Instant start, const PollOptions& poll,
            std::optional<microseconds> estimate = std::nullopt);

  /// How long to wait now. An error (deadline) when the time is up, or when the CA asks to wait past it.
  Result<microseconds> pause(std::optional<std::chrono::seconds> retry_after, Instant now, const std::string& doing);

 private:
  microseconds limit_;
  microseconds smallest_step_;  // by which pauses grow at least
  std::optional<std::chrono::steady_clock::time_point> first_poll_;
  microseconds interval_;
  std::chrono::steady_clock::time_point end_;
};

/// Asks to wait, rounded up to what a driver can wait.
inline auto pause_for(microseconds duration) { return wait(std::chrono::ceil<decltype(WaitAsk::duration)>(duration)); }

/// The back-off for a caller's loop around blocking::NewOrder::refresh(): the pause before the next request, and the
/// next back-off.
std::chrono::milliseconds refresh_pause(std::chrono::milliseconds backoff,
                                        std::optional<std::chrono::seconds> retry_after);
std::chrono::milliseconds next_refresh_backoff(std::chrono::milliseconds backoff, bool order_changed);

}  // namespace culmen::engine
