#include "drivers/blocking_driver.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <deque>
#include <map>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "drivers/done.hpp"

namespace culmen::drivers {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::size_t max_idle_multis = 16;
constexpr std::chrono::milliseconds longest_wait = std::chrono::hours(24 * 365);
constexpr std::chrono::milliseconds longest_poll = std::chrono::minutes(1);

/// Where other threads leave the answers to `await` asks.
class Reports {
 public:
  explicit Reports(CURLM* multi) : multi_(multi) {}

  void leave(AwaitAsk& ask, Result<void> answer) {
    const std::lock_guard lock(mutex_);
    if (!multi_) return;
    arrived_.emplace_back(&ask, std::move(answer));
    curl_multi_wakeup(multi_);
  }
  std::deque<std::pair<AwaitAsk*, Result<void>>> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(arrived_, {});
  }
  void close() {
    const std::lock_guard lock(mutex_);
    multi_ = nullptr;
  }

 private:
  std::mutex mutex_;
  CURLM* multi_;
  std::deque<std::pair<AwaitAsk*, Result<void>>> arrived_;
};

/// One drive().
class Drive {
 public:
  Drive(ExecutionBase& execution, http::Multi& multi, const CancelFlag& cancel)
      : execution_(execution), multi_(multi), cancel_(cancel), reports_(std::make_shared<Reports>(multi.handle())) {}
  ~Drive() {
    reports_->close();
    multi_.withdraw_all(this);
  }
  Drive(const Drive&) = delete;
  Drive& operator=(const Drive&) = delete;

  void run() {
    for (;;) {
      cancel_if_wanted();
      while (Ask* ask = execution_.next()) begin(*ask);
      if (execution_.done()) return;
      if (calls_.empty()) {
        let_time_pass();
      } else {
        make_one_call();
      }
      answer_what_is_over();
    }
  }

 private:
  void begin(Ask& ask) {
    switch (ask.kind()) {
      case Ask::Kind::send: {
        auto& send = static_cast<SendAsk&>(ask);
        if (std::optional<Error> refused = multi_.start(send, this)) execution_.answer(send, *refused);
        break;
      }
      case Ask::Kind::wait: {
        auto& wait = static_cast<WaitAsk&>(ask);
        const auto duration = std::clamp(wait.duration, std::chrono::milliseconds(0), longest_wait);
        waits_.emplace(std::chrono::steady_clock::now() + duration, &wait);
        break;
      }
      case Ask::Kind::call: calls_.push_back(static_cast<CallAsk*>(&ask)); break;
      case Ask::Kind::await: {
        auto& await = static_cast<AwaitAsk&>(ask);
        start_await(await,
                    [reports = reports_, &await](Result<void> result) { reports->leave(await, std::move(result)); });
        break;
      }
    }
  }

  void cancel_if_wanted() {
    if (cancelled_ || !cancel_.raised()) return;
    cancelled_ = true;
    execution_.cancel([this](Ask& ask) {
      if (ask.kind() == Ask::Kind::send) multi_.withdraw(static_cast<SendAsk&>(ask));
      std::erase_if(waits_, [&ask](const auto& entry) { return entry.second == &ask; });
    });
  }

  void make_one_call() {
    perform();  // what was started gets under way before a call that may take long
    CallAsk& call = *calls_.front();
    calls_.pop_front();
    execution_.answer(call, call_function(call));
  }

  void let_time_pass() {
    auto pause = longest_poll;
    if (!waits_.empty()) {
      const auto left = waits_.begin()->first - std::chrono::steady_clock::now();
      pause = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(0), pause);
    }
    // From the cancellation on its descriptor stays readable, and would end every poll at once.
    curl_waitfd cancel{cancel_.descriptor(), CURL_WAIT_POLLIN, 0};
    const unsigned count = cancelled_ ? 0 : 1;
    check(curl_multi_poll(multi_.handle(), &cancel, count, static_cast<int>(pause.count()), nullptr));
    perform();
  }

  void perform() {
    int running = 0;
    check(curl_multi_perform(multi_.handle(), &running));
  }

  void answer_what_is_over() {
    while (std::optional<http::Multi::Finished> finished = multi_.next_finished()) {
      execution_.answer(finished->ask, std::move(finished->answer));
    }
    const SteadyTime now = std::chrono::steady_clock::now();
    while (!waits_.empty() && waits_.begin()->first <= now) {
      WaitAsk& wait = *waits_.begin()->second;
      waits_.erase(waits_.begin());
      execution_.answer(wait, Result<void>());
    }
    for (auto& [ask, answer] : reports_->take()) execution_.answer(*ask, std::move(answer));
  }

  static void check(CURLMcode code) {
    if (code != CURLM_OK) throw Error(Errc::io_failed, "exchanging HTTP messages", curl_multi_strerror(code));
  }

  ExecutionBase& execution_;
  http::Multi& multi_;
  const CancelFlag& cancel_;
  std::shared_ptr<Reports> reports_;
  std::multimap<SteadyTime, WaitAsk*> waits_;
  std::deque<CallAsk*> calls_;
  bool cancelled_ = false;
};

}  // namespace

// ---- CancelFlag ----

CancelFlag::CancelFlag() {
  if (::pipe(ends_) != 0) {
    const std::error_code why(errno, std::generic_category());
    throw Error(Errc::io_failed, "making a client", "no pipe: " + why.message()).with_system_code(why);
  }
  for (const int end : ends_) {
    ::fcntl(end, F_SETFD, FD_CLOEXEC);
    ::fcntl(end, F_SETFL, O_NONBLOCK);
  }
}

CancelFlag::~CancelFlag() {
  for (const int end : ends_) ::close(end);
}

void CancelFlag::raise() noexcept {
  const int kept = errno;  // of what the signal interrupted
  if (!raised_.exchange(true)) {
    const char byte = 1;
    while (::write(ends_[1], &byte, 1) < 0 && errno == EINTR) {
    }
  }
  errno = kept;
}

// ---- BlockingDriver ----

BlockingDriver::BlockingDriver(TransportOptions options, LogCallback log)
    : transport_(std::move(options), std::move(log)) {}

void BlockingDriver::drive(ExecutionBase& execution) {
  std::unique_ptr<http::Multi> multi = take_multi();
  Drive(execution, *multi, cancel_).run();
  give_back(std::move(multi));
}

std::unique_ptr<http::Multi> BlockingDriver::take_multi() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<http::Multi> multi = std::move(idle_.back());
      idle_.pop_back();
      return multi;
    }
  }
  return std::make_unique<http::Multi>(transport_);
}

void BlockingDriver::give_back(std::unique_ptr<http::Multi> multi) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < max_idle_multis) idle_.push_back(std::move(multi));
}

}  // namespace culmen::drivers
