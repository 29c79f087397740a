// An event loop does not stand still while a name look-up hangs: not when the operation is cancelled, not at its time
// limit, not when the driver goes.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "support/hanging_resolver.hpp"
#include "unit/drivers/each_driver.hpp"

using namespace culmen;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

using Text = Result<std::string>;
using Milliseconds = std::chrono::duration<double, std::milli>;

Flow<Text> fetch_hanging(std::optional<std::chrono::milliseconds> limit) {
  HttpRequest request(HttpMethod::get, test::hanging_url);
  request.time_limit = limit;
  Result<HttpResponse> response = co_await send(std::move(request));
  if (!response) co_return response.error();
  co_return response->body;
}

Flow<Text> tick() {
  Result<void> waited = co_await wait(1ms);
  if (!waited) co_return waited.error();
  co_return std::string("tick");
}

/// What happened, in order, and the longest time for which one turn of the loop had the thread.
struct Observed {
  std::vector<std::string> events;
  Milliseconds longest{0};
  void time(const std::function<void()>& turn) {
    const auto before = std::chrono::steady_clock::now();
    turn();
    longest = std::max<Milliseconds>(longest, std::chrono::steady_clock::now() - before);
  }
};

enum class End { cancelled, time_limit, driver_goes };

std::optional<std::chrono::milliseconds> limit_for(End end) {
  return end == End::time_limit ? std::optional(std::chrono::milliseconds(100)) : std::nullopt;
}

Observed observe_pollable(End end) {
  Observed observed;
  const test::HangingResolver resolver;
  auto driver = std::make_unique<PollDriver>();
  const PollDriver::Id id = driver->start<std::string>(fetch_hanging(limit_for(end)), [&observed](const Text& text) {
    observed.events.push_back(text ? "?" : std::string(to_string(text.error().code())));
  });
  const auto turn = [&] {
    pollfd ready{driver->fd(), POLLIN, 0};
    ::poll(&ready, 1, 100);
    observed.time([&] { driver->process(); });
  };
  while (!resolver.is_asked()) turn();
  observed.events.emplace_back("asked");
  if (end == End::cancelled) observed.time([&] { driver->cancel(id); });
  if (end == End::driver_goes) {
    observed.time([&] { driver.reset(); });
    observed.events.emplace_back("gone");
  } else {
    while (observed.events.size() < 2 && resolver.is_hanging()) turn();
    bool ticked = false;
    driver->start<std::string>(tick(), [&ticked](const Text& text) { ticked = text.has_value(); });
    while (!ticked && resolver.is_hanging()) turn();
    if (ticked) observed.events.emplace_back("tick");
    observed.time([&] { driver.reset(); });
  }
  observed.events.emplace_back(resolver.is_hanging() ? "resolver still hangs" : "resolver is done");
  return observed;
}

Observed observe_asio(End end) {
  Observed observed;
  const test::HangingResolver resolver;
  auto context = std::make_unique<asio::io_context>();
  auto driver = std::make_unique<drivers::AsioDriver>(context->get_executor(), TransportOptions(), nullptr);
  asio::cancellation_signal signal;
  asio::co_spawn(*context, test::Asio::go(*driver, fetch_hanging(limit_for(end))),
                 asio::bind_cancellation_slot(signal.slot(), [&observed](std::exception_ptr, std::optional<Text> text) {
                   observed.events.push_back(!text || *text ? "?" : std::string(to_string(text->error().code())));
                 }));
  const auto turn = [&] {
    std::size_t done = 0;
    observed.time([&] { done = context->poll_one(); });
    if (done == 0) std::this_thread::sleep_for(1ms);
  };
  while (!resolver.is_asked()) turn();
  observed.events.emplace_back("asked");
  if (end == End::cancelled) observed.time([&] { signal.emit(asio::cancellation_type::terminal); });
  if (end == End::driver_goes) {
    observed.time([&] { context.reset(); });
    observed.time([&] { driver.reset(); });
    observed.events.emplace_back("gone");
  } else {
    while (observed.events.size() < 2 && resolver.is_hanging()) turn();
    bool ticked = false;
    context->restart();
    asio::co_spawn(*context, test::Asio::go(*driver, tick()),
                   [&ticked](std::exception_ptr, const std::optional<Text>& text) { ticked = text && *text; });
    while (!ticked && resolver.is_hanging()) turn();
    if (ticked) observed.events.emplace_back("tick");
    observed.time([&] { driver.reset(); });
    observed.time([&] { context.reset(); });
  }
  observed.events.emplace_back(resolver.is_hanging() ? "resolver still hangs" : "resolver is done");
  return observed;
}

void check(const std::function<Observed(End)>& observe, End end, const std::string& expected) {
  std::vector<std::string> events{"asked", expected, "tick", "resolver still hangs"};
  if (end == End::driver_goes) events.erase(events.begin() + 2);
  // The order is what counts. The time is the best of a few tries: other programs may have had the processor.
  Milliseconds best(1e9);
  for (int tries = 0; tries < 5 && best >= 50ms; ++tries) {
    const Observed observed = observe(end);
    REQUIRE(observed.events == events);
    best = std::min(best, observed.longest);
  }
  CHECK(best < 50ms);
}

}  // namespace

TEST_CASE("a resolver that hangs does not hold up the pollable driver") {
  check(observe_pollable, End::cancelled, "cancelled");
  check(observe_pollable, End::time_limit, "connection_failed");
  check(observe_pollable, End::driver_goes, "gone");
}

TEST_CASE("a resolver that hangs does not hold up the Asio driver") {
  check(observe_asio, End::cancelled, "cancelled");
  check(observe_asio, End::time_limit, "connection_failed");
  check(observe_asio, End::driver_goes, "gone");
}

TEST_CASE("a resolver that hangs does not hold up a cancelled blocking call") {
  const test::HangingResolver resolver;
  test::Blocking driver;
  const Text text = driver.run_and_cancel(fetch_hanging(std::nullopt), [&resolver] {
    while (!resolver.is_asked()) std::this_thread::sleep_for(1ms);
  });
  REQUIRE_FALSE(text);
  CHECK(text.error().code() == Errc::cancelled);
  CHECK(resolver.is_hanging());
}
