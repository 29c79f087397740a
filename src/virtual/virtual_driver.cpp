#include "culmen/virtual_driver.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <exception>
#include <list>
#include <map>
#include <mutex>

namespace culmen {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// As the other drivers: clocks overflow beyond some point.
constexpr std::chrono::milliseconds longest_wait = std::chrono::hours(24 * 365);

/// Where reports of `await` asks arrive, from any thread. An ask is known by a number: its address may be used again.
class Reports {
 public:
  void leave(std::uint64_t number, Result<void> result) {
    const std::lock_guard lock(mutex_);
    arrived_.emplace_back(number, std::move(result));
  }
  std::deque<std::pair<std::uint64_t, Result<void>>> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(arrived_, {});
  }

 private:
  std::mutex mutex_;
  std::deque<std::pair<std::uint64_t, Result<void>>> arrived_;
};

/// Passes on the first report of one ask; an error if it is destroyed before there is one.
class Reporter {
 public:
  Reporter(std::shared_ptr<Reports> reports, std::uint64_t number) : reports_(std::move(reports)), number_(number) {}
  ~Reporter() { report(Error(Errc::solver_failed, doing, "it was dropped and never reported")); }
  Reporter(const Reporter&) = delete;
  Reporter& operator=(const Reporter&) = delete;

  void report(Result<void> result) {
    if (!reported_.exchange(true)) reports_->leave(number_, std::move(result));
  }

  static constexpr const char* doing = "waiting for an operation that the caller started";

 private:
  std::shared_ptr<Reports> reports_;
  std::uint64_t number_;
  std::atomic<bool> reported_ = false;
};

/// One execution.
struct Run {
  Run(ExecutionBase& execution_, std::function<void()> on_done_, std::string name_)
      : execution(execution_), on_done(std::move(on_done_)), name(std::move(name_)) {}
  ExecutionBase& execution;
  std::function<void()> on_done;
  std::string name;
  SteadyTime minute;     ///< When the present minute began.
  std::size_t asks = 0;  ///< In this minute.
};

}  // namespace

class VirtualDriver::Impl final : public AskPerformer {
 public:
  Impl(VirtualClock clock, Transport transport, VirtualDriverOptions options)
      : clock_(std::move(clock)), transport_(std::move(transport)), options_(options) {}

  ~Impl() {
    for (Run& run : runs_) run.execution.set_performer(nullptr);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void add(ExecutionBase& execution, std::function<void()> on_done, std::string name) {
    ++added_;
    if (name.empty()) name = "flow " + std::to_string(added_);
    runs_.emplace_back(execution, std::move(on_done), std::move(name));
    execution.set_performer(this);
    ready_.push_back(&runs_.back());
  }

  void cancel(ExecutionBase& execution) {
    const auto run = std::ranges::find(runs_, &execution, [](const Run& each) { return &each.execution; });
    if (run == runs_.end()) return;
    execution.cancel();
    ready_.push_back(&*run);
  }

  std::size_t running() const noexcept { return runs_.size(); }

  /// A call that is out is running: it is made at once, and is what cancels the execution.
  bool withdraw(Ask& ask) noexcept override {
    if (ask.kind() == Ask::Kind::call) return false;
    abandon(ask);
    return true;
  }
  void abandon(Ask& ask) noexcept override {
    if (sending_ == &ask) sending_ = nullptr;
    std::erase_if(events_, [&ask](const auto& event) { return event.second.ask == &ask; });
    std::erase_if(awaited_, [&ask](const auto& entry) { return entry.second.ask == &ask; });
  }

  /// One step: an execution that can go on, or a report, or the next event up to `limit`. False if there is none.
  bool step(SteadyTime limit) {
    for (auto& [number, result] : reports_->take()) deliver(number, std::move(result));
    if (!ready_.empty()) {
      Run& run = *ready_.front();
      ready_.pop_front();
      go_on(run);
      return true;
    }
    if (events_.empty() || events_.begin()->first > limit) return false;
    const auto next = events_.begin();
    advance_to(next->first);
    Event event = std::move(next->second);
    events_.erase(next);
    event.answer();
    ready_.push_back(event.run);
    return true;
  }

  void advance_to(SteadyTime time) { clock_.advance(time - clock_.instant().steady); }

  Error stuck() const {
    std::string names;
    for (const Run& run : runs_) names += (names.empty() ? "" : ", ") + run.name;
    return Error(Errc::deadline, "running flows in virtual time", "nothing is left that they could wait for: " + names);
  }

 private:
  struct Event {
    Event(Run& run_, const Ask& ask_, std::function<void()> answer_)
        : run(&run_), ask(&ask_), answer(std::move(answer_)) {}
    Run* run;
    const Ask* ask;
    std::function<void()> answer;
  };
  struct Awaited {
    Run* run;
    AwaitAsk* ask;
  };

  void go_on(Run& run) {
    while (Ask* ask = run.execution.next()) {
      count(run);
      begin(run, *ask);
    }
    if (!run.execution.done()) return;
    run.execution.set_performer(nullptr);
    std::erase(ready_, &run);
    // Children of a nursery may outlive the flow that opened it: their asks are still out.
    std::erase_if(events_, [&run](const auto& event) { return event.second.run == &run; });
    std::erase_if(awaited_, [&run](const auto& entry) { return entry.second.run == &run; });
    const std::function<void()> on_done = std::move(run.on_done);
    runs_.remove_if([&run](const Run& each) { return &each == &run; });
    if (on_done) on_done();
  }

  /// The one place that depends on the kinds of asks.
  void begin(Run& run, Ask& ask) {
    switch (ask.kind()) {
      case Ask::Kind::send: {
        auto& send = static_cast<SendAsk&>(ask);
        sending_ = &ask;
        TimedResponse response = exchange(send.request);
        if (std::exchange(sending_, nullptr) != &ask) break;  // cancelled by the transport
        at(response.after, run, ask, [&run, &send, answer = std::move(response.response)]() mutable {
          run.execution.answer(send, std::move(answer));
        });
        break;
      }
      case Ask::Kind::wait: {
        auto& wait = static_cast<WaitAsk&>(ask);
        at(wait.duration, run, ask, [&run, &wait] { run.execution.answer(wait, Result<void>()); });
        break;
      }
      case Ask::Kind::call: {
        auto& call = static_cast<CallAsk&>(ask);
        run.execution.answer(call, call_function(call));
        break;
      }
      case Ask::Kind::await: start_await(run, static_cast<AwaitAsk&>(ask)); break;
      case Ask::Kind::exchange: {
        auto& exchange = static_cast<ExchangeAsk&>(ask);
        run.execution.answer(exchange, Error(Errc::connection_failed, "exchanging a message with a server",
                                             "there are no sockets in virtual time"));
        break;
      }
      case Ask::Kind::signal: break;  // never handed out
    }
  }

  void at(std::chrono::microseconds after, Run& run, const Ask& ask, std::function<void()> answer) {
    after = std::clamp<std::chrono::microseconds>(after, std::chrono::microseconds(0), longest_wait);
    events_.emplace(clock_.instant().steady + after, Event(run, ask, std::move(answer)));
  }

  TimedResponse exchange(const HttpRequest& request) {
    const std::string doing = "sending a request for " + request.url;
    try {
      TimedResponse response = transport_(request);
      if (response.after <= options_.request_timeout) return response;
      return TimedResponse(Error(Errc::timeout, doing, "no response within the time limit"), options_.request_timeout);
    } catch (...) {
      return TimedResponse(error_from_exception(std::current_exception(), doing));
    }
  }

  void start_await(Run& run, AwaitAsk& ask) {
    const std::uint64_t number = ++awaits_;
    awaited_.emplace(number, Awaited{&run, &ask});
    const auto reporter = std::make_shared<Reporter>(reports_, number);
    try {
      ask.start([reporter](Result<void> result) { reporter->report(std::move(result)); });
    } catch (...) {
      reporter->report(error_from_exception(std::current_exception(), Reporter::doing));
    }
  }

  void deliver(std::uint64_t number, Result<void> result) {
    const auto found = awaited_.find(number);
    if (found == awaited_.end()) return;  // withdrawn
    const Awaited awaited = found->second;
    awaited_.erase(found);
    awaited.run->execution.answer(*awaited.ask, std::move(result));
    ready_.push_back(awaited.run);
  }

  void count(Run& run) const {
    const SteadyTime now = clock_.instant().steady;
    if (now >= run.minute + std::chrono::minutes(1)) {
      run.minute = now;
      run.asks = 0;
    }
    if (++run.asks <= options_.asks_per_minute) return;
    throw Error(Errc::deadline, "running " + run.name + " in virtual time",
                "it spins: more than " + std::to_string(options_.asks_per_minute) + " asks in a minute");
  }

  VirtualClock clock_;
  Transport transport_;
  const VirtualDriverOptions options_;
  std::list<Run> runs_;
  std::size_t added_ = 0;
  std::deque<Run*> ready_;
  const Ask* sending_ = nullptr;             // what the transport answers at present
  std::multimap<SteadyTime, Event> events_;  // equal times in the order of insertion
  std::uint64_t awaits_ = 0;
  std::map<std::uint64_t, Awaited> awaited_;
  std::shared_ptr<Reports> reports_ = std::make_shared<Reports>();
};

VirtualDriver::VirtualDriver(VirtualClock clock, Transport transport, VirtualDriverOptions options)
    : clock_(clock), impl_(std::make_unique<Impl>(std::move(clock), std::move(transport), options)) {}
VirtualDriver::~VirtualDriver() = default;

void VirtualDriver::add(ExecutionBase& execution, std::function<void()> on_done, std::string name) {
  impl_->add(execution, std::move(on_done), std::move(name));
}
void VirtualDriver::cancel(ExecutionBase& execution) { impl_->cancel(execution); }
std::size_t VirtualDriver::running() const noexcept { return impl_->running(); }

void VirtualDriver::run() {
  run_while([this] { return running() > 0; });
}

void VirtualDriver::run_until(VirtualClock::TimePoint time) {
  const SteadyTime limit = clock_.instant().steady + (time - clock_.now());
  while (impl_->step(limit)) {
  }
  impl_->advance_to(limit);
}

void VirtualDriver::run_while(const std::function<bool()>& wanted) {
  while (wanted()) {
    if (!impl_->step(SteadyTime::max())) throw impl_->stuck();
  }
}

}  // namespace culmen
