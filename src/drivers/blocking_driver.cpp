#include "drivers/blocking_driver.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace culmen::drivers {

namespace {

constexpr std::ptrdiff_t max_idle_multis = 16;
constexpr std::chrono::milliseconds longest_poll = std::chrono::minutes(1);
constexpr std::chrono::milliseconds longest_unregistered_poll{250};  // cancel() cannot wake it

/// The tokens of one drive(), whose descriptors end the waiting of its loop.
class Interruptions {
 public:
  Interruptions(PollLoop& loop, const std::vector<CancelToken>& tokens) : loop_(loop), tokens_(tokens) {
    for (const CancelToken& token : tokens) {
      const int descriptor = token.descriptor();
      if (descriptor < 0 || std::ranges::find(descriptors_, descriptor) != descriptors_.end()) continue;
      descriptors_.push_back(descriptor);
      loop_.add_interruption(descriptor);
    }
  }
  ~Interruptions() { stop(); }
  Interruptions(const Interruptions&) = delete;
  Interruptions& operator=(const Interruptions&) = delete;

  bool wanted() const {
    return std::ranges::any_of(tokens_, [](const CancelToken& token) { return token.cancelled(); });
  }
  /// They stay readable, and would end every wait at once.
  void stop() noexcept {
    for (const int descriptor : std::exchange(descriptors_, {})) loop_.remove_interruption(descriptor);
  }

 private:
  PollLoop& loop_;
  const std::vector<CancelToken>& tokens_;
  std::vector<int> descriptors_;
};

}  // namespace

BlockingDriver::BlockingDriver(TransportOptions options, LogCallback log)
    : transport_(std::move(options), std::move(log)) {}

BlockingDriver::~BlockingDriver() = default;

void BlockingDriver::drive(ExecutionBase& execution, const std::vector<CancelToken>& tokens) {
  const unsigned cancellations_before = cancellations_.load();
  const auto release_later = [this](Lane* lane) { release_lane(*lane); };
  const std::unique_ptr<Lane, decltype(release_later)> lane(&acquire_lane(), release_later);
  PollLoop& loop = lane->loop;
  Performer& performer = *lane->performer;
  const auto longest = lane->is_registered ? longest_poll : longest_unregistered_poll;

  bool finished = false;
  std::exception_ptr failure;
  Performer::Run run(performer, execution, [&finished, &failure](std::exception_ptr thrown) {
    finished = true;
    failure = std::move(thrown);
  });
  Interruptions interruptions(loop, tokens);
  bool cancelled = false;
  const auto cancel_wanted = [&] {
    return !cancelled && (cancellations_.load() != cancellations_before || interruptions.wanted());
  };
  run.start();
  while (!finished) {
    if (cancel_wanted()) {
      cancelled = true;
      interruptions.stop();
      run.cancel();
    } else if (performer.has_calls()) {
      loop.turn(performer, SteadyTime::min());  // what was started gets under way before a call that may take long
      if (!finished && !cancel_wanted()) performer.make_call();
    } else {
      loop.turn(performer, std::chrono::steady_clock::now() + longest);
    }
  }
  if (failure) std::rethrow_exception(failure);
}

void BlockingDriver::cancel() noexcept {
  ++cancellations_;
  for (const std::atomic<Lane*>& entry : registered_) {
    if (Lane* lane = entry.load()) lane->loop.wake();
  }
}

Lane& BlockingDriver::acquire_lane() {
  const std::lock_guard lock(mutex_);
  const auto idle = std::ranges::find_if(lanes_, [](const auto& lane) { return !lane->is_busy; });
  Lane& lane = idle == lanes_.end() ? add_lane() : **idle;
  if (!lane.performer) lane.performer = std::make_unique<Performer>(transport_, lane.loop, nullptr);
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
  const auto is_idle = [](const auto& other) { return !other->is_busy && other->performer; };
  if (std::ranges::count_if(lanes_, is_idle) > max_idle_multis) lane.performer.reset();
}

}  // namespace culmen::drivers
