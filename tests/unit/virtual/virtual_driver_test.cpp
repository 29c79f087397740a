// The driver without a CA: time, order, cancellation, and flows that never end.
#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "culmen/event.hpp"
#include "culmen/nursery.hpp"
#include "culmen/virtual_driver.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

constexpr VirtualClock::TimePoint start{std::chrono::seconds(1'790'000'000)};

TimedResponse echo(const HttpRequest& request) {
  HttpResponse response;
  response.status = 200;
  response.body = request.url;
  return TimedResponse(response, 100ms);
}

Flow<Result<void>> sleeper(std::chrono::milliseconds each, int times, std::vector<std::string>& log, std::string name) {
  for (int i = 0; i < times; ++i) {
    Result<void> waited = co_await wait(each);
    if (!waited) co_return waited;
    log.push_back(name);
  }
  co_return Result<void>();
}

Flow<Result<std::string>> fetch(std::string url) {
  HttpRequest request(HttpMethod::get, std::move(url));
  Result<HttpResponse> response = co_await send(request);
  if (!response) co_return response.error();
  co_return response->body;
}

Flow<Result<void>> spin() {
  for (;;) {
    Result<void> waited = co_await wait(1ms);
    if (!waited) co_return waited;
  }
}

Flow<Result<void>> await_report(std::function<void(AwaitAsk::Done)> begin) {
  Result<void> done = co_await await_done(std::move(begin));
  co_return done;
}

Flow<Result<void>> call_it(std::function<Result<void>()> function) {
  Result<void> called = co_await call(std::move(function));
  co_return called;
}

std::string thrown_by(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    CHECK(error.code() == Errc::deadline);
    return error.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("virtual driver: waits of years take no time, and flows interleave by their clocks") {
  const auto real_start = std::chrono::steady_clock::now();
  VirtualClock clock(start);
  VirtualDriver driver(clock, &echo);
  std::vector<std::string> log;
  int done = 0;
  const auto count = [&done](const Result<void>& result) { done += result ? 1 : 0; };
  driver.start<Result<void>>(sleeper(24h * 300, 3, log, "slow"), count);
  driver.start<Result<void>>(sleeper(24h * 200, 4, log, "fast"), count);
  CHECK(driver.running() == 2);
  driver.run();
  CHECK(done == 2);
  CHECK(driver.running() == 0);
  // At day 600 both are due: the one that began to wait first comes first.
  CHECK(log == std::vector<std::string>{"fast", "slow", "fast", "slow", "fast", "fast", "slow"});
  CHECK(clock.now() == start + 24h * 900);
  CHECK(std::chrono::steady_clock::now() - real_start < 5s);
}

TEST_CASE("virtual driver: run_until stops at its time, and sets the clock to it") {
  VirtualClock clock(start);
  VirtualDriver driver(clock, &echo);
  std::vector<std::string> log;
  driver.start<Result<void>>(sleeper(1min, 10, log, "a"), {});
  driver.run_until(start + 210s);
  CHECK(log.size() == 3);
  CHECK(clock.now() == start + 210s);
  driver.run_until(start + 240s);
  CHECK(log.size() == 4);
  CHECK(driver.running() == 1);
}

TEST_CASE("virtual driver: responses arrive after their delay, and too late is a timeout") {
  VirtualClock clock(start);
  VirtualDriverOptions options;
  options.request_timeout = 10s;
  std::chrono::milliseconds delay = 7s;
  VirtualDriver driver(
      clock,
      [&delay](const HttpRequest& request) {
        if (request.url == "https://broken.test/") throw std::runtime_error("no such server");
        return TimedResponse(*echo(request).response, delay);
      },
      options);
  Result<std::string> body = driver.drive(fetch("https://a.test/"));
  REQUIRE(body);
  CHECK(*body == "https://a.test/");
  CHECK(clock.now() == start + 7s);
  delay = 11s;
  Result<std::string> late = driver.drive(fetch("https://a.test/"));
  REQUIRE(!late);
  CHECK(late.error().code() == Errc::timeout);
  CHECK(clock.now() == start + 17s);
  Result<std::string> broken = driver.drive(fetch("https://broken.test/"));
  REQUIRE(!broken);
  CHECK(std::string(broken.error().what()).find("no such server") != std::string::npos);
}

TEST_CASE("virtual driver: cancelling withdraws waits and requests") {
  VirtualClock clock(start);
  VirtualDriver driver(clock, &echo);
  std::vector<std::string> log;
  std::vector<Errc> errors;
  const auto note = [&errors](const Result<void>& result) {
    if (!result) errors.push_back(result.error().code());
  };
  ExecutionBase& first = driver.start<Result<void>>(sleeper(1h, 2, log, "a"), note);
  driver.start<Result<void>>(sleeper(2h, 1, log, "b"), note);
  ExecutionBase& third = driver.start<Result<std::string>>(fetch("https://a.test/"), [&](Result<std::string> result) {
    if (!result) errors.push_back(result.error().code());
  });
  driver.run_until(start + 50ms);
  driver.cancel(first);
  driver.cancel(third);
  driver.run();
  CHECK(errors == std::vector<Errc>{Errc::cancelled, Errc::cancelled});
  CHECK(log == std::vector<std::string>{"b"});
}

TEST_CASE("virtual driver: an execution can be cancelled before it runs, and by a call that it makes") {
  VirtualClock clock(start);
  VirtualDriver driver(clock, &echo);
  std::vector<std::string> log;
  ExecutionBase& unborn = driver.start<Result<void>>(sleeper(1h, 1, log, "a"), {});
  driver.cancel(unborn);
  ExecutionBase* caller = nullptr;
  caller = &driver.start<Result<void>>(call_it([&] {
                                         driver.cancel(*caller);
                                         return Result<void>();
                                       }),
                                       {});
  driver.run();
  CHECK(log.empty());
  CHECK(driver.running() == 0);
}

TEST_CASE("virtual driver: an execution can be cancelled by the transport that answers its request") {
  VirtualClock clock(start);
  ExecutionBase* fetching = nullptr;
  VirtualDriver* running = nullptr;
  VirtualDriver driver(clock, [&](const HttpRequest& request) {
    running->cancel(*fetching);
    return echo(request);
  });
  running = &driver;
  std::vector<std::string> log;
  std::optional<Errc> error;
  fetching = &driver.start<Result<std::string>>(fetch("https://a.test/"), [&](const Result<std::string>& result) {
    if (!result) error = result.error().code();
  });
  driver.start<Result<void>>(sleeper(1h, 1, log, "a"), {});  // beyond the time of the response
  driver.run();
  CHECK(error == Errc::cancelled);
}

TEST_CASE("virtual driver: calls are made inline, and their errors are answers") {
  VirtualDriver driver(VirtualClock(start), &echo);
  const auto caller = std::this_thread::get_id();
  bool same_thread = false;
  Result<void> fine = driver.drive(call_it([&] {
    same_thread = std::this_thread::get_id() == caller;
    return Result<void>();
  }));
  CHECK(fine.has_value());
  CHECK(same_thread);
  Result<void> failed = driver.drive(call_it([]() -> Result<void> { throw std::runtime_error("broken"); }));
  REQUIRE(!failed);
  CHECK(failed.error().code() == Errc::solver_failed);
}

TEST_CASE("virtual driver: an awaited operation is reported at once, later, by nobody, or by an exception") {
  VirtualClock clock(start);
  VirtualDriver driver(clock, &echo);
  CHECK(driver.drive(await_report([](const AwaitAsk::Done& done) { done(Result<void>()); })).has_value());

  AwaitAsk::Done later;
  bool reported = false;
  driver.start<Result<void>>(await_report([&later](AwaitAsk::Done done) { later = std::move(done); }),
                             [&reported](const Result<void>& result) { reported = result.has_value(); });
  driver.run_until(start + 1min);
  CHECK_FALSE(reported);
  later(Result<void>());
  later(Result<void>());  // ignored
  driver.run_until(start + 2min);
  CHECK(reported);

  Result<void> dropped = driver.drive(await_report([](const AwaitAsk::Done&) {}));
  REQUIRE(!dropped);
  CHECK(dropped.error().code() == Errc::solver_failed);
  Result<void> thrown =
      driver.drive(await_report([](const AwaitAsk::Done&) { throw Error(Errc::io_failed, "starting", "no"); }));
  REQUIRE(!thrown);
  CHECK(thrown.error().code() == Errc::io_failed);
}

TEST_CASE("virtual driver: a flow that spins is named, whether its waits are short or none") {
  VirtualDriverOptions options;
  options.asks_per_minute = 1000;
  VirtualDriver driver(VirtualClock(start), &echo, options);
  std::vector<std::string> log;
  CHECK(driver.drive(sleeper(100ms, 5000, log, "x"), "decent").has_value());
  driver.start<Result<void>>(sleeper(100ms, 5000, log, "x"), {}, "decent");
  driver.start<Result<void>>(spin(), {}, "renewal of a.example");
  const std::string what = thrown_by([&driver] { driver.run(); });
  CHECK_MESSAGE(what.find("renewal of a.example") != std::string::npos, what);
  VirtualDriver other(VirtualClock(start), &echo, options);
  CHECK(thrown_by([&] { (void)other.drive(sleeper(0ms, 2000, log, "x"), "zero"); }).find("zero") != std::string::npos);
}

TEST_CASE("virtual driver: flows that nothing can wake are named") {
  VirtualDriver driver(VirtualClock(start), &echo);
  std::vector<AwaitAsk::Done> kept;
  driver.start<Result<void>>(await_report([&kept](AwaitAsk::Done done) { kept.push_back(std::move(done)); }), {},
                             "the forgotten one");
  const std::string what = thrown_by([&driver] { driver.run(); });
  CHECK_MESSAGE(what.find("the forgotten one") != std::string::npos, what);
}

TEST_CASE("virtual driver: on_done may add flows, and its exceptions come out") {
  VirtualClock clock(start);
  VirtualDriver driver(clock, &echo);
  std::vector<std::string> log;
  driver.start<Result<void>>(sleeper(1min, 1, log, "first"), [&](const Result<void>&) {
    driver.start<Result<void>>(sleeper(1min, 1, log, "second"),
                               [](const Result<void>&) { throw std::runtime_error("on_done"); });
  });
  CHECK_THROWS_WITH_AS(driver.run(), "on_done", std::runtime_error);
  CHECK(log == std::vector<std::string>{"first", "second"});
  CHECK(driver.running() == 0);
  CHECK(clock.now() == start + 2min);
}

TEST_CASE("virtual driver: children that outlive the flow that opened their nursery are dropped with it") {
  struct Body {
    static Flow<Result<void>> resting(std::chrono::seconds duration) {
      Result<void> rested = co_await wait(duration);
      co_return rested;
    }
    static Flow<Result<void>> waiting(Event event) {
      Result<void> woken = co_await event.wait();
      co_return woken;
    }
    // A parameter is destroyed with the frame, after the flow has ended.
    static Flow<Result<void>> run(std::shared_ptr<std::optional<Nursery>> nursery, Event event) {
      Nursery opened = co_await open_nursery();
      nursery->emplace(std::move(opened));
      (*nursery)->spawn(resting(5s));
      (*nursery)->spawn(waiting(event));
      Result<void> rested = co_await wait(1s);
      co_return rested;
    }
  };
  VirtualClock clock(start);
  VirtualDriver driver(clock, &echo);
  const Event event;
  CHECK(driver.drive(Body::run(std::make_shared<std::optional<Nursery>>(), event)).has_value());
  event.set();
  driver.run_until(start + 1min);
  CHECK(driver.running() == 0);
}

TEST_CASE("virtual driver: destroyed with flows that wait") {
  std::vector<std::string> log;
  AwaitAsk::Done later;
  {
    VirtualDriver driver(VirtualClock(start), &echo);
    driver.start<Result<void>>(sleeper(1min, 5, log, "a"), {});
    driver.start<Result<std::string>>(fetch("https://a.test/"), {});
    driver.start<Result<void>>(await_report([&later](AwaitAsk::Done done) { later = std::move(done); }), {});
    driver.run_until(start + 50ms);
  }
  later(Result<void>());  // reports to nobody
  CHECK(log.empty());
}
