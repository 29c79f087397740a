// Every driver, with flows that use every ask: side by side, cancelled, from many threads.
#include <doctest/doctest.h>

#include <pthread.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "support/tiny_server.hpp"
#include "unit/drivers/each_driver.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using test::answering;
using test::Asio;
using test::Blocking;
using test::with_each;
namespace asio = boost::asio;

namespace {

using Text = Result<std::string>;

Flow<Text> fetch(std::string url) {
  HttpRequest request(HttpMethod::get, std::move(url));
  Result<HttpResponse> response = co_await send(std::move(request));
  if (!response) co_return response.error();
  co_return response->body;
}

Flow<Text> rest(std::chrono::milliseconds duration) {
  Result<void> rested = co_await wait(duration);
  if (!rested) co_return rested.error();
  co_return std::string("rested");
}

Flow<Text> many(std::vector<Flow<Text>> flows) {
  std::vector<Text> results = co_await all(std::move(flows));
  std::string text;
  for (const Text& result : results) {
    if (!result) co_return result.error();
    text += *result + ",";
  }
  co_return text;
}

std::chrono::milliseconds time_of(const std::function<void()>& work) {
  const auto before = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - before);
}

/// Answers "/hang" never, "/slow" after 100 ms, and everything else at once, by its path.
class HangingServer {
 public:
  HangingServer()
      : server([this](test::Connection& connection) {
          while (const auto request = connection.read_request()) {
            if (request->target == "/clean-up") ++cleaned_up;
            if (request->target == "/hang") {
              ++hanging;
              continue;
            }
            if (request->target == "/slow") {
              const int now = ++slow;
              for (int most = most_slow; now > most && !most_slow.compare_exchange_weak(most, now);) {
              }
              std::this_thread::sleep_for(100ms);
              --slow;
            }
            if (!connection.write(test::response(200, request->target))) return;
          }
        }) {}
  std::atomic<int> hanging = 0;
  std::atomic<int> cleaned_up = 0;
  std::atomic<int> slow = 0, most_slow = 0;  // being answered now, and at most at once
  test::Server server;
};

/// `work`, and whatever came of it: a shielded wait, a request, a call.
Flow<Text> clean_up(std::string url, std::atomic<int>& calls) {
  Result<void> waited = co_await wait(10ms);
  if (!waited) co_return waited.error();
  std::function<Result<void>()> function = [&calls]() -> Result<void> {
    ++calls;
    return {};
  };
  Result<void> called = co_await call(std::move(function));
  if (!called) co_return called.error();
  Text fetched = co_await fetch(std::move(url));
  co_return fetched;
}

Flow<Text> work_then_clean_up(Flow<Text> work, std::string url, std::atomic<int>& calls) {
  Text outcome = co_await std::move(work);
  Flow<Text> cleaning = clean_up(std::move(url), calls);
  Flow<Text> guarded = shielded(std::move(cleaning));
  Text cleaned = co_await std::move(guarded);
  if (!cleaned) co_return cleaned.error();
  co_return outcome;
}

Flow<Text> call_text(std::function<Result<void>()> function) {
  Result<void> called = co_await call(std::move(function));
  if (!called) co_return called.error();
  co_return std::string("called");
}

Flow<Text> await_text(std::function<void(AwaitAsk::Done)> start) {
  Result<void> reported = co_await await_done(std::move(start));
  if (!reported) co_return reported.error();
  co_return std::string("reported");
}

void wait_until(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(5ms);
  CHECK(condition());
}

}  // namespace

TEST_CASE("waits pass side by side") {
  with_each([](auto& driver) {
    std::vector<Flow<Text>> flows;
    for (int i = 0; i < 150; ++i) flows.push_back(rest(200ms));
    std::optional<Text> result;
    const auto spent = time_of([&] { result.emplace(driver.run(many(std::move(flows)))); });
    CHECK(result->has_value());
    CHECK(spent >= 200ms);
    CHECK(spent < 15s);  // one after the other: 30 s
  });
}

TEST_CASE("requests travel side by side, on several connections but not on too many") {
  HangingServer ca;
  with_each([&ca](auto& driver) {
    const int before = ca.server.connections();
    std::vector<Flow<Text>> flows;
    for (int i = 0; i < 24; ++i) flows.push_back(fetch(ca.server.url("/slow")));
    std::optional<Text> result;
    ca.most_slow = 0;
    result.emplace(driver.run(many(std::move(flows))));
    REQUIRE(result->has_value());
    CHECK(ca.most_slow > 1);
    CHECK(ca.server.connections() - before > 1);
    CHECK(ca.server.connections() - before <= 8);
  });
}

TEST_CASE("a connection is kept and used again") {
  HangingServer ca;
  with_each([&ca](auto& driver) {
    const int before = ca.server.connections();
    for (int i = 0; i < 10; ++i) CHECK(driver.run(fetch(ca.server.url("/x"))));
    CHECK(ca.server.connections() - before == 1);
  });
}

TEST_CASE("a connection the server has closed meanwhile is no error") {
  test::Server once([](test::Connection& connection) {
    if (connection.read_request()) connection.write(test::response(200, "one"));
  });
  with_each([&once](auto& driver) {
    for (int i = 0; i < 5; ++i) {
      CHECK(driver.run(fetch(once.url())));
      std::this_thread::sleep_for(10ms);
    }
  });
}

TEST_CASE("cancelled while waiting") {
  HangingServer ca;
  with_each([&ca](auto& driver) {
    const int before = ca.cleaned_up;
    std::atomic<int> calls = 0;
    Flow<Text> flow = work_then_clean_up(rest(3600s), ca.server.url("/clean-up"), calls);
    const Text result = driver.run_and_cancel(std::move(flow), [] { std::this_thread::sleep_for(50ms); });
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::cancelled);
    CHECK(ca.cleaned_up - before == 1);
    CHECK(calls == 1);
  });
}

TEST_CASE("cancelled while many requests are out") {
  HangingServer ca;
  with_each([&ca](auto& driver) {
    const int before = ca.hanging;
    const int cleaned_before = ca.cleaned_up;
    std::atomic<int> calls = 0;
    std::vector<Flow<Text>> flows;
    for (int i = 0; i < 4; ++i) {
      flows.push_back(work_then_clean_up(fetch(ca.server.url("/hang")), ca.server.url("/clean-up"), calls));
    }
    const Text result =
        driver.run_and_cancel(many(std::move(flows)), [&] { wait_until([&] { return ca.hanging - before == 4; }); });
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::cancelled);
    CHECK(ca.cleaned_up - cleaned_before == 4);
    CHECK(calls == 4);
  });
}

TEST_CASE("cancelled while calling: the call is let finish") {
  HangingServer ca;
  with_each([&ca](auto& driver) {
    const int before = ca.cleaned_up;
    std::atomic<int> calls = 0;
    std::atomic<bool> in_call = false;
    std::atomic<bool> finished = false;
    const auto slow_call = [&]() -> Result<void> {
      in_call = true;
      std::this_thread::sleep_for(200ms);
      finished = true;
      return {};
    };
    const auto call_and_rest = [](std::function<Result<void>()> function) -> Flow<Text> {
      Result<void> called = co_await call(std::move(function));
      if (!called) co_return called.error();
      Text rested = co_await rest(3600s);
      co_return rested;
    };
    Flow<Text> work = call_and_rest(slow_call);
    Flow<Text> flow = work_then_clean_up(std::move(work), ca.server.url("/clean-up"), calls);
    const Text result = driver.run_and_cancel(std::move(flow), [&] { wait_until([&] { return in_call.load(); }); });
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::cancelled);
    CHECK(finished);
    CHECK(ca.cleaned_up - before == 1);
    CHECK(calls == 1);
  });
}

TEST_CASE("what a call throws is the answer") {
  with_each([](auto& driver) {
    CHECK(driver.run(call_text([]() -> Result<void> { return {}; })));
    const Text ours = driver.run(call_text([]() -> Result<void> { throw Error(Errc::dns, "asking DNS"); }));
    REQUIRE_FALSE(ours);
    CHECK(ours.error().code() == Errc::dns);
    const Text theirs = driver.run(call_text([]() -> Result<void> { throw std::runtime_error("out of paper"); }));
    REQUIRE_FALSE(theirs);
    CHECK(theirs.error().code() == Errc::solver_failed);
    CHECK(std::string(theirs.error().what()).find("out of paper") != std::string::npos);
    const Text odd = driver.run(call_text([]() -> Result<void> { throw 7; }));
    REQUIRE_FALSE(odd);
    CHECK(odd.error().code() == Errc::solver_failed);
  });
}

TEST_CASE("what a flow throws reaches the caller") {
  const auto thrower = []() -> Flow<Text> {
    (void)co_await wait(1ms);
    throw std::logic_error("escaped");
  };
  with_each([&thrower](auto& driver) {
    std::string ended;
    try {
      const Text result = driver.run(thrower());
      if (!result) ended = result.error().what();  // the pollable driver has nobody to throw to
    } catch (const std::logic_error& error) {
      ended = error.what();
    }
    CHECK(ended.find("escaped") != std::string::npos);
  });
}

TEST_CASE("what is started reports from any thread, at once, never, or twice") {
  with_each([](auto& driver) {
    std::vector<std::thread> threads;
    std::mutex mutex;
    std::vector<Flow<Text>> flows;
    for (int i = 0; i < 10; ++i) {
      flows.push_back(await_text([&threads, &mutex, i](AwaitAsk::Done done) {
        const std::lock_guard lock(mutex);
        threads.emplace_back([done = std::move(done), i] {
          std::this_thread::sleep_for(std::chrono::milliseconds(5 * i));
          done(Result<void>());
          done(Error(Errc::io_failed, "reporting twice"));
        });
      }));
    }
    CHECK(driver.run(many(std::move(flows))));
    for (std::thread& thread : threads) thread.join();

    CHECK(driver.run(await_text([](AwaitAsk::Done done) { done(Result<void>()); })));
    const Text dropped = driver.run(await_text([](AwaitAsk::Done) {}));
    REQUIRE_FALSE(dropped);
    CHECK(std::string(dropped.error().what()).find("never reported") != std::string::npos);
    const Text thrown = driver.run(await_text([](AwaitAsk::Done) { throw std::runtime_error("no modem"); }));
    REQUIRE_FALSE(thrown);
    CHECK(std::string(thrown.error().what()).find("no modem") != std::string::npos);
  });
}

TEST_CASE("a request that may not be made is answered like any other") {
  with_each([](auto& driver) {
    std::vector<Flow<Text>> flows;
    flows.push_back(rest(10ms));
    flows.push_back(fetch("http://example.com/"));
    const Text result = driver.run(many(std::move(flows)));
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::invalid_argument);
  });
}

TEST_CASE("redirects and errors under the Asio driver") {
  test::Server server(answering([](const test::Request& request) {
    if (request.target == "/here") return test::response(200, "here");
    return test::response(302, "", "Location: /here\r\n");
  }));
  Asio driver;
  const Text redirected = driver.run(fetch(server.url("/there")));
  REQUIRE(redirected);
  CHECK(*redirected == "here");
  const Text refused = driver.run(fetch("http://127.0.0.1:1/"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::connection_failed);
  const Text unresolved = driver.run(fetch("https://does-not-exist.invalid/"));
  REQUIRE_FALSE(unresolved);
  CHECK(unresolved.error().code() == Errc::connection_failed);
}

TEST_CASE("blocking: many threads on one client") {
  HangingServer ca;
  Blocking driver;
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < 20; ++k) {
        const std::string path = "/" + std::to_string(i) + "/" + std::to_string(k);
        const Text result = driver.run(fetch(ca.server.url(path)));
        if (result && *result == path) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 160);
  CHECK(ca.server.connections() <= 8);
}

TEST_CASE("Asio: many coroutines on one client, several threads") {
  HangingServer ca;
  Asio driver({}, 4);
  const auto series = [](std::string base) -> Flow<Text> {
    std::string text;
    for (int k = 0; k < 5; ++k) {
      const std::string url = base + "/" + std::to_string(k);
      Text part = co_await fetch(url);
      if (!part) co_return part.error();
      text += *part;
      (void)co_await wait(1ms);
    }
    co_return text;
  };
  std::vector<std::future<std::optional<Text>>> futures;
  for (int i = 0; i < 100; ++i) futures.push_back(driver.start(series(ca.server.url("/" + std::to_string(i)))));
  for (int i = 0; i < 100; ++i) {
    const Text text = *futures[static_cast<std::size_t>(i)].get();
    REQUIRE(text);
    CHECK(text->starts_with("/" + std::to_string(i) + "/0/"));
  }
  CHECK(ca.server.connections() <= 8);
}

TEST_CASE("Asio: a call that blocks holds up nobody else") {
  Asio driver({}, 1);
  std::promise<void> release;
  auto calling = driver.start(call_text([&release]() -> Result<void> {
    release.get_future().wait();
    return {};
  }));
  CHECK(driver.run(rest(10ms)));
  release.set_value();
  CHECK(calling.get()->has_value());
}

TEST_CASE("Asio: a coroutine on another context than the driver's") {
  HangingServer ca;
  Asio driver;
  asio::io_context other;
  auto future = asio::co_spawn(other, Asio::go(driver.driver, fetch(ca.server.url("/x"))), asio::use_future);
  other.run();
  REQUIRE(future.wait_for(0s) == std::future_status::ready);
  CHECK(future.get()->has_value());
}

TEST_CASE("calls that wait for their turn are not begun after a cancellation") {
  with_each([](auto& driver) {
    struct Calls {
      std::atomic<int> begun = 0;
      std::atomic<bool> released = false;
    };
    const auto calls = std::make_shared<Calls>();
    std::vector<Flow<Text>> flows;
    for (int i = 0; i < 40; ++i) {
      flows.push_back(call_text([calls]() -> Result<void> {
        ++calls->begun;
        wait_until([&] { return calls->released.load(); });
        return {};
      }));
    }
    const auto cancel_during_the_first = [calls] {
      wait_until([&] { return calls->begun > 0; });
      // Released only later, so that the cancellation comes first.
      std::thread([calls] {
        std::this_thread::sleep_for(100ms);
        calls->released = true;
      }).detach();
    };
    const Text result = driver.run_and_cancel(many(std::move(flows)), cancel_during_the_first);
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::cancelled);
    CHECK(calls->begun <= 4);
  });
}

namespace {

Flow<Text> store_text(std::shared_ptr<std::vector<std::string>> log, std::shared_ptr<std::promise<void>> stored) {
  std::function<Result<void>()> function = [log, stored]() -> Result<void> {
    log->push_back("stored");
    stored->set_value();
    return {};
  };
  Result<void> called = co_await call_storing(std::move(function));
  if (!called) co_return called.error();
  co_return std::string("stored");
}

}  // namespace

TEST_CASE("storing does not wait for functions of the user") {
  const auto check = [](auto& driver) {
    const auto stored = std::make_shared<std::promise<void>>();
    const auto is_stored = std::make_shared<std::shared_future<void>>(stored->get_future());
    const auto log = std::make_shared<std::vector<std::string>>();
    std::vector<Flow<Text>> flows;
    for (int i = 0; i < 20; ++i) {
      flows.push_back(call_text([is_stored]() -> Result<void> {
        if (is_stored->wait_for(10s) != std::future_status::ready) return Error(Errc::timeout, "waiting for the store");
        return {};
      }));
    }
    flows.push_back(store_text(log, stored));
    CHECK(driver.run(many(std::move(flows))));
  };
  with_each(check);
}

TEST_CASE("what never reports is left behind by a cancellation") {
  with_each([](auto& driver) {
    AwaitAsk::Done late;
    std::promise<void> begun;
    Flow<Text> flow = await_text([&](AwaitAsk::Done done) {
      late = std::move(done);
      begun.set_value();
    });
    const Text result = driver.run_and_cancel(std::move(flow), [&] { begun.get_future().wait(); });
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::cancelled);
    late(Result<void>());  // ignored
    CHECK(driver.run(rest(1ms)));
  });
}

TEST_CASE("Asio: a driver that outlives its context does nothing any more, and says so") {
  HangingServer ca;
  std::optional<drivers::AsioDriver> driver;
  const auto use = [&](asio::io_context& context, const std::string& path) {
    return asio::co_spawn(context, Asio::go(*driver, fetch(ca.server.url(path))), asio::use_future);
  };
  {
    asio::io_context context;
    driver.emplace(context.get_executor(), TransportOptions(), nullptr);
    auto fetched = use(context, "/kept");  // leaves an open connection
    context.run();
    CHECK(fetched.get()->has_value());
  }
  asio::io_context other;
  auto refused = use(other, "/too-late");
  other.run();
  try {
    (void)refused.get();
    FAIL("it has to be refused");
  } catch (const Error& error) {
    CHECK(error.code() == Errc::io_failed);
  }
  driver.reset();
}

TEST_CASE("Asio: a cancellation signal may outlive the context") {
  asio::cancellation_signal signal;
  std::optional<asio::io_context> context(std::in_place);
  drivers::AsioDriver driver(context->get_executor(), TransportOptions(), nullptr);
  const auto execution = std::make_shared<Execution<Text>>(rest(3600s), &drivers::instant_now);
  bool is_called = false;
  driver.start(*execution,
               asio::bind_cancellation_slot(signal.slot(),
                                            [execution, &is_called](const std::exception_ptr&) { is_called = true; }));
  context->run_for(10ms);
  context.reset();
  signal.emit(asio::cancellation_type::terminal);
  CHECK_FALSE(is_called);
}

TEST_CASE("a call for which no thread can be started is an error, and the flow goes on") {
  pthread_attr_t before;
  REQUIRE(::pthread_getattr_default_np(&before) == 0);
  pthread_attr_t too_large = before;
  REQUIRE(::pthread_attr_setstacksize(&too_large, std::size_t(1) << 60) == 0);
  PollDriver driver;
  Errc error = Errc::cancelled;
  bool is_cleaned_up = false;
  struct Body {
    static Flow<Text> run(bool* cleaned_up) {
      Text called = co_await call_text([]() -> Result<void> { return {}; });
      Text rested = co_await rest(1ms);
      *cleaned_up = rested.has_value();
      co_return called;
    }
  };
  REQUIRE(::pthread_setattr_default_np(&too_large) == 0);
  driver.start<std::string>(Body::run(&is_cleaned_up), [&](const Text& ended) { error = ended.error().code(); });
  REQUIRE(::pthread_setattr_default_np(&before) == 0);
  wait_until([&] {
    driver.process();
    return driver.idle();
  });
  CHECK(error == Errc::io_failed);
  CHECK(is_cleaned_up);
}

TEST_CASE("Asio: a context that goes while everything is under way") {
  HangingServer ca;
  struct Calling {
    std::atomic<bool> begun = false;
    std::atomic<bool> finished = false;
    std::atomic<bool> released = false;
  };
  const auto calling = std::make_shared<Calling>();
  AwaitAsk::Done late;
  std::shared_ptr<drivers::AsioDriver> kept;
  for (const bool driver_goes_first : {true, false}) {
    calling->begun = calling->finished = calling->released = false;
    const int hanging_before = ca.hanging;
    {
      asio::io_context context;
      const auto owner = [](std::shared_ptr<drivers::AsioDriver> shared, Flow<Text> flow) -> asio::awaitable<void> {
        Execution<Text> execution(std::move(flow), &drivers::instant_now);
        co_await shared->drive(execution);
      };
      auto shared = std::make_shared<drivers::AsioDriver>(context.get_executor(), TransportOptions(), nullptr);
      std::vector<Flow<Text>> flows;
      flows.push_back(rest(3600s));
      flows.push_back(fetch(ca.server.url("/hang")));
      flows.push_back(call_text([calling]() -> Result<void> {
        calling->begun = true;
        wait_until([&] { return calling->released.load(); });
        calling->finished = true;
        return {};
      }));
      flows.push_back(await_text([&late](AwaitAsk::Done done) { late = std::move(done); }));
      flows.push_back(shielded(rest(3600s)));
      asio::co_spawn(context, owner(shared, many(std::move(flows))), asio::detached);
      if (!driver_goes_first) kept = shared;
      shared.reset();  // as with AcmeClient, the coroutine owns the driver
      while (!calling->begun || ca.hanging == hanging_before) context.run_for(10ms);
    }
    CHECK_FALSE(calling->finished);  // nobody waited for it
    calling->released = true;
    wait_until([&] { return calling->finished.load(); });
    late(Result<void>());  // nobody listens any more
  }
}
