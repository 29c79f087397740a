// Runs several executions in virtual time, each as a process with a wall clock of its own that can be paused and
// killed. VirtualDriver has one clock for all, and looks through all events whenever an ask is dropped.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "culmen/driver.hpp"
#include "culmen/timed_response.hpp"

namespace culmen::simulation {

using Time = std::chrono::system_clock::time_point;
using Duration = std::chrono::nanoseconds;

/// One run of a program. Its execution is destroyed when it ends, is killed, or with the driver.
struct Process {
  std::string name;
  Duration clock_error{0};  ///< Of its wall clock; its steady clock is right.
  Duration paused_until{0};
  std::function<void()> on_end;
  std::size_t asks = 0;
  std::size_t kill_at = 0;  ///< The number of the ask at which it is killed; 0: never.
  bool has_ended = false;
  bool was_killed = false;

  // For the driver.
  std::shared_ptr<void> owner;
  ExecutionBase* execution = nullptr;
  std::size_t asks_this_hour = 0;
  std::int64_t hour = 0;
  std::unordered_map<std::int64_t, std::size_t> waits_this_hour;  ///< By milliseconds.
};

/// Not thread-safe. The order of events depends only on the flows, the functions and the times.
class ProcessDriver final : public AskPerformer {
 public:
  using Transport = std::function<TimedResponse(const HttpRequest&)>;

  explicit ProcessDriver(Time start) : start_(start) {}
  ~ProcessDriver();
  ProcessDriver(const ProcessDriver&) = delete;
  ProcessDriver& operator=(const ProcessDriver&) = delete;

  /// The true time.
  Time now() const noexcept { return start_ + std::chrono::duration_cast<Time::duration>(elapsed_); }
  Duration elapsed() const noexcept { return elapsed_; }
  std::size_t asks() const noexcept { return asks_; }

  template <class T>
  std::shared_ptr<Process> start(std::string name, Duration clock_error, Flow<T> flow) {
    auto process = std::make_shared<Process>();
    process->name = std::move(name);
    process->clock_error = clock_error;
    auto execution = std::make_shared<Execution<T>>(std::move(flow), [this, of = process.get()] {
      return Instant(now() + std::chrono::duration_cast<Time::duration>(of->clock_error),
                     std::chrono::steady_clock::time_point(elapsed_));
    });
    process->execution = execution.get();
    process->owner = std::move(execution);
    process->execution->set_performer(this);
    processes_.push_back(process);
    ready_.push_back(process);
    return process;
  }
  /// Destroys its execution. Not from inside of its flow.
  void kill(const std::shared_ptr<Process>& process);
  void pause(const std::shared_ptr<Process>& process, Duration how_long);

  /// Calls a function at that time, or at once if that has passed.
  void at(Time time, std::function<void()> function);

  /// Runs what happens until then, and sets the clock to it. Throws Error (deadline) if a process asks more often than
  /// `most_asks_an_hour`.
  void run_until(Time time);

  Transport transport;
  std::size_t most_asks_an_hour = 1'000'000;
  bool counts_waits = false;  ///< To say of a process that spins what it waits for.

  bool withdraw(Ask& ask) noexcept override;
  void abandon(Ask& ask) noexcept override;

 private:
  struct Event {
    Duration at;
    std::uint64_t number;
    Ask* ask;  ///< nullptr: a function.
  };
  struct Later {
    bool operator()(const Event& one, const Event& other) const noexcept {
      return one.at != other.at ? one.at > other.at : one.number > other.number;
    }
  };
  struct Outstanding {
    std::uint64_t number = 0;
    std::shared_ptr<Process> process;
    std::function<void()> answer;  ///< Empty: a wait.
  };
  struct Reports;

  void go_on(const std::shared_ptr<Process>& process);
  void begin(const std::shared_ptr<Process>& process, Ask& ask);
  void schedule(Duration at, std::uint64_t number, Ask* ask);
  void end(const std::shared_ptr<Process>& process);
  void count(Process& process);
  bool answer_reports();
  void happen(const Event& event);

  const Time start_;
  Duration elapsed_{0};
  std::size_t asks_ = 0;
  std::uint64_t numbers_ = 0;
  std::vector<Event> events_;  // a heap
  std::unordered_map<Ask*, Outstanding> outstanding_;
  std::unordered_map<std::uint64_t, std::function<void()>> functions_;
  std::deque<std::shared_ptr<Process>> ready_;
  std::vector<std::shared_ptr<Process>> processes_;
  std::shared_ptr<std::deque<std::pair<Ask*, std::uint64_t>>> reports_ =
      std::make_shared<std::deque<std::pair<Ask*, std::uint64_t>>>();
};

}  // namespace culmen::simulation
