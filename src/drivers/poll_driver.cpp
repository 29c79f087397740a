#include "culmen/poll_driver.hpp"

#include <deque>
#include <map>
#include <utility>

#include "drivers/call_pool.hpp"
#include "drivers/clock.hpp"
#include "drivers/performer.hpp"
#include "drivers/poll_loop.hpp"
#include "http/transport.hpp"

namespace culmen {

class PollDriver::Impl {
 public:
  Impl(TransportOptions options, LogCallback log, unsigned call_threads)
      : transport(std::move(options), std::move(log)),
        pool(call_threads),
        loop(true),
        performer(transport, loop, &pool) {}

  /// Members in this order: the run lets go of the execution before that is destroyed.
  struct Running {
    Running() = default;
    std::shared_ptr<void> owner;
    std::function<void(std::exception_ptr)> finished;
    std::optional<drivers::Performer::Run> run;
  };
  struct Ended {
    Ended(Id id_, std::exception_ptr thrown_) : id(id_), thrown(std::move(thrown_)) {}
    Id id;
    std::exception_ptr thrown;
  };

  http::Transport transport;
  drivers::CallPool pool;
  drivers::PollLoop loop;
  drivers::Performer performer;
  std::map<Id, std::unique_ptr<Running>> running;
  std::deque<Ended> ended;
  Id last_id = 0;
  int processing = 0;  // how many process() are on the stack
};

PollDriver::PollDriver(TransportOptions options, LogCallback log, unsigned call_threads)
    : impl_(std::make_unique<Impl>(std::move(options), std::move(log), call_threads)) {}

PollDriver::~PollDriver() = default;

int PollDriver::fd() const noexcept { return impl_->loop.descriptor(); }

std::optional<std::chrono::steady_clock::time_point> PollDriver::next_deadline() const noexcept {
  return impl_->loop.due();
}

void PollDriver::process() {
  /// What has ended makes the descriptor readable, unless it is handed over now; an exception leaves some of it.
  class Processing {
   public:
    explicit Processing(Impl& impl) : impl_(impl) { ++impl_.processing; }
    ~Processing() {
      --impl_.processing;
      if (!impl_.ended.empty()) impl_.loop.wake();
    }
    Processing(const Processing&) = delete;
    Processing& operator=(const Processing&) = delete;

   private:
    Impl& impl_;
  };
  const Processing processing(*impl_);
  impl_->loop.turn(impl_->performer, drivers::SteadyTime::min());
  while (!impl_->ended.empty()) {
    const Impl::Ended ended = std::move(impl_->ended.front());
    impl_->ended.pop_front();
    const auto found = impl_->running.find(ended.id);
    const std::unique_ptr<Impl::Running> running = std::move(found->second);
    impl_->running.erase(found);
    running->run.reset();
    running->finished(ended.thrown);
  }
}

PollDriver::Id PollDriver::start_execution(std::shared_ptr<void> owner, ExecutionBase& execution,
                                           std::function<void(std::exception_ptr)> finished) {
  const Id id = ++impl_->last_id;
  auto running = std::make_unique<Impl::Running>();
  running->owner = std::move(owner);
  running->finished = std::move(finished);
  running->run.emplace(impl_->performer, execution, [impl = impl_.get(), id](std::exception_ptr thrown) {
    impl->ended.emplace_back(id, std::move(thrown));
    if (impl->processing == 0) impl->loop.wake();  // process() calls `done`
  });
  drivers::Performer::Run& run = *running->run;
  impl_->running.emplace(id, std::move(running));
  run.start();
  return id;
}

void PollDriver::cancel(Id id) {
  const auto found = impl_->running.find(id);
  if (found != impl_->running.end()) found->second->run->cancel();
}

void PollDriver::cancel_all() {
  const Id last = impl_->last_id;  // what is cancelled may start others
  for (const auto& [id, running] : impl_->running) {
    if (id > last) break;
    running->run->cancel();
  }
}

bool PollDriver::idle() const noexcept { return impl_->running.empty(); }

ExecutionBase::Clock PollDriver::clock() { return &drivers::instant_now; }

}  // namespace culmen
