// culmen in any event loop that can watch a file descriptor.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "culmen/driver.hpp"
#include "culmen/flow.hpp"
#include "culmen/options.hpp"

namespace culmen {

/// Runs flows, such as those of engine.hpp, inside the caller's event loop: whenever fd() is readable, call process().
/// No function of this class blocks: functions that may block (keep_key, those of make_solver()) run on threads of the
/// driver. Those of a ChallengeSolver run inside the functions of this class, like all flows, and must not block.
///
///     PollDriver driver;
///     driver.start<engine::Session>(engine::connect(url), [&](Result<engine::Session> session) { … });
///     // in the loop: fd() is readable → driver.process();
///
/// Not thread-safe: one thread at a time. It needs the thread only inside its functions; flows run inside start(),
/// process() and cancel(), the `done` functions inside process(). The destructor drops running flows without
/// clean-up: call cancel_all() first, and go on until idle().
class PollDriver {
 public:
  using Id = std::uint64_t;

  /// `call_threads`: how many functions that may block run at the same time, at least one; started when needed. Throws
  /// Error: invalid options (invalid_argument), a root file that cannot be used (io_failed, crypto_failed), no
  /// descriptors left (io_failed).
  explicit PollDriver(TransportOptions options = {}, LogCallback log = {}, unsigned call_threads = 2);
  ~PollDriver();
  PollDriver(const PollDriver&) = delete;
  PollDriver& operator=(const PollDriver&) = delete;

  /// A descriptor that is readable when process() has something to do, deadlines included. Watch it level-triggered
  /// (not EPOLLET): one process() may leave something for the next. Valid as long as the driver.
  int fd() const noexcept;
  /// The latest time for the next process(), for loops with their own timers. Optional: fd() is readable then, too.
  std::optional<std::chrono::steady_clock::time_point> next_deadline() const noexcept;
  /// Does what can be done without waiting, and calls the `done` functions of the flows that have ended. Throws what
  /// they throw (the next call goes on with the others), and Error (io_failed) if the system fails.
  void process();

  /// Starts a flow. `done` is called once, inside process(), with its result; an exception that left the flow is an
  /// error, as error_from_exception() makes it. `done` may be empty. It may start and cancel flows, but not
  /// destroy the driver. Flows and the callbacks in them, such as on_progress, may do the same.
  template <class T>
  Id start(Flow<Result<T>> flow, std::type_identity_t<std::function<void(Result<T>)>> done) {
    auto execution = std::make_shared<Execution<Result<T>>>(std::move(flow), clock());
    ExecutionBase& base = *execution;
    std::function<void(std::exception_ptr)> finished = [execution = execution.get(),
                                                        done = std::move(done)](const std::exception_ptr& thrown) {
      Result<T> result = thrown ? Result<T>(error_from_exception(thrown, ""))
                                : guarded_call([execution] { return execution->result(); }, "");
      if (done) done(std::move(result));
    };
    return start_execution(std::move(execution), base, std::move(finished));
  }
  /// Cancels a flow: it ends soon, once it has cleaned up, with Errc::cancelled. An Id that has ended is ignored. Flows
  /// may call it too, also for themselves.
  void cancel(Id id);
  void cancel_all();
  /// Whether no flow runs.
  bool idle() const noexcept;

 private:
  static ExecutionBase::Clock clock();
  Id start_execution(std::shared_ptr<void> owner, ExecutionBase& execution,
                     std::function<void(std::exception_ptr)> finished);
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culmen
