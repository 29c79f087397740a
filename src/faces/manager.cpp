#include "culmen/manager.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <utility>

#include <poll.h>
#include <unistd.h>

#include "base/wake_pipe.hpp"
#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"
#include "faces/manager_state.hpp"

namespace culmen {

namespace {
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

/// Stopping takes two seconds at most; this leaves some for the thread to end.
constexpr milliseconds stop_limit(1500);
constexpr unsigned call_threads = 4;

std::string process_name() {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::random_device device;
  return std::string(host[0] == '\0' ? "localhost" : host.data()) + ":" + std::to_string(::getpid()) + ":" +
         std::to_string(device());
}

ManagerOptions with_owner(ManagerOptions options) {
  if (options.owner.empty()) options.owner = process_name();
  return options;
}

/// At most until `until`; false if the system fails.
void wait_for_input(int one, int other, std::optional<SteadyClock::time_point> until) {
  pollfd both[2] = {{one, POLLIN, 0}, {other, POLLIN, 0}};
  int limit = -1;
  if (until) {
    const auto left = std::chrono::ceil<milliseconds>(*until - SteadyClock::now());
    limit = static_cast<int>(std::max(left, milliseconds(0)).count());
  }
  (void)::poll(both, other < 0 ? 1 : 2, limit);
}
}  // namespace

// ---- A thread ----

namespace faces {

/// Owns what the thread uses, so that it may outlive the manager's last handle, when a callback destroys that.
class ManagerThread {
 public:
  explicit ManagerThread(std::shared_ptr<manager::ManagerCore> core)
      : core_(std::move(core)),
        driver_(std::make_unique<PollDriver>(core_->options().client.transport, core_->options().client.log,
                                             call_threads)) {}

  void run() {
    bool ended = false;
    driver_->start<void>(core_->run(), [&ended](const Result<void>&) { ended = true; });
    std::optional<SteadyClock::time_point> limit;
    while (!ended && (!limit || SteadyClock::now() < *limit)) {
      wait_for_input(driver_->fd(), wake_.descriptor(), limit);
      wake_.drain();
      if (stopping_ && !limit) limit = SteadyClock::now() + stop_limit;
      try {
        driver_->process();
      } catch (const std::exception& error) {
        if (core_->options().log) core_->options().log(LogLevel::error, error.what());
        std::this_thread::sleep_for(milliseconds(100));  // the system is out of something
      }
    }
    driver_.reset();  // drops what has not ended
  }
  void stop() noexcept {
    stopping_ = true;
    core_->stop();
    wake_.wake();
  }

 private:
  std::shared_ptr<manager::ManagerCore> core_;
  std::unique_ptr<PollDriver> driver_;
  base::WakePipe wake_;
  std::atomic<bool> stopping_ = false;
};

}  // namespace faces

// ---- State ----

Manager::State::State(ManagerOptions options)
    : core(std::make_shared<manager::ManagerCore>(with_owner(std::move(options)))) {}

Manager::State::~State() { stop(); }

void Manager::State::begin(Motor wanted) {
  const std::lock_guard lock(mutex);
  if (motor != Motor::none) throw Error(Errc::invalid_argument, "running the manager", "it runs already");
  motor = wanted;
}

void Manager::State::end() noexcept {
  {
    const std::lock_guard lock(mutex);
    motor = Motor::none;
  }
  ended.notify_all();
}

void Manager::State::stop() noexcept {
  std::unique_lock lock(mutex);
  switch (motor) {
    case Motor::none: return;
    case Motor::thread: {
      // Another thread may be about to start it, or to stop it.
      ended.wait(lock, [this] { return motor != Motor::thread || running; });
      if (motor != Motor::thread) return;
      running->stop();
      if (!thread.joinable()) {
        if (thread_id == std::this_thread::get_id()) return;  // whoever stops it waits for this callback
        ended.wait(lock, [this] { return motor != Motor::thread || !running; });
        return;
      }
      const bool is_own_thread = thread_id == std::this_thread::get_id();
      std::thread stopped = std::move(thread);
      if (is_own_thread) {
        stopped.detach();
      } else {
        lock.unlock();
        stopped.join();
        lock.lock();
      }
      running.reset();
      break;
    }
    case Motor::loop: {
      core->stop();
      if (is_processing) {
        stops_after_processing = true;
        return;
      }
      lock.unlock();
      const SteadyClock::time_point limit = SteadyClock::now() + stop_limit;
      while (!loop_ended && SteadyClock::now() < limit) {
        wait_for_input(driver->fd(), -1, limit);
        try {
          driver->process();
        } catch (...) {
          break;  // the rest is dropped
        }
      }
      driver.reset();
      break;
    }
    case Motor::once:
    case Motor::asio:
      core->stop();
      ended.wait_for(lock, stop_limit, [this] { return motor == Motor::none; });
      return;  // whoever runs it ends it
  }
  if (lock.owns_lock()) lock.unlock();
  end();
}

void Manager::State::process(const std::function<void()>& work) {
  is_processing = true;
  try {
    work();
  } catch (...) {
    is_processing = false;
    throw;
  }
  is_processing = false;
  if (std::exchange(stops_after_processing, false)) stop();
}

// ---- Manager ----

Manager::Manager(ManagerOptions options) : state_(std::make_shared<State>(std::move(options))) {}

void Manager::start_thread() {
  state_->begin(State::Motor::thread);
  try {
    auto running = std::make_shared<faces::ManagerThread>(state_->core);
    {
      const std::lock_guard lock(state_->mutex);
      state_->thread = std::thread([running] { running->run(); });
      state_->thread_id = state_->thread.get_id();
      state_->running = std::move(running);
    }
    state_->ended.notify_all();
  } catch (...) {
    state_->end();
    throw;
  }
}

void Manager::stop() noexcept { state_->stop(); }

int Manager::fd() {
  if (state_->driver) return state_->driver->fd();
  state_->begin(State::Motor::loop);
  try {
    const ClientOptions& client = state_->core->options().client;
    state_->driver = std::make_unique<PollDriver>(client.transport, client.log, call_threads);
  } catch (...) {
    state_->end();
    throw;
  }
  const std::shared_ptr<State> state = state_;  // a callback may destroy the last handle
  state->loop_ended = false;
  state->process([&] {
    state->driver->start<void>(state->core->run(),
                               [state = state.get()](const Result<void>&) { state->loop_ended = true; });
  });
  return state->driver ? state->driver->fd() : -1;
}

void Manager::process() {
  const std::shared_ptr<State> state = state_;  // a callback may destroy the last handle
  if (state->driver && !state->is_processing) state->process([&] { state->driver->process(); });
}

RunSummary Manager::run_once(CancelToken cancel) {
  const std::shared_ptr<State> state = state_;  // a callback may destroy the last handle
  const faces::ManagerRuns runs(*state, State::Motor::once);
  const ClientOptions& client = state->core->options().client;
  drivers::BlockingDriver driver(client.transport, client.log);
  Execution<Result<RunSummary>> execution(state->core->run_once(), &drivers::instant_now);
  const std::vector<CancelToken> tokens(1, std::move(cancel));
  driver.drive(execution, tokens);
  return execution.result().value();
}

std::optional<std::string> Manager::http01(std::string_view target) const { return state_->core->http01(target); }

std::optional<InstalledCertificate> Manager::current(std::string_view id) const {
  Execution<Result<std::optional<InstalledCertificate>>> execution(
      manager::ManagerCore::current(state_->core, std::string(id)), &drivers::instant_now);
  while (Ask* ask = execution.next()) perform_blocking(execution, *ask);
  Result<std::optional<InstalledCertificate>> certificate = execution.result();
  if (certificate) return *certificate;
  if (const auto& log = state_->core->options().log) log(LogLevel::error, certificate.error().what());
  return std::nullopt;
}

std::vector<CertificateStatus> Manager::status() const { return state_->core->status(drivers::instant_now().wall); }

void Manager::set_specs(std::vector<CertificateSpec> specs) { state_->core->set_specs(std::move(specs)); }

Result<void> Manager::renew_now(std::string_view id, std::string why) {
  return state_->core->renew_now(id, std::move(why));
}

Result<void> Manager::retry_now(std::string_view id) { return state_->core->retry_now(id); }
Result<void> Manager::revoked(std::string_view id, bool key_compromised) {
  return state_->core->revoked(id, key_compromised);
}

Flow<Result<void>> Manager::ensure(std::string id) const {
  return manager::ManagerCore::ensure(state_->core, std::move(id));
}

}  // namespace culmen
