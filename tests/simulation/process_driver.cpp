#include "simulation/process_driver.hpp"

#include <algorithm>

namespace culmen::simulation {

ProcessDriver::~ProcessDriver() {
  const std::vector<std::shared_ptr<Process>> processes = processes_;
  for (const std::shared_ptr<Process>& process : processes) kill(process);
}

void ProcessDriver::kill(const std::shared_ptr<Process>& process) {
  if (process->has_ended) return;
  process->was_killed = true;
  end(process);
}

void ProcessDriver::end(const std::shared_ptr<Process>& process) {
  process->has_ended = true;
  process->execution = nullptr;
  const std::shared_ptr<void> owner = std::exchange(process->owner, nullptr);
  std::erase(processes_, process);
  std::erase(ready_, process);
}

void ProcessDriver::pause(const std::shared_ptr<Process>& process, Duration how_long) {
  process->paused_until = elapsed_ + how_long;
}

void ProcessDriver::at(Time time, std::function<void()> function) {
  const std::uint64_t number = ++numbers_;
  functions_.emplace(number, std::move(function));
  schedule(std::max(std::chrono::duration_cast<Duration>(time - start_), elapsed_), number, nullptr);
}

void ProcessDriver::schedule(Duration at, std::uint64_t number, Ask* ask) {
  events_.push_back(Event{at, number, ask});
  std::ranges::push_heap(events_, Later());
}

bool ProcessDriver::withdraw(Ask& ask) noexcept {
  abandon(ask);
  return true;
}

void ProcessDriver::abandon(Ask& ask) noexcept { outstanding_.erase(&ask); }

void ProcessDriver::count(Process& process) {
  ++asks_;
  ++process.asks;
  const std::int64_t hour = std::chrono::duration_cast<std::chrono::hours>(elapsed_).count();
  if (hour != process.hour) {
    process.hour = hour;
    process.asks_this_hour = 0;
    process.waits_this_hour.clear();
  }
  if (++process.asks_this_hour <= most_asks_an_hour) return;
  std::pair<std::int64_t, std::size_t> most(0, 0);
  for (const auto& each : process.waits_this_hour) {
    if (each.second > most.second) most = each;
  }
  throw Error(Errc::deadline, "running " + process.name + " in virtual time",
              "it spins: more than " + std::to_string(most_asks_an_hour) + " asks in an hour, " +
                  std::to_string(most.second) + " of them to wait for " + std::to_string(most.first) + " ms");
}

void ProcessDriver::go_on(const std::shared_ptr<Process>& process) {
  while (!process->has_ended) {
    Ask* const ask = process->execution->next();
    if (!ask) break;
    count(*process);
    if (process->kill_at != 0 && process->asks >= process->kill_at) {
      kill(process);
      if (process->on_end) process->on_end();
      return;
    }
    begin(process, *ask);
  }
  if (process->has_ended || !process->execution->done()) return;
  end(process);
  if (process->on_end) process->on_end();
}

void ProcessDriver::begin(const std::shared_ptr<Process>& process, Ask& ask) {
  switch (ask.kind()) {
    case Ask::Kind::wait: {
      const auto& wait = static_cast<WaitAsk&>(ask);
      constexpr std::chrono::microseconds longest = std::chrono::hours(24 * 3650);
      if (counts_waits) {
        ++process->waits_this_hour[std::chrono::duration_cast<std::chrono::milliseconds>(wait.duration).count()];
      }
      const std::uint64_t number = ++numbers_;
      Outstanding& outstanding = outstanding_[&ask];
      outstanding.number = number;
      outstanding.process = process;
      schedule(elapsed_ + std::clamp(wait.duration, std::chrono::microseconds(0), longest), number, &ask);
      return;
    }
    case Ask::Kind::call: {
      auto& call = static_cast<CallAsk&>(ask);
      process->execution->answer(call, call_function(call));
      return;
    }
    case Ask::Kind::await: {
      auto& await = static_cast<AwaitAsk&>(ask);
      const std::uint64_t number = ++numbers_;
      Outstanding& outstanding = outstanding_[&ask];
      outstanding.number = number;
      outstanding.process = process;
      await.start([reports = reports_, &ask, number](const Result<void>&) { reports->emplace_back(&ask, number); });
      return;
    }
    case Ask::Kind::send: {
      auto& send = static_cast<SendAsk&>(ask);
      TimedResponse response =
          transport ? transport(send.request)
                    : TimedResponse(Error(Errc::connection_failed, "sending a request", "there is no network"));
      const std::uint64_t number = ++numbers_;
      Outstanding& outstanding = outstanding_[&ask];
      outstanding.number = number;
      outstanding.process = process;
      outstanding.answer = [process = process.get(), &send, answer = std::move(response.response)] {
        process->execution->answer(send, answer);
      };
      schedule(elapsed_ + std::max<std::chrono::microseconds>(response.after, std::chrono::microseconds(0)), number,
               &ask);
      return;
    }
    case Ask::Kind::exchange: {
      auto& exchange = static_cast<ExchangeAsk&>(ask);
      process->execution->answer(
          exchange, Error(Errc::connection_failed, "exchanging a message with a server", "there are no sockets"));
      return;
    }
    case Ask::Kind::signal: return;  // never handed out
  }
}

bool ProcessDriver::answer_reports() {
  bool any = false;
  while (!reports_->empty()) {
    const auto [ask, number] = reports_->front();
    reports_->pop_front();
    const auto found = outstanding_.find(ask);
    if (found == outstanding_.end() || found->second.number != number) continue;
    const std::shared_ptr<Process> process = std::move(found->second.process);
    if (process->paused_until > elapsed_) {  // it hears of it later
      found->second.process = process;
      const std::uint64_t same = number;
      Ask* const same_ask = ask;
      at(start_ + std::chrono::duration_cast<Time::duration>(process->paused_until),
         [reports = reports_, same_ask, same] { reports->emplace_back(same_ask, same); });
      continue;
    }
    outstanding_.erase(found);
    process->execution->answer(static_cast<AwaitAsk&>(*ask), Result<void>());
    ready_.push_back(process);
    any = true;
  }
  return any;
}

void ProcessDriver::happen(const Event& event) {
  if (!event.ask) {
    auto node = functions_.extract(event.number);
    node.mapped()();
    return;
  }
  const auto found = outstanding_.find(event.ask);
  if (found == outstanding_.end() || found->second.number != event.number) return;  // withdrawn
  if (found->second.process->paused_until > elapsed_) {
    schedule(found->second.process->paused_until, event.number, event.ask);
    return;
  }
  const Outstanding outstanding = std::move(found->second);
  outstanding_.erase(found);
  if (outstanding.answer) {
    outstanding.answer();
  } else {
    outstanding.process->execution->answer(static_cast<WaitAsk&>(*event.ask), Result<void>());
  }
  ready_.push_back(outstanding.process);
}

void ProcessDriver::run_until(Time time) {
  const Duration limit = std::chrono::duration_cast<Duration>(time - start_);
  for (;;) {
    answer_reports();
    if (!ready_.empty()) {
      const std::shared_ptr<Process> process = ready_.front();
      ready_.pop_front();
      if (!process->has_ended) go_on(process);
      continue;
    }
    if (!reports_->empty()) continue;
    if (events_.empty() || events_.front().at > limit) break;
    const Event event = events_.front();
    std::ranges::pop_heap(events_, Later());
    events_.pop_back();
    elapsed_ = std::max(elapsed_, event.at);
    happen(event);
  }
  elapsed_ = std::max(elapsed_, limit);
}

}  // namespace culmen::simulation
