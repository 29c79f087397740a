// Cancelling what the blocking driver does: cancel(), tokens, a signal handler.
#include <doctest/doctest.h>

#include <time.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "culmen/cancel_token.hpp"
#include "culmen/driver.hpp"
#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"

namespace culmen::drivers {

using namespace std::chrono_literals;

struct BlockingDriverAccess {
  static void wake_all(const BlockingDriver& driver) {
    for (const std::atomic<Lane*>& entry : driver.registered_) {
      if (Lane* lane = entry.load()) lane->loop.wake();
    }
  }
};

namespace {

Flow<Result<std::string>> rest(std::chrono::milliseconds duration, std::atomic<int>* begun = nullptr) {
  if (begun) ++*begun;
  Result<void> rested = co_await wait(duration);
  if (!rested) co_return rested.error();
  co_return std::string("rested");
}

Result<std::string> run(BlockingDriver& driver, Flow<Result<std::string>> flow,
                        const std::vector<CancelToken>& tokens = {}) {
  Execution<Result<std::string>> execution(std::move(flow), &instant_now);
  driver.drive(execution, tokens);
  return execution.result();
}

}  // namespace

TEST_CASE("blocking: cancel() ends the calls in progress and no later one") {
  BlockingDriver driver(TransportOptions(), nullptr);
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    std::atomic<int> begun = 0;
    std::atomic<int> cancelled = 0;
    for (int i = 0; i < 80; ++i) {  // more than have a pipe that cancel() writes to
      threads.emplace_back([&] {
        Flow<Result<std::string>> flow = rest(3600s, &begun);
        const Result<std::string> result = run(driver, std::move(flow));
        if (!result && result.error().code() == Errc::cancelled) ++cancelled;
      });
    }
    while (begun.load() < 80) std::this_thread::sleep_for(1ms);
    driver.cancel();
    for (std::thread& thread : threads) thread.join();
    CHECK(cancelled == 80);
    CHECK(run(driver, rest(1ms)));
  }
}

TEST_CASE("blocking: a call that waits for its turn is not begun after cancel(), whoever calls that") {
  BlockingDriver driver(TransportOptions(), nullptr);
  bool is_called = false;
  struct Body {
    static Flow<Result<void>> cancels(BlockingDriver* driver) {
      Result<void> waited = co_await wait(0ms);
      if (waited) driver->cancel();
      co_return waited;
    }
    static Flow<Result<void>> calls(bool* is_called) {
      std::function<Result<void>()> function = [is_called]() -> Result<void> {
        *is_called = true;
        return {};
      };
      Result<void> called = co_await call(std::move(function));
      co_return called;
    }
    static Flow<Result<std::string>> both(BlockingDriver* driver, bool* is_called) {
      std::vector<Flow<Result<void>>> flows;
      flows.push_back(cancels(driver));
      flows.push_back(calls(is_called));
      std::vector<Result<void>> ended = co_await all(std::move(flows));
      if (!ended[1]) co_return ended[1].error();
      co_return std::string("called");
    }
  };
  const Result<std::string> result = run(driver, Body::both(&driver, &is_called));
  CHECK_FALSE(is_called);
  CHECK_FALSE(result);
}

TEST_CASE("blocking: a wake-up that is not for a drive does not keep it busy") {
  BlockingDriver driver(TransportOptions(), nullptr);
  // What a cancel() leaves behind for a drive that began between its two steps.
  std::thread late([&] {
    std::this_thread::sleep_for(20ms);
    BlockingDriverAccess::wake_all(driver);
  });
  const auto cpu_time = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  };
  const auto before = cpu_time();
  CHECK(run(driver, rest(400ms)));
  late.join();
  CHECK(cpu_time() - before < 150ms);  // polling without a pause would take 380 ms of it
}

TEST_CASE("blocking: a token ends every call it was given, also one that begins later") {
  BlockingDriver driver(TransportOptions(), nullptr);
  const CancelToken token;
  const CancelToken other;
  CHECK_FALSE(token.cancelled());
  std::thread canceller([copy = token] {
    std::this_thread::sleep_for(50ms);
    copy.cancel();
    copy.cancel();
  });
  const Result<std::string> result = run(driver, rest(3600s), {CancelToken::never(), token});
  canceller.join();
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::cancelled);
  CHECK(token.cancelled());

  const Result<std::string> later = run(driver, rest(3600s), {token});
  REQUIRE_FALSE(later);
  CHECK(later.error().code() == Errc::cancelled);
  CHECK(run(driver, rest(1ms), {other, CancelToken::never()}));
  CHECK_FALSE(other.cancelled());
  CancelToken::never().cancel();
  CHECK_FALSE(CancelToken::never().cancelled());
}

namespace {
BlockingDriver* signalled = nullptr;
}

TEST_CASE("blocking: cancelled by a signal handler") {
  BlockingDriver driver(TransportOptions(), nullptr);
  signalled = &driver;
  std::signal(SIGUSR1, [](int) { signalled->cancel(); });
  std::thread sender([target = ::pthread_self()] {
    std::this_thread::sleep_for(50ms);
    ::pthread_kill(target, SIGUSR1);
  });
  const Result<std::string> result = run(driver, rest(3600s));
  sender.join();
  std::signal(SIGUSR1, SIG_DFL);
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == Errc::cancelled);
}

}  // namespace culmen::drivers
