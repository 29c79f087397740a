// Execution: asks handed out once, `all`, its width, cancellation and the shield against it.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "culmen/driver.hpp"
#include "culmen/nursery.hpp"

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

/// Notes what is taken back from it. Calls run, as far as it says.
class Notes final : public AskPerformer {
 public:
  bool withdraw(Ask& ask) noexcept override {
    if (ask.kind() == Ask::Kind::call && calls_have_begun) return false;
    withdrawn.push_back(&ask);
    return true;
  }
  void abandon(Ask& ask) noexcept override { abandoned.push_back(&ask); }
  bool calls_have_begun = true;
  std::vector<Ask*> withdrawn;
  std::vector<Ask*> abandoned;
};

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
  Notes notes;
  execution.set_performer(&notes);
  execution.cancel();
  CHECK(notes.withdrawn == std::vector<Ask*>{&first});
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
  Notes notes;
  execution.set_performer(&notes);
  execution.cancel();
  CHECK(notes.withdrawn.empty());
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
  Notes notes;
  execution.set_performer(&notes);
  execution.cancel();
  CHECK(notes.withdrawn.size() == 2);
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  for (const Result<void>& result : execution.result()) CHECK(result.error().code() == Errc::cancelled);
  CHECK(log.size() == 4);
}

TEST_CASE("execution: cancelled before the first ask, the first ask is answered so") {
  Execution<Result<void>> execution(one_wait(1), still_clock());
  execution.cancel();
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
  Notes notes;
  execution.set_performer(&notes);
  execution.cancel();
  CHECK(notes.withdrawn.empty());
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
  execution.cancel();
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

TEST_CASE("execution: a call that has not begun is withdrawn") {
  struct Body {
    static Flow<Result<void>> run(bool* called) {
      std::function<Result<void>()> function = [called]() -> Result<void> {
        *called = true;
        return {};
      };
      co_return co_await call(std::move(function));
    }
  };
  bool called = false;
  Notes notes;
  notes.calls_have_begun = false;
  Execution<Result<void>> execution(Body::run(&called), still_clock());
  execution.set_performer(&notes);
  Ask* const ask = execution.next();
  REQUIRE(ask);
  execution.cancel();
  CHECK(notes.withdrawn == std::vector<Ask*>{ask});
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  CHECK(execution.result().error().code() == Errc::cancelled);
  CHECK_FALSE(called);
}

TEST_CASE("execution: after cancellation every further ask is refused, of whatever kind") {
  struct Body {
    static Flow<Result<void>> run(std::vector<Errc>* refusals) {
      const auto note = [refusals](const auto& result) {
        if (!result) refusals->push_back(result.error().code());
      };
      Result<void> waited = co_await wait(milliseconds(1));
      note(waited);
      Result<HttpResponse> response = co_await send(HttpRequest(HttpMethod::get, "https://ca.example/"));
      note(response);
      std::function<Result<void>()> function = []() -> Result<void> { return {}; };
      Result<void> called = co_await call(function);
      note(called);
      std::function<void(AwaitAsk::Done)> start = [](const AwaitAsk::Done& done) { done(Result<void>()); };
      Result<void> reported = co_await await_done(start);
      note(reported);
      ExchangeRequest request(ExchangeRequest::Transport::udp, "127.0.0.1", 53, Bytes(1));
      Result<Bytes> exchanged = co_await exchange_message(request);
      note(exchanged);
      Flow<Result<void>> clean_up = one_wait(7);
      Result<void> cleaned = co_await shielded(std::move(clean_up));
      note(cleaned);
      const std::vector<int> durations(2, 8);
      std::vector<Result<void>> both = co_await many(durations, 1);
      for (const Result<void>& result : both) note(result);
      co_return Result<void>();
    }
  };
  std::vector<Errc> refusals;
  Notes notes;
  Execution<Result<void>> execution(Body::run(&refusals), still_clock());
  execution.set_performer(&notes);
  as_wait(execution.next());
  execution.cancel();
  WaitAsk& clean_up = as_wait(execution.next());  // nothing else comes out
  CHECK(clean_up.duration == milliseconds(7));
  execution.answer(clean_up, Result<void>());
  CHECK(execution.next() == nullptr);
  REQUIRE(execution.done());
  CHECK(refusals == std::vector<Errc>(7, Errc::cancelled));
}

TEST_CASE("execution: a flow that never hears the cancellation is ended by an exception") {
  struct Body {
    static Flow<Result<void>> loop(bool in_parts) {
      const std::vector<int> durations(2, 1);
      for (;;) {
        if (in_parts) {
          (void)co_await many(durations, 0);
        } else {
          (void)co_await wait(milliseconds(1));
        }
      }
    }
    static Flow<Result<void>> with_clean_up(bool in_parts, bool* cleaned) {
      std::function<Flow<Result<void>>()> make = [in_parts] { return loop(in_parts); };
      Result<void> worked = co_await guarded<void>(std::move(make), "looping");
      Flow<Result<void>> clean_up = one_wait(7);
      Result<void> done = co_await shielded(std::move(clean_up));
      *cleaned = done.has_value();
      co_return worked;
    }
  };
  for (const bool in_parts : {false, true}) {
    CAPTURE(in_parts);
    bool cleaned = false;
    Notes notes;
    Execution<Result<void>> execution(Body::with_clean_up(in_parts, &cleaned), still_clock());
    execution.set_performer(&notes);
    while (execution.next()) {
    }
    execution.cancel();
    execution.answer(as_wait(execution.next()), Result<void>());
    CHECK(execution.next() == nullptr);
    REQUIRE(execution.done());
    CHECK(execution.result().error().code() == Errc::cancelled);
    CHECK(cleaned);
  }
}

TEST_CASE("execution: destroyed at any point, nested in any way, it abandons exactly the asks that are out") {
  // Every combination of these, three deep, around a wait; destroyed after each number of answers.
  enum class Around { nothing, shield, all, first, deadline, guard, nursery };
  struct Body {
    static Flow<Result<void>> in_nursery(std::vector<Around> layers) {
      Nursery nursery = co_await open_nursery();
      nursery.spawn(build(layers));
      nursery.spawn(build(layers));
      Result<void> joined = co_await nursery.join();
      co_return joined;
    }
    static Flow<Result<void>> in_all(std::vector<Around> layers) {
      std::vector<Flow<Result<void>>> parts;
      for (int i = 0; i < 2; ++i) parts.push_back(build(layers));
      std::vector<Result<void>> results = co_await all(std::move(parts));
      co_return results.front();
    }
    static Flow<Result<void>> in_first(std::vector<Around> layers) {
      std::vector<Flow<Result<void>>> parts;
      for (int i = 0; i < 2; ++i) parts.push_back(build(layers));
      First<Result<void>> first = co_await first_of(std::move(parts));
      co_return first.result;
    }
    static Flow<Result<void>> waits() {
      Result<void> first = co_await one_wait(1);
      if (!first) co_return first;
      co_return co_await one_wait(2);
    }
    static Flow<Result<void>> build(std::vector<Around> layers) {
      if (layers.empty()) return waits();
      const Around around = layers.back();
      layers.pop_back();
      switch (around) {
        case Around::nothing: return build(layers);
        case Around::shield: return shielded(build(layers));
        case Around::all: return in_all(layers);
        case Around::first: return in_first(layers);
        case Around::deadline: return with_deadline(build(layers), std::chrono::seconds(1), "testing");
        case Around::guard: {
          std::function<Flow<Result<void>>()> make = [layers] { return build(layers); };
          return guarded<void>(std::move(make), "testing");
        }
        case Around::nursery: return in_nursery(layers);
      }
      return waits();
    }
  };
  constexpr std::array kinds = {Around::nothing,  Around::shield, Around::all,    Around::first,
                                Around::deadline, Around::guard,  Around::nursery};
  int runs = 0;
  const auto run = [&runs](const std::vector<Around>& layers, int answers, bool cancel) {
    Notes notes;
    auto execution = std::make_unique<Execution<Result<void>>>(Body::build(layers), still_clock());
    execution->set_performer(&notes);
    std::deque<Ask*> out;
    const auto collect = [&] {
      while (Ask* ask = execution->next()) out.push_back(ask);
      for (const Ask* ask : std::exchange(notes.withdrawn, {})) std::erase(out, ask);
      for (const Ask* ask : std::exchange(notes.abandoned, {})) std::erase(out, ask);
    };
    for (collect(); answers > 0 && !out.empty(); --answers) {
      auto& ask = as_wait(out.front());
      out.pop_front();
      execution->answer(ask, Result<void>());
      collect();
    }
    if (cancel) {
      execution->cancel();
      for (const Ask* ask : std::exchange(notes.withdrawn, {})) std::erase(out, ask);
      if (answers % 2 == 0) collect();
    }
    const bool ended = execution->done();
    execution.reset();
    std::vector<Ask*> expected(out.begin(), out.end());
    std::ranges::sort(expected);
    std::ranges::sort(notes.abandoned);
    REQUIRE(notes.abandoned == expected);
    ++runs;
    return ended;
  };
  for (const Around outer : kinds) {
    for (const Around middle : kinds) {
      for (const Around inner : kinds) {
        for (const bool cancel : {false, true}) {
          for (int answers = 0; answers < 40; ++answers) {
            if (run({inner, middle, outer}, answers, cancel)) break;
          }
        }
      }
    }
  }
  CHECK(runs > 2000);
}
