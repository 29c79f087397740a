// How a session learns when to poll first.
#include <doctest/doctest.h>

#include <chrono>
#include <vector>

#include "engine/retry.hpp"
#include "engine/session.hpp"

namespace culmen::engine {
namespace {

using namespace std::chrono_literals;

/// One thing that a CA is done with after `takes`; how many looks that cost, and what was waited in all.
struct Watched {
  int looks = 0;
  std::chrono::microseconds waited{0};
};

Watched watch(Session::State& state, std::chrono::milliseconds takes) {
  const CompletionEstimate::Estimate estimate = state.validation.current();
  const Instant start;
  PollOptions options(60s);
  options.begun = start.steady;
  PollTimer timer(state.options, state.round_trip(), start, options, estimate.first_poll);
  Watched watched;
  do {
    Instant now = start;
    now.steady += watched.waited;
    watched.waited += *timer.pause(std::nullopt, now, "watching");
    ++watched.looks;
  } while (watched.waited < takes);
  state.validation.seen_done(estimate, watched.waited, watched.looks == 1);
  return watched;
}

}  // namespace

TEST_CASE("settling: with nothing learned, looks start at a few milliseconds and become rarer") {
  Session::State state("https://ca.test/dir", Directory(), SessionOptions{}, Instant());
  const Watched first = watch(state, 1s);
  CHECK(first.looks > 5);
  CHECK(first.looks < 20);
  CHECK(first.waited < 1600ms);
}

TEST_CASE("settling: what a CA takes is learned, whether milliseconds or seconds") {
  for (const auto takes : {2ms, 30ms, 700ms, 5000ms}) {
    CAPTURE(takes.count());
    Session::State state("https://ca.test/dir", Directory(), SessionOptions{}, Instant());
    for (int i = 0; i < 40; ++i) watch(state, takes);
    int looks = 0;
    std::chrono::microseconds waited{0};
    for (int i = 0; i < 200; ++i) {
      const Watched watched = watch(state, takes);
      looks += watched.looks;
      waited += watched.waited;
    }
    CHECK(looks <= 240);  // nearly always one
    CHECK(waited <= 200 * (takes + takes / 3 + 1ms));
  }
}

TEST_CASE("settling: a CA that becomes slower is followed") {
  Session::State state("https://ca.test/dir", Directory(), SessionOptions{}, Instant());
  for (int i = 0; i < 40; ++i) watch(state, 2ms);
  watch(state, 3000ms);
  watch(state, 3000ms);
  CHECK(watch(state, 3000ms).looks <= 3);
}

TEST_CASE("settling: of many side by side one is heard, so that a crowd that misses does not multiply") {
  Session::State state("https://ca.test/dir", Directory(), SessionOptions{}, Instant());
  for (int i = 0; i < 10; ++i) watch(state, 10ms);
  const CompletionEstimate::Estimate shared = state.validation.current();
  for (int i = 0; i < 64; ++i) state.validation.seen_done(shared, 20ms, false);
  CHECK(*state.validation.current().first_poll <= 20ms);
  for (int i = 0; i < 64; ++i) state.validation.seen_done(shared, 1ms, true);
  CHECK(*state.validation.current().first_poll >= 8ms);
}

TEST_CASE("retries: each kind has a limit, also with limits that make no sense") {
  const Error refused = Error(Errc::bad_nonce, "x");
  const Error busy = Error(Errc::http_status, "x").with_http_status(503).with_retry_after(1s);
  SessionOptions options;
  options.busy_retries = -1;
  RequestRetries none(checked(options), checked_nonce_retries(-1), Repeat::freely, Instant());
  CHECK_FALSE(none.pause_after(refused, Instant()));
  CHECK_FALSE(none.pause_after(busy, Instant()));

  options.busy_retries = 100;
  options.poll_deadline = 1000s;
  RequestRetries many(options, 2, Repeat::freely, Instant());
  CHECK(many.pause_after(refused, Instant()) == 0ms);
  CHECK(many.pause_after(refused, Instant()) == 0ms);
  CHECK_FALSE(many.pause_after(refused, Instant()));
  for (int i = 0; i < 100; ++i) CHECK(many.pause_after(busy, Instant()) == 1s);
  CHECK_FALSE(many.pause_after(busy, Instant()));
}

TEST_CASE("retries: a lost response or a failing server is asked again as far as that is harmless") {
  const SessionOptions options;
  const Error lost(Errc::connection_failed, "x");
  const Error failing = Error(Errc::http_status, "x").with_http_status(500);
  RequestRetries freely(options, 1, Repeat::freely, Instant());
  CHECK(freely.pause_after(lost, Instant()) == 0ms);
  CHECK(freely.pause_after(lost, Instant()) == 500ms);
  CHECK(freely.pause_after(failing, Instant()) == 2000ms);
  CHECK_FALSE(freely.pause_after(lost, Instant()));
  RequestRetries once(options, 1, Repeat::once, Instant());
  CHECK(once.pause_after(failing, Instant()) == 500ms);
  CHECK_FALSE(once.pause_after(failing, Instant()));
  RequestRetries never(options, 1, Repeat::never, Instant());
  CHECK_FALSE(never.pause_after(lost, Instant()));
  CHECK_FALSE(never.pause_after(failing, Instant()));
}

TEST_CASE("retries: Retry-After of a failing server is obeyed, what will not pass is not repeated, time is limited") {
  const SessionOptions options;
  const Error failing = Error(Errc::http_status, "x").with_http_status(502);
  RequestRetries retries(options, 1, Repeat::freely, Instant());
  CHECK(retries.pause_after(failing.with_retry_after(7s), Instant()) == 7s);
  CHECK_FALSE(retries.pause_after(failing.with_retry_after(31s), Instant()));
  CHECK_FALSE(retries.pause_after(Error(Errc::http_status, "x").with_http_status(501), Instant()));
  CHECK_FALSE(retries.pause_after(Error(Errc::http_status, "x").with_http_status(404), Instant()));
  CHECK_FALSE(retries.pause_after(Error(Errc::tls_failed, "x"), Instant()));
  Instant late;
  late.steady += 31s;
  CHECK_FALSE(retries.pause_after(Error(Errc::timeout, "x"), late));
}

TEST_CASE("options: whatever the caller passes is something to compute with") {
  SessionOptions options;
  options.nonce_retries = -1;
  options.busy_retries = 1'000'000;
  options.poll_interval_limit = std::chrono::milliseconds::min();
  options.poll_deadline = std::chrono::seconds::max();
  options.nonce_lifetime = std::chrono::seconds::min();
  const SessionOptions low = checked(options);
  CHECK(low.nonce_retries == 0);
  CHECK(low.busy_retries == 100);
  CHECK(low.poll_interval_limit == 1ms);
  CHECK(low.poll_deadline > std::chrono::hours(24 * 365));
  CHECK(low.nonce_lifetime == 0s);
  CHECK(checked_width(0) == 1);
  CHECK(checked_width(1'000'000) == 100);

  const Error busy = Error(Errc::http_status, "x").with_http_status(503);
  RequestRetries many(low, 0, Repeat::freely, Instant());
  for (int i = 0; i < 100; ++i) CHECK(many.pause_after(busy, Instant()) > 0s);
  CHECK_FALSE(many.pause_after(busy, Instant()));

  const PollOptions forever(std::chrono::seconds::max());
  PollTimer timer(low, microseconds(0), Instant(), forever);
  Instant later;
  later.steady += std::chrono::hours(24 * 365);
  CHECK(*timer.pause(std::nullopt, later, "polling") == 1ms);
  const PollOptions never(std::chrono::seconds::min());
  PollTimer over(low, microseconds(0), Instant(), never);
  CHECK(over.pause(std::nullopt, Instant(), "polling").error().code() == Errc::deadline);
}

TEST_CASE("polling: the first look is as early as was learned, also below a millisecond") {
  CompletionEstimate estimate;
  estimate.seen_done(estimate.current(), 340us, true);
  CHECK(estimate.current().first_poll == 340us);
  const Instant start;
  PollOptions options(60s);
  options.begun = start.steady;
  PollTimer timer(SessionOptions(), 200us, start, options, estimate.current().first_poll);
  CHECK(*timer.pause(std::nullopt, start, "polling") == 340us);
}

TEST_CASE("retries: a busy server without a time gets twice as long each time, a rate limit no second request") {
  SessionOptions options;
  options.poll_deadline = 10s;
  const Error busy = Error(Errc::http_status, "x").with_http_status(503);
  RequestRetries retries(options, 1, Repeat::freely, Instant());
  CHECK(retries.pause_after(busy, Instant()) == 1s);
  CHECK(retries.pause_after(busy, Instant()) == 2s);
  Instant late;
  late.steady += 7s;
  CHECK_FALSE(retries.pause_after(busy, late));  // 4 s are past the deadline
  CHECK_FALSE(retries.pause_after(Error(Errc::rate_limited, "x").with_http_status(429), Instant()));
}

}  // namespace culmen::engine
