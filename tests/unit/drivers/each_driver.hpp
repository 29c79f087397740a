// The drivers under one face, so that a check can run with each of them.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_future.hpp>

#include "base/wake_pipe.hpp"
#include "culmen/driver.hpp"
#include "culmen/poll_driver.hpp"
#include "drivers/asio_driver.hpp"
#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"

namespace culmen::test {

/// The blocking driver.
class Blocking {
 public:
  explicit Blocking(TransportOptions options = {}) : driver(std::move(options), nullptr) {}
  template <class T>
  Result<T> run(Flow<Result<T>> flow) {
    Execution<Result<T>> execution(std::move(flow), &drivers::instant_now);
    driver.drive(execution);
    return execution.result();
  }
  template <class T>
  Result<T> run_and_cancel(Flow<Result<T>> flow, const std::function<void()>& until) {
    std::thread canceller([&] {
      until();
      driver.cancel();
    });
    Result<T> result = run(std::move(flow));
    canceller.join();
    return result;
  }
  drivers::BlockingDriver driver;
};

/// The Asio driver, on several threads.
class Asio {
 public:
  explicit Asio(TransportOptions options = {}, int threads = 3)
      : work(context.get_executor()), driver(context.get_executor(), std::move(options), nullptr) {
    for (int i = 0; i < threads; ++i) pool.emplace_back([this] { context.run(); });
  }
  ~Asio() {
    work.reset();
    for (std::thread& thread : pool) thread.join();  // returns: nothing may be left over
  }
  template <class T>
  Result<T> run(Flow<Result<T>> flow) {
    return *start(std::move(flow)).get();
  }
  template <class T>
  std::future<std::optional<Result<T>>> start(Flow<Result<T>> flow) {
    return boost::asio::co_spawn(context, go(driver, std::move(flow)), boost::asio::use_future);
  }
  template <class T>
  Result<T> run_and_cancel(Flow<Result<T>> flow, const std::function<void()>& until) {
    auto strand = boost::asio::make_strand(context);
    boost::asio::cancellation_signal signal;
    std::promise<std::optional<Result<T>>> promise;
    boost::asio::co_spawn(strand, go(driver, std::move(flow)),
                          boost::asio::bind_cancellation_slot(
                              signal.slot(), [&promise](std::exception_ptr, std::optional<Result<T>> result) {
                                promise.set_value(std::move(result));
                              }));
    until();
    for (int i = 0; i < 3; ++i)
      boost::asio::post(strand, [&signal] { signal.emit(boost::asio::cancellation_type::terminal); });
    Result<T> result = *promise.get_future().get();
    std::promise<void> emitted;
    boost::asio::post(strand, [&emitted] { emitted.set_value(); });
    emitted.get_future().wait();
    return result;
  }
  template <class T>
  static boost::asio::awaitable<std::optional<Result<T>>> go(drivers::AsioDriver& driver, Flow<Result<T>> flow) {
    // optional: co_spawn wants results that can be made out of nothing
    Execution<Result<T>> execution(std::move(flow), &drivers::instant_now);
    co_await driver.drive(execution);
    co_return execution.result();
  }
  boost::asio::io_context context;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
  drivers::AsioDriver driver;
  std::vector<std::thread> pool;
};

/// The pollable driver, in a loop of poll().
class Pollable {
 public:
  explicit Pollable(TransportOptions options = {}) : driver(std::move(options)) {}
  template <class T>
  Result<T> run(Flow<Result<T>> flow) {
    std::optional<Result<T>> result;
    id = driver.start<T>(std::move(flow), [&result](Result<T> ended) { result.emplace(std::move(ended)); });
    while (!result) {
      pollfd both[2] = {{driver.fd(), POLLIN, 0}, {stop.descriptor(), POLLIN, 0}};
      ::poll(both, 2, -1);
      if (both[1].revents != 0) {
        stop.drain();
        driver.cancel(id);
      }
      driver.process();
    }
    return *result;
  }
  template <class T>
  Result<T> run_and_cancel(Flow<Result<T>> flow, const std::function<void()>& until) {
    std::thread canceller([&] {
      until();
      stop.wake();
    });
    Result<T> result = run(std::move(flow));
    canceller.join();
    return result;
  }
  PollDriver driver;
  PollDriver::Id id = 0;
  base::WakePipe stop;
};

/// Runs the same check with each driver.
template <class Check>
void with_each(Check check) {
  SUBCASE("blocking") {
    Blocking driver;
    check(driver);
  }
  SUBCASE("Asio") {
    Asio driver;
    check(driver);
  }
  SUBCASE("pollable") {
    Pollable driver;
    check(driver);
  }
}

}  // namespace culmen::test
