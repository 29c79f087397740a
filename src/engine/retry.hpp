// Every rule about asking again: badNonce, lost responses, busy servers, polling, Retry-After, back-off.
//
// How a Retry-After header is read and capped is in base/time.hpp; which errors are temporary is is_worth_retrying().
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "culmen/error.hpp"
#include "culmen/flow.hpp"
#include "culmen/options.hpp"
#include "culmen/result.hpp"

namespace culmen::engine {

/// issue() repeats a request that got badNonce at least this often; single operations SessionOptions::nonce_retries
/// times.
constexpr int min_issue_nonce_retries = 10;
/// How often in a row a poll of an order may fail with a temporary error.
constexpr int max_failed_polls = 3;

/// Whether the server may have acted on the request although this error came back: query the outcome before repeating.
bool outcome_unknown(const Error& error) noexcept;

/// Decides for one signed request whether to send it again after an error, and when.
class RequestRetries {
 public:
  /// `idempotent`: sending the request twice has the same effect as sending it once.
  RequestRetries(const SessionOptions& options, int nonce_retries, bool idempotent, Instant start)
      : options_(options), nonce_retries_(nonce_retries), idempotent_(idempotent), start_(start.steady) {}

  /// How long to wait before the next attempt, possibly zero; nullopt: report the error.
  ///
  /// badNonce: at once, `nonce_retries` times (RFC 8555 §6.5). A lost connection or response: at once, a single time,
  /// if the request is idempotent. 429 and 503: after Retry-After, or with back-off for a 503 without one,
  /// SessionOptions::busy_retries times and within SessionOptions::poll_deadline.
  std::optional<std::chrono::milliseconds> pause_after(const Error& error, Instant now);

 private:
  std::optional<std::chrono::milliseconds> busy_pause(const Error& error, Instant now);

  const SessionOptions& options_;
  int nonce_retries_;
  bool idempotent_;
  std::chrono::steady_clock::time_point start_;
  int nonces_refused_ = 0;
  int times_busy_ = 0;
  bool lost_ = false;
};

/// Learns how long a CA takes for its background work, so that about 95 % of first polls find it done. Thread-safe.
class CompletionEstimate {
 public:
  struct Estimate {
    std::optional<std::chrono::milliseconds> first_poll;  ///< When to poll first; nullopt: nothing is known yet.
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
  PollTimer(const SessionOptions& options, std::chrono::milliseconds round_trip, Instant start, const PollOptions& poll,
            std::optional<std::chrono::milliseconds> estimate = std::nullopt);

  /// How long to wait now. An error (deadline) when the time is up, or when the CA asks to wait past it.
  Result<std::chrono::milliseconds> pause(std::optional<std::chrono::seconds> retry_after, Instant now,
                                          const std::string& doing);

 private:
  std::chrono::milliseconds limit_;
  std::chrono::milliseconds smallest_step_;  // by which pauses grow at least
  std::optional<std::chrono::steady_clock::time_point> first_poll_;
  std::chrono::milliseconds interval_;
  std::chrono::steady_clock::time_point end_;
};

/// The back-off for a caller's loop around blocking::NewOrder::refresh(): the pause before the next request, and the
/// next back-off.
std::chrono::milliseconds refresh_pause(std::chrono::milliseconds backoff,
                                        std::optional<std::chrono::seconds> retry_after);
std::chrono::milliseconds next_refresh_backoff(std::chrono::milliseconds backoff, bool order_changed);

}  // namespace culmen::engine
