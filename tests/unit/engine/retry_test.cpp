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
  std::chrono::milliseconds waited{0};
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
  Session::State state(Directory(), SessionOptions{});
  const Watched first = watch(state, 1s);
  CHECK(first.looks > 5);
  CHECK(first.looks < 20);
  CHECK(first.waited < 1600ms);
}

TEST_CASE("settling: what a CA takes is learned, whether milliseconds or seconds") {
  for (const auto takes : {2ms, 30ms, 700ms, 5000ms}) {
    CAPTURE(takes.count());
    Session::State state(Directory(), SessionOptions{});
    for (int i = 0; i < 40; ++i) watch(state, takes);
    int looks = 0;
    std::chrono::milliseconds waited{0};
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
  Session::State state(Directory(), SessionOptions{});
  for (int i = 0; i < 40; ++i) watch(state, 2ms);
  watch(state, 3000ms);
  watch(state, 3000ms);
  CHECK(watch(state, 3000ms).looks <= 3);
}

TEST_CASE("settling: of many side by side one is heard, so that a crowd that misses does not multiply") {
  Session::State state(Directory(), SessionOptions{});
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
  RequestRetries none(options, -1, true, Instant());
  CHECK_FALSE(none.pause_after(refused, Instant()));
  CHECK_FALSE(none.pause_after(busy, Instant()));

  options.busy_retries = 100;
  RequestRetries many(options, 2, true, Instant());
  CHECK(many.pause_after(refused, Instant()) == 0ms);
  CHECK(many.pause_after(refused, Instant()) == 0ms);
  CHECK_FALSE(many.pause_after(refused, Instant()));
  for (int i = 0; i < 100; ++i) CHECK(many.pause_after(busy, Instant()) == 1s);
  CHECK_FALSE(many.pause_after(busy, Instant()));
}

TEST_CASE("retries: a lost response is repeated once, and only when that is safe") {
  const SessionOptions options;
  const Error lost(Errc::connection_failed, "x");
  RequestRetries safe(options, 1, true, Instant());
  CHECK(safe.pause_after(lost, Instant()) == 0ms);
  CHECK_FALSE(safe.pause_after(lost, Instant()));
  RequestRetries unsafe(options, 1, false, Instant());
  CHECK_FALSE(unsafe.pause_after(lost, Instant()));
}

TEST_CASE("retries: a busy server without a time gets twice as long each time, a rate limit no second request") {
  SessionOptions options;
  options.poll_deadline = 10s;
  const Error busy = Error(Errc::http_status, "x").with_http_status(503);
  RequestRetries retries(options, 1, true, Instant());
  CHECK(retries.pause_after(busy, Instant()) == 1s);
  CHECK(retries.pause_after(busy, Instant()) == 2s);
  Instant late;
  late.steady += 7s;
  CHECK_FALSE(retries.pause_after(busy, late));  // 4 s are past the deadline
  CHECK_FALSE(retries.pause_after(Error(Errc::rate_limited, "x").with_http_status(429), Instant()));
}

}  // namespace culmen::engine
