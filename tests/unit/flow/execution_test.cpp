// Execution: asks handed out once, `all`, its width, cancellation and the shield against it.
#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <stdexcept>
#include <string>
#include <vector>

#include "culmen/driver.hpp"

using namespace culmen;
using std::chrono::milliseconds;

namespace {

ExecutionBase::Clock still_clock() {
  return [] { return Instant(); };
}

Flow<Result<void>> one_wait(int duration, std::vector<std::string>* log = nullptr) {
  Result<void> waited = co_await wait(milliseconds(duration));
  if (log)
    log->push_back(std::to_string(duration) + (waited ? " done" : " " + std::string(to_string(waited.error().code()))));
  co_return waited;
}

Flow<int> nested(int depth) {
  if (depth == 0) co_return 1;
  const int below = co_await nested(depth - 1);
  co_return below + 1;
}

WaitAsk& as_wait(Ask* ask) {
  REQUIRE(ask);
  REQUIRE(ask->kind() == Ask::Kind::wait);
  return static_cast<WaitAsk&>(*ask);
}

Flow<std::vector<Result<void>>> many(std::vector<int> durations, std::size_t width,
                                     std::vector<std::string>* log = nullptr) {
  std::vector<Flow<Result<void>>> parts;
  for (const int duration : durations) parts.push_back(one_wait(duration, log));
  std::vector<Result<void>> results = co_await all(std::move(parts), width);
  co_return results;
}

Flow<Result<void>> with_clean_up(std::vector<std::string>* log) {
  Result<void> worked = co_await one_wait(1, log);
  Result<void> cleaned = co_await shielded(one_wait(2, log));
  if (!cleaned) co_return cleaned;
  if (!worked) co_return worked;
  co_return co_await one_wait(3, log);
}

const std::function<void(Ask&)> forget = [](Ask&) {};

}  // namespace

TEST_CASE("execution: flows that ask nothing finish at once, however deep") {
  Execution<int> execution(nested(1000), still_clock());
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  CHECK(execution.result() == 1001);
}

TEST_CASE("execution: an ask is handed out once and its answer comes back") {
  Execution<Result<void>> execution(one_wait(5), still_clock());
  WaitAsk& ask = as_wait(execution.next());
  CHECK(ask.duration == milliseconds(5));
  CHECK(execution.next() == nullptr);
  CHECK_FALSE(execution.done());
  execution.answer(ask, Result<void>());
  CHECK(execution.next() == nullptr);
  CHECK(execution.done());
  CHECK(execution.result().has_value());
}

TEST_CASE("execution: all asks side by side, answers in any order, results in the order of the flows") {
  Execution<std::vector<Result<void>>> execution(many({1, 2, 3}, 0), still_clock());
  std::vector<WaitAsk*> asks;
  while (Ask* ask = execution.next()) asks.push_back(&as_wait(ask));
  REQUIRE(asks.size() == 3);
  execution.answer(*asks[2], Result<void>());
  execution.answer(*asks[0], Error(Errc::timeout, "waiting"));
  CHECK(execution.next() == nullptr);
  CHECK_FALSE(execution.done());
  execution.answer(*asks[1], Result<void>());
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  const std::vector<Result<void>> results = execution.result();
  REQUIRE(results.size() == 3);
  CHECK_FALSE(results[0].has_value());
  CHECK(results[1].has_value());
  CHECK(results[2].has_value());
}

TEST_CASE("execution: all of nothing is done at once") {
  Execution<std::vector<Result<void>>> execution(many({}, 3), still_clock());
  CHECK(execution.next() == nullptr);
  CHECK(execution.done());
}

TEST_CASE("execution: all keeps to its width") {
  Execution<std::vector<Result<void>>> execution(many({1, 2, 3, 4, 5}, 2), still_clock());
  std::deque<WaitAsk*> out;
  int answered = 0;
  while (!execution.done()) {
    while (Ask* ask = execution.next()) out.push_back(&as_wait(ask));
    CHECK(out.size() <= 2);
    if (out.empty()) break;
    execution.answer(*out.front(), Result<void>());
    out.pop_front();
    ++answered;
  }
  CHECK(answered == 5);
  CHECK(execution.done());
}

TEST_CASE("execution: cancelling answers what is out, withdraws it from the driver, and clean-up still runs") {
  std::vector<std::string> log;
  Execution<Result<void>> execution(with_clean_up(&log), still_clock());
  WaitAsk& first = as_wait(execution.next());
  std::vector<Ask*> withdrawn;
  execution.cancel([&](Ask& ask) { withdrawn.push_back(&ask); });
  CHECK(withdrawn == std::vector<Ask*>{&first});
  WaitAsk& clean = as_wait(execution.next());
  CHECK(clean.duration == milliseconds(2));
  execution.answer(clean, Result<void>());
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  CHECK(execution.result().error().code() == Errc::cancelled);
  CHECK(log == std::vector<std::string>{"1 cancelled", "2 done"});
}

TEST_CASE("execution: a cancellation that comes during clean-up waits until it is over") {
  std::vector<std::string> log;
  Execution<Result<void>> execution(with_clean_up(&log), still_clock());
  execution.answer(as_wait(execution.next()), Result<void>());
  WaitAsk& clean = as_wait(execution.next());
  int withdrawn = 0;
  execution.cancel([&](Ask&) { ++withdrawn; });
  CHECK(withdrawn == 0);
  execution.answer(clean, Result<void>());
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  CHECK(execution.result().error().code() == Errc::cancelled);
  CHECK(log == std::vector<std::string>{"1 done", "2 done", "3 cancelled"});
}

TEST_CASE("execution: cancelling reaches every part of all, started or not") {
  std::vector<std::string> log;
  Execution<std::vector<Result<void>>> execution(many({1, 2, 3, 4}, 2, &log), still_clock());
  while (execution.next()) {
  }
  int withdrawn = 0;
  execution.cancel([&](Ask&) { ++withdrawn; });
  CHECK(withdrawn == 2);
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  for (const Result<void>& result : execution.result()) CHECK(result.error().code() == Errc::cancelled);
  CHECK(log.size() == 4);
}

TEST_CASE("execution: cancelled before the first ask, the first ask is answered so") {
  Execution<Result<void>> execution(one_wait(1), still_clock());
  execution.cancel(forget);
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  CHECK(execution.result().error().code() == Errc::cancelled);
}

TEST_CASE("execution: a call in progress is not withdrawn, what comes after it is cancelled") {
  struct Body {
    static Flow<Result<void>> run(bool* called) {
      std::function<Result<void>()> function = [called]() -> Result<void> {
        *called = true;
        return {};
      };
      Result<void> first = co_await call(std::move(function));
      if (!first) co_return first;
      co_return co_await one_wait(1);
    }
  };
  bool called = false;
  Execution<Result<void>> execution(Body::run(&called), still_clock());
  Ask* ask = execution.next();
  REQUIRE(ask);
  REQUIRE(ask->kind() == Ask::Kind::call);
  int withdrawn = 0;
  execution.cancel([&](Ask&) { ++withdrawn; });
  CHECK(withdrawn == 0);
  CHECK(execution.next() == nullptr);
  CHECK_FALSE(execution.done());
  auto& call_ask = static_cast<CallAsk&>(*ask);
  execution.answer(call_ask, call_function(call_ask));
  CHECK(called);
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  CHECK(execution.result().error().code() == Errc::cancelled);
}

TEST_CASE("execution: a cancellation no part saw reaches the flow that waits for the parts") {
  struct Body {
    static Flow<Result<void>> run(std::vector<std::string>* log) {
      std::vector<Flow<Result<void>>> parts;
      parts.push_back(shielded(one_wait(1, log)));
      const std::vector<Result<void>> results = co_await all(std::move(parts));
      if (!results[0]) co_return results[0];
      co_return co_await one_wait(2, log);
    }
  };
  std::vector<std::string> log;
  Execution<Result<void>> execution(Body::run(&log), still_clock());
  WaitAsk& clean = as_wait(execution.next());
  execution.cancel(forget);
  execution.answer(clean, Result<void>());
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  CHECK(log == std::vector<std::string>{"1 done", "2 cancelled"});
}

TEST_CASE("execution: an exception comes out where the result is asked for") {
  struct Body {
    static Flow<int> thrower() {
      Result<void> waited = co_await wait(milliseconds(1));
      if (waited) throw std::runtime_error("out of luck");
      co_return 1;
    }
    static Flow<int> outer() { co_return co_await thrower(); }
  };
  Execution<int> execution(Body::outer(), still_clock());
  execution.answer(as_wait(execution.next()), Result<void>());
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  CHECK_THROWS_AS(execution.result(), std::runtime_error);
}

TEST_CASE("execution: what a called function throws is an error, not a crash") {
  const CallAsk throws_error([]() -> Result<void> { throw Error(Errc::io_failed, "writing", "disk full"); });
  CHECK(call_function(throws_error).error().code() == Errc::io_failed);
  const CallAsk throws_other([]() -> Result<void> { throw std::runtime_error("oops"); });
  CHECK(call_function(throws_other).error().code() == Errc::solver_failed);
}

TEST_CASE("execution: destroyed in the middle it leaks nothing and calls nothing") {
  auto execution = std::make_unique<Execution<std::vector<Result<void>>>>(many({1, 2, 3}, 2), still_clock());
  while (execution->next()) {
  }
  execution.reset();
}
