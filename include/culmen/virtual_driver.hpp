// Runs flows in virtual time: no sockets, no threads, and a wait takes no time. For simulations and tests, together
// with TestCa::handle(). In culmen::testca.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "culmen/asks.hpp"
#include "culmen/driver.hpp"
#include "culmen/flow.hpp"
#include "culmen/http.hpp"
#include "culmen/timed_response.hpp"

namespace culmen {

/// A clock that moves only when it is told to. A shared handle: copies are the same clock. Thread-safe.
class VirtualClock {
 public:
  using TimePoint = std::chrono::system_clock::time_point;

  explicit VirtualClock(TimePoint start);

  TimePoint now() const noexcept;
  /// Both clocks, for executions. The steady clock shows the time since the start.
  Instant instant() const noexcept;
  /// For TestCaOptions::clock.
  TimePoint operator()() const noexcept { return now(); }

  /// Negative durations are ignored.
  void advance(std::chrono::nanoseconds by) noexcept;

 private:
  TimePoint start_;
  std::shared_ptr<std::atomic<std::int64_t>> elapsed_;  // nanoseconds
};

/// Options of the virtual driver. A plain value.
struct VirtualDriverOptions {
  /// A response that takes longer becomes a timeout error.
  std::chrono::milliseconds request_timeout = std::chrono::minutes(1);
  /// A flow with more asks in one minute of virtual time spins; that is an error.
  std::size_t asks_per_minute = 100'000;
};

/// Runs any number of executions on the calling thread. When none can continue, the clock jumps to the next response or
/// the end of the next wait. A CallAsk is performed at once. An AwaitAsk is started; the driver does not wait for other
/// threads to report it. The order of events depends only on the flows, the clock and the transport.
///
/// Not thread-safe. The functions that it calls (transport, calls, `on_done`) may add and cancel executions, but must
/// not run the driver.
class VirtualDriver {
 public:
  /// Answers a request at once. An exception becomes an Error. There is none for exchange_message(), which always fails
  /// with connection_failed.
  using Transport = std::function<TimedResponse(const HttpRequest&)>;

  VirtualDriver(VirtualClock clock, Transport transport, VirtualDriverOptions options = {});
  /// Drops executions that are not done: their flows never continue.
  ~VirtualDriver();
  VirtualDriver(const VirtualDriver&) = delete;
  VirtualDriver& operator=(const VirtualDriver&) = delete;

  /// Adds a flow; it starts when the driver runs. `on_done`, which may be empty, gets its result; what it throws, and
  /// what left the flow as an exception, leaves the function that runs the driver. `name` is for error messages. The
  /// execution exists until it is done.
  template <class T>
  ExecutionBase& start(Flow<T> flow, std::type_identity_t<std::function<void(T)>> on_done, std::string name = {}) {
    auto execution = std::make_shared<Execution<T>>(std::move(flow), [clock = clock_] { return clock.instant(); });
    ExecutionBase& added = *execution;
    add(
        added,
        [execution = std::move(execution), on_done = std::move(on_done)] {
          T result = execution->result();
          if (on_done) on_done(std::move(result));
        },
        std::move(name));
    return added;
  }
  /// The same for an execution of the caller's, whose clock should be the driver's. It must exist until it is done or
  /// the driver is destroyed.
  void add(ExecutionBase& execution, std::function<void()> on_done, std::string name = {});
  /// Cancels an execution; it ends when the driver runs. Nothing happens if it is done, or was not added.
  void cancel(ExecutionBase& execution);

  /// Runs until all executions are done. Throws Error (deadline) if one spins (see asks_per_minute), or if none can
  /// continue; the error names them.
  void run();
  /// Runs until the clock shows `time`, and sets it to that. Throws as run(), but not if no execution can continue.
  void run_until(VirtualClock::TimePoint time);
  /// Adds a flow and runs until it is done; the others run meanwhile. Returns its result. Throws as run().
  template <class T>
  T drive(Flow<T> flow, std::string name = {}) {
    const auto result = std::make_shared<std::optional<T>>();  // the flow may outlive this call, which may throw
    start<T>(
        std::move(flow), [result](T value) { result->emplace(std::move(value)); }, std::move(name));
    run_while([&result] { return !result->has_value(); });
    return std::move(**result);
  }

  /// The number of executions that are not done.
  std::size_t running() const noexcept;
  const VirtualClock& clock() const noexcept { return clock_; }

 private:
  class Impl;
  void run_while(const std::function<bool()>& wanted);

  VirtualClock clock_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culmen
