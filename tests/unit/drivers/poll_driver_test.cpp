// PollDriver: what its descriptor says, callbacks, cancelling, and an end at any time.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

#include "culmen/event.hpp"
#include "culmen/nursery.hpp"
#include "culmen/poll_driver.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

using Text = Result<std::string>;

Flow<Text> resting(std::chrono::microseconds duration) {
  Result<void> rested = co_await wait(duration);
  if (!rested) co_return rested.error();
  co_return std::string("rested");
}

Flow<Text> at_once() {
  (void)co_await now();
  co_return std::string("at once");
}

Flow<Text> waiting_for(Event event) {
  Result<void> woken = co_await event.wait();
  if (!woken) co_return woken.error();
  co_return std::string("woken");
}

Flow<Text> calling(std::function<Result<void>()> function) {
  Result<void> called = co_await call(std::move(function));
  if (!called) co_return called.error();
  co_return std::string("called");
}

bool is_readable(const PollDriver& driver, std::chrono::milliseconds within) {
  pollfd ready{driver.fd(), POLLIN, 0};
  return ::poll(&ready, 1, static_cast<int>(within.count())) == 1;
}

/// Runs the driver by its descriptor alone.
void run(PollDriver& driver) {
  while (!driver.idle()) {
    REQUIRE(is_readable(driver, 10s));
    driver.process();
  }
}

}  // namespace

TEST_CASE("PollDriver: the descriptor is readable when there is something to do, and only then") {
  PollDriver driver;
  CHECK_FALSE(is_readable(driver, 0ms));
  CHECK_FALSE(driver.next_deadline());

  driver.start(resting(0ms), nullptr);  // nobody wants to know
  run(driver);

  std::optional<Text> rested;
  driver.start(resting(30ms), [&rested](Text text) { rested.emplace(std::move(text)); });
  CHECK_FALSE(driver.idle());
  CHECK(driver.next_deadline());
  driver.process();
  CHECK_FALSE(rested);
  CHECK(is_readable(driver, 10s));
  run(driver);
  REQUIRE(rested);
  CHECK(rested->value() == "rested");
  CHECK_FALSE(driver.next_deadline());

  const Event event;
  std::optional<Text> woken;
  driver.start<std::string>(waiting_for(event), [&woken](Text text) { woken.emplace(std::move(text)); });
  while (is_readable(driver, 0ms)) driver.process();
  CHECK_FALSE(woken);
  std::thread([event] { event.set(); }).join();
  CHECK(is_readable(driver, 10s));
  run(driver);
  REQUIRE(woken);
  CHECK(woken->value() == "woken");
}

TEST_CASE("PollDriver: process() does not wait for a function that blocks") {
  PollDriver driver;
  const auto released = std::make_shared<std::atomic<bool>>(false);
  bool is_called = false;
  driver.start<std::string>(calling([released]() -> Result<void> {
                              while (!*released) std::this_thread::sleep_for(1ms);
                              return {};
                            }),
                            [&is_called](const Text& text) { is_called = text.has_value(); });
  bool is_rested = false;
  driver.start<std::string>(resting(5ms), [&is_rested](const Text& text) { is_rested = text.has_value(); });
  while (!is_rested) {
    REQUIRE(is_readable(driver, 10s));
    driver.process();
  }
  CHECK_FALSE(is_called);
  *released = true;
  run(driver);
  CHECK(is_called);
}

TEST_CASE("PollDriver: callbacks may start and cancel flows, and what they throw reaches process()") {
  PollDriver driver;
  std::vector<std::string> log;
  const PollDriver::Id endless = driver.start<std::string>(resting(3600s), [&log](const Text& text) {
    log.push_back(text ? "?" : std::string(to_string(text.error().code())));
  });
  driver.start<std::string>(resting(0ms), [&](const Text&) {
    log.emplace_back("first");
    driver.start<std::string>(resting(1ms), [&](const Text&) {
      log.emplace_back("second");
      driver.cancel(endless);
      throw std::runtime_error("thrown");
    });
  });
  int thrown = 0;
  while (!driver.idle()) {
    REQUIRE(is_readable(driver, 10s));
    try {
      driver.process();
    } catch (const std::runtime_error&) {
      ++thrown;
    }
  }
  CHECK(thrown == 1);
  CHECK(log == std::vector<std::string>{"first", "second", "cancelled"});
}

TEST_CASE("PollDriver: an exception of one callback does not hold up the next") {
  PollDriver driver;
  bool second_is_called = false;
  driver.start<std::string>(at_once(), [](const Text&) { throw std::runtime_error("thrown"); });
  driver.start<std::string>(at_once(), [&](const Text&) { second_is_called = true; });
  REQUIRE(is_readable(driver, 0ms));
  CHECK_THROWS_AS(driver.process(), std::runtime_error);
  CHECK_FALSE(second_is_called);
  REQUIRE(is_readable(driver, 0ms));
  driver.process();
  CHECK(second_is_called);
  CHECK_FALSE(is_readable(driver, 0ms));
}

TEST_CASE("PollDriver: nothing is left to do once a flow has ended in process()") {
  PollDriver driver;
  driver.start<std::string>(resting(1ms), [](const Text&) {});
  run(driver);
  CHECK_FALSE(is_readable(driver, 0ms));
}

namespace {

Flow<Result<void>> cancels_its_parent(std::function<void()> cancel, std::string* seen) {
  const std::string local(100, 'x');
  Result<void> rested = co_await wait(1ms);
  if (!rested) co_return rested;
  cancel();
  *seen = local;  // still there, though the parent drops its nursery when it is cancelled
  co_return Result<void>();
}

Flow<Text> cancelled_by_its_child(std::function<void()> cancel, std::string* seen) {
  Nursery nursery = co_await open_nursery();
  nursery.spawn(cancels_its_parent(std::move(cancel), seen));
  Text rested = co_await resting(3600s);
  co_return rested;
}

Flow<Text> cancels_as_it_starts(std::function<void()> cancel, std::string* seen) {
  Result<void> rested = co_await wait(1ms);
  if (!rested) co_return rested.error();
  std::function<void(AwaitAsk::Done)> start = [cancel = std::move(cancel), seen,
                                               local = std::string(100, 'x')](const AwaitAsk::Done&) {
    cancel();
    *seen = local;
  };
  Result<void> reported = co_await await_done(std::move(start));
  if (!reported) co_return reported.error();
  co_return std::string("reported");
}

}  // namespace

TEST_CASE("PollDriver: a flow may cancel itself, from its children and from the functions that it hands out") {
  for (const auto make : {&cancelled_by_its_child, &cancels_as_it_starts}) {
    PollDriver driver;
    PollDriver::Id id = 0;
    std::string seen;
    Errc error = Errc::io_failed;
    id = driver.start<std::string>(make([&] { driver.cancel(id); }, &seen),
                                   [&](const Text& ended) { error = ended.error().code(); });
    run(driver);
    CHECK(seen == std::string(100, 'x'));
    CHECK(error == Errc::cancelled);
  }
}

TEST_CASE("PollDriver: cancel_all() cancels what runs, and not what is started because of it") {
  struct Body {
    static Flow<Text> again(PollDriver& driver, int* started) {
      ++*started;
      const std::chrono::seconds duration = *started > 3 ? 0s : 3600s;
      Text rested = co_await resting(duration);
      if (!rested) driver.start<std::string>(again(driver, started), {});
      co_return rested;
    }
  };
  PollDriver driver;
  int started = 0;
  for (int i = 0; i < 3; ++i) driver.start<std::string>(Body::again(driver, &started), {});
  driver.cancel_all();
  run(driver);
  CHECK(started == 6);
}

TEST_CASE("PollDriver: children that outlive the flow that opened their nursery are dropped with it") {
  struct Body {
    static Flow<Result<void>> child() {
      Result<void> rested = co_await wait(5ms);
      co_return rested;
    }
    // A parameter is destroyed with the frame, after the flow has ended.
    static Flow<Text> run(std::shared_ptr<std::optional<Nursery>> nursery) {
      Nursery opened = co_await open_nursery();
      nursery->emplace(std::move(opened));
      (*nursery)->spawn(child());
      Text rested = co_await resting(1ms);
      co_return rested;
    }
  };
  PollDriver driver;
  bool is_done = false;
  driver.start<std::string>(Body::run(std::make_shared<std::optional<Nursery>>()),
                            [&](const Text& ended) { is_done = ended.has_value(); });
  run(driver);
  CHECK(is_done);
  CHECK_FALSE(is_readable(driver, 20ms));
}

TEST_CASE("PollDriver: an end in the middle of everything") {
  const auto begun = std::make_shared<std::atomic<bool>>(false);
  const auto released = std::make_shared<std::atomic<bool>>(false);
  const auto finished = std::make_shared<std::atomic<bool>>(false);
  const Event event;
  {
    PollDriver driver;
    const auto never = [](const Text&) { FAIL("nothing ends any more"); };
    driver.start<std::string>(resting(3600s), never);
    driver.start<std::string>(waiting_for(event), never);
    driver.start<std::string>(calling([begun, released, finished]() -> Result<void> {
                                *begun = true;
                                while (!*released) std::this_thread::sleep_for(1ms);
                                *finished = true;
                                return {};
                              }),
                              never);
    driver.start<std::string>(shielded(resting(3600s)), never);
    while (!*begun) driver.process();
  }
  CHECK_FALSE(*finished);
  *released = true;
  while (!*finished) std::this_thread::sleep_for(1ms);
  event.set();
}
