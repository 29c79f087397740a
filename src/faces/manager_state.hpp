// What the handles of one manager share.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "culmen/manager.hpp"
#include "culmen/poll_driver.hpp"
#include "manager/manager_core.hpp"

namespace culmen {

namespace faces {
class ManagerThread;
}

struct Manager::State {
  enum class Motor { none, thread, loop, once, asio };

  explicit State(ManagerOptions options);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// Throws Error (invalid_argument) if it runs.
  void begin(Motor motor);
  void end() noexcept;
  void stop() noexcept;
  /// Does work of the event loop, in which callbacks may stop the manager, or destroy its last handle.
  void process(const std::function<void()>& work);

  const std::shared_ptr<manager::ManagerCore> core;
  std::mutex mutex;  // guards `motor`
  std::condition_variable ended;
  Motor motor = Motor::none;
  std::shared_ptr<faces::ManagerThread> running;  // of Motor::thread
  std::thread thread;                             // moved from while somebody waits for its end
  std::thread::id thread_id;
  std::unique_ptr<PollDriver> driver;  // of Motor::loop
  bool loop_ended = false;
  bool is_processing = false;  // a callback may stop it, or destroy the last handle
  bool stops_after_processing = false;
};

struct ManagerAccess {
  using State = Manager::State;
  static State& state(const Manager& manager) noexcept { return *manager.state_; }
};

namespace faces {

/// A motor's time: begin() and end().
class ManagerRuns {
 public:
  using State = ManagerAccess::State;
  ManagerRuns(State& state, State::Motor motor) : state_(state) { state_.begin(motor); }
  ~ManagerRuns() { state_.end(); }
  ManagerRuns(const ManagerRuns&) = delete;
  ManagerRuns& operator=(const ManagerRuns&) = delete;

 private:
  State& state_;
};

}  // namespace faces
}  // namespace culmen
