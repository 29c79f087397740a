// Runs one execution in virtual time, and can leave it at any of its asks: a crash, or a cancellation there.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "culmen/driver.hpp"
#include "culmen/virtual_driver.hpp"

namespace culmen::test {

class StepDriver final : public AskPerformer {
 public:
  enum class What {
    crash_before,  ///< The ask is not performed, and nothing happens any more.
    crash_after,   ///< What it does is done; nobody hears of it.
    cancel,        ///< The execution is cancelled while the ask is out.
  };
  static constexpr std::size_t never = std::numeric_limits<std::size_t>::max();

  StepDriver(VirtualClock clock, VirtualDriver::Transport transport)
      : clock_(std::move(clock)), transport_(std::move(transport)) {}

  std::size_t asks = 0;  ///< How many there were.
  What what = What::crash_before;
  std::size_t at = never;

  /// Runs until `wanted` is true, the time is over, or the execution is done or has crashed. True: it has crashed.
  bool run(ExecutionBase& execution, std::chrono::seconds time, const std::function<bool()>& wanted) {
    execution_ = &execution;
    execution.set_performer(this);
    const auto end = clock_.instant().steady + time;
    bool crashed = false;
    while (!crashed && !wanted()) {
      Ask* const ask = execution.next();
      if (ask) {
        const std::size_t number = asks++;
        if (number == at && what != What::cancel) {
          if (what == What::crash_after) perform(*ask, false);
          crashed = true;
          break;
        }
        perform(*ask, true);
        if (number == at) execution.cancel();
        continue;
      }
      if (execution.done()) break;
      if (deliver()) continue;
      if (events_.empty() || events_.begin()->first > end) break;
      const auto next = events_.begin();
      clock_.advance(next->first - clock_.instant().steady);
      const Event event = std::move(next->second);
      events_.erase(next);
      event.answer();
    }
    return crashed;
  }
  /// Before the execution is destroyed.
  void leave() {
    if (execution_) execution_->set_performer(nullptr);
    execution_ = nullptr;
    events_.clear();
    awaited_.clear();
  }

  bool withdraw(Ask& ask) noexcept override {
    if (ask.kind() == Ask::Kind::call) return false;
    abandon(ask);
    return true;
  }
  void abandon(Ask& ask) noexcept override {
    std::erase_if(events_, [&ask](const auto& event) { return event.second.ask == &ask; });
    std::erase_if(awaited_, [&ask](const auto& entry) { return entry.second == &ask; });
  }

 private:
  struct Event {
    Event(Ask& ask_, std::function<void()> answer_) : ask(&ask_), answer(std::move(answer_)) {}
    Ask* ask;
    std::function<void()> answer;
  };
  using Reports = std::deque<std::pair<std::size_t, Result<void>>>;

  void after(std::chrono::microseconds duration, Ask& ask, std::function<void()> answer) {
    events_.emplace(clock_.instant().steady + std::max(duration, std::chrono::microseconds(0)),
                    Event(ask, std::move(answer)));
  }

  void perform(Ask& ask, bool answers) {
    ExecutionBase& execution = *execution_;
    switch (ask.kind()) {
      case Ask::Kind::send: {
        auto& send = static_cast<SendAsk&>(ask);
        TimedResponse response = transport_(send.request);
        if (!answers) break;
        after(response.after, ask,
              [&execution, &send, result = std::move(response.response)] { execution.answer(send, result); });
        break;
      }
      case Ask::Kind::wait: {
        auto& wait = static_cast<WaitAsk&>(ask);
        if (answers) after(wait.duration, ask, [&execution, &wait] { execution.answer(wait, Result<void>()); });
        break;
      }
      case Ask::Kind::call: {
        auto& call = static_cast<CallAsk&>(ask);
        Result<void> result = call_function(call);
        // Not at once: the ask may be the one at which the execution is cancelled.
        if (answers) after({}, ask, [&execution, &call, result] { execution.answer(call, result); });
        break;
      }
      case Ask::Kind::await: {
        if (!answers) break;
        auto& await = static_cast<AwaitAsk&>(ask);
        const std::size_t number = ++awaits_;
        awaited_.emplace(number, &await);
        await.start([reports = reports_, number](Result<void> result) { reports->emplace_back(number, result); });
        break;
      }
      case Ask::Kind::exchange:
        execution.answer(static_cast<ExchangeAsk&>(ask), Error(Errc::connection_failed, "", "no sockets"));
        break;
      case Ask::Kind::signal: break;
    }
  }

  bool deliver() {
    if (reports_->empty()) return false;
    const auto [number, result] = reports_->front();
    reports_->pop_front();
    const auto found = awaited_.find(number);
    if (found != awaited_.end()) {
      AwaitAsk& ask = *found->second;
      awaited_.erase(found);
      execution_->answer(ask, result);
    }
    return true;
  }

  VirtualClock clock_;
  VirtualDriver::Transport transport_;
  ExecutionBase* execution_ = nullptr;
  std::multimap<std::chrono::steady_clock::time_point, Event> events_;
  std::map<std::size_t, AwaitAsk*> awaited_;
  std::size_t awaits_ = 0;
  std::shared_ptr<Reports> reports_ = std::make_shared<Reports>();
};

}  // namespace culmen::test
