#include "drivers/blocking_driver.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <utility>

#include "drivers/await_ask.hpp"
#include "drivers/clock.hpp"

namespace culmen::drivers {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::ptrdiff_t max_idle_multis = 16;
constexpr std::chrono::milliseconds longest_poll = std::chrono::minutes(1);
constexpr std::chrono::milliseconds longest_unregistered_poll{250};  // cancel() cannot wake it

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

/// Whether to cancel one drive(), and which descriptors say so.
class Interruption {
 public:
  Interruption(const std::atomic<unsigned>& cancellations, const std::vector<CancelToken>& tokens)
      : cancellations_(cancellations), before_(cancellations.load()), tokens_(tokens) {}

  bool wanted() const {
    return cancellations_.load() != before_ ||
           std::ranges::any_of(tokens_, [](const CancelToken& token) { return token.cancelled(); });
  }
  std::vector<curl_waitfd> descriptors(const Lane& lane) const {
    std::vector<curl_waitfd> watched(1, curl_waitfd{lane.wake.descriptor(), CURL_WAIT_POLLIN, 0});
    for (const CancelToken& token : tokens_) {
      if (token.descriptor() >= 0) watched.push_back(curl_waitfd{token.descriptor(), CURL_WAIT_POLLIN, 0});
    }
    return watched;
  }

 private:
  const std::atomic<unsigned>& cancellations_;
  const unsigned before_;
  const std::vector<CancelToken>& tokens_;
};

/// One drive().
class Drive {
 public:
  Drive(ExecutionBase& execution, Lane& lane, const Interruption& interruption)
      : execution_(execution),
        multi_(*lane.multi),
        wake_(lane.wake),
        interruption_(interruption),
        descriptors_(interruption.descriptors(lane)),
        longest_poll_(lane.is_registered ? longest_poll : longest_unregistered_poll),
        reports_(std::make_shared<Reports>(multi_.handle())) {}
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
        poll_once();
      } else {
        make_one_call();
      }
      deliver_results();
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
    if (cancelled_ || !interruption_.wanted()) return;
    cancelled_ = true;
    descriptors_.clear();  // they stay readable, and would end every poll at once
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

  void poll_once() {
    auto pause = longest_poll_;
    if (!waits_.empty()) {
      const auto left = waits_.begin()->first - std::chrono::steady_clock::now();
      pause = std::clamp(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(0), pause);
    }
    check(curl_multi_poll(multi_.handle(), descriptors_.data(), static_cast<unsigned>(descriptors_.size()),
                          static_cast<int>(pause.count()), nullptr));
    // A cancellation counts before it wakes: one that is not for this drive leaves a byte that would end every poll.
    if (!interruption_.wanted()) wake_.drain();
    perform();
  }

  void perform() {
    int running = 0;
    check(curl_multi_perform(multi_.handle(), &running));
  }

  void deliver_results() {
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
  const WakePipe& wake_;
  const Interruption& interruption_;
  std::vector<curl_waitfd> descriptors_;
  const std::chrono::milliseconds longest_poll_;
  std::shared_ptr<Reports> reports_;
  std::multimap<SteadyTime, WaitAsk*> waits_;
  std::deque<CallAsk*> calls_;
  bool cancelled_ = false;
};

}  // namespace

// ---- BlockingDriver ----

BlockingDriver::BlockingDriver(TransportOptions options, LogCallback log)
    : transport_(std::move(options), std::move(log)) {}

BlockingDriver::~BlockingDriver() = default;

void BlockingDriver::drive(ExecutionBase& execution, const std::vector<CancelToken>& tokens) {
  const Interruption interruption(cancellations_, tokens);
  const auto release_later = [this](Lane* lane) { release_lane(*lane); };
  const std::unique_ptr<Lane, decltype(release_later)> lane(&acquire_lane(), release_later);
  Drive(execution, *lane, interruption).run();
}

void BlockingDriver::cancel() noexcept {
  ++cancellations_;
  for (const std::atomic<Lane*>& entry : registered_) {
    if (const Lane* lane = entry.load()) lane->wake.wake();
  }
}

Lane& BlockingDriver::acquire_lane() {
  const std::lock_guard lock(mutex_);
  const auto idle = std::ranges::find_if(lanes_, [](const auto& lane) { return !lane->is_busy; });
  Lane& lane = idle == lanes_.end() ? add_lane() : **idle;
  if (!lane.multi) lane.multi = std::make_unique<http::Multi>(transport_);
  lane.wake.drain();
  lane.is_busy = true;
  return lane;
}

Lane& BlockingDriver::add_lane() {
  lanes_.push_back(std::make_unique<Lane>());
  Lane& lane = *lanes_.back();
  if (lanes_.size() <= max_registered) {
    lane.is_registered = true;
    registered_[lanes_.size() - 1] = &lane;
  }
  return lane;
}

void BlockingDriver::release_lane(Lane& lane) {
  const std::lock_guard lock(mutex_);
  lane.is_busy = false;
  const auto is_idle = [](const auto& other) { return !other->is_busy && other->multi; };
  if (std::ranges::count_if(lanes_, is_idle) > max_idle_multis) lane.multi.reset();
}

}  // namespace culmen::drivers
