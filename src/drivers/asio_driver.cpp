#include "drivers/asio_driver.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <boost/asio/any_completion_executor.hpp>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "drivers/call_pool.hpp"
#include "drivers/performer.hpp"
#include "http/transport.hpp"

namespace asio = boost::asio;
using boost::system::error_code;

namespace culmen::drivers {

namespace {

constexpr unsigned call_threads = 4;

/// Watches a descriptor that someone else owns.
class Watch {
 public:
  using Descriptor = asio::posix::stream_descriptor;
  Watch(const asio::any_io_executor& executor, int number) : descriptor(executor, number) {}
  ~Watch() { release(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void release() {
    if (descriptor.is_open()) descriptor.release();  // ends the waits
  }

  Descriptor descriptor;
  int wanted = 0;  // Readiness
  bool reading = false;
  bool writing = false;
};

}  // namespace

// ---- Run: one execution ----

/// On the strand, but for the constructor. Owned by its loop.
class AsioDriver::Run final : public std::enable_shared_from_this<Run> {
 public:
  using Handler = asio::any_completion_handler<void(std::exception_ptr)>;

  Run(std::shared_ptr<Loop> loop, ExecutionBase& execution, asio::any_completion_executor handler_executor,
      asio::cancellation_slot slot, Handler handler)
      : loop_(std::move(loop)),
        execution_(execution),
        handler_executor_(asio::prefer(handler_executor, asio::execution::outstanding_work.tracked)),
        slot_(slot),
        handler_(std::move(handler)) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void start();
  /// Cancels it soon. On any thread.
  void post_cancel();
  /// The context goes: the handler is destroyed, and with it what it owns.
  void drop() {
    run_.reset();
    const Handler dropped = std::move(handler_);
    handler_executor_ = {};
  }

 private:
  void finish(std::exception_ptr thrown);

  const std::shared_ptr<Loop> loop_;
  ExecutionBase& execution_;  // lives in what the handler owns
  asio::any_completion_executor handler_executor_;
  asio::cancellation_slot slot_;
  Handler handler_;
  std::optional<Performer::Run> run_;
};

// ---- Loop: a performer on a strand ----

/// All but the constructor, add() and wake() on the strand. What waits on the executor holds it weakly, so that the
/// last client takes it down; the registry of the context closes it when the context goes first.
class AsioDriver::Loop final : public Reactor, public std::enable_shared_from_this<Loop> {
 public:
  Loop(const asio::any_io_executor& executor, TransportOptions options, LogCallback log)
      : transport_(std::move(options), std::move(log)), pool_(call_threads) {
    open_.emplace(executor, transport_, *this, pool_);
  }
  ~Loop() { close(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Registers it with the context. Not in the constructor, which has no shared_ptr yet.
  void register_with(asio::execution_context& context);

  /// Begins the run on the strand; false: the context has gone.
  bool add(const std::shared_ptr<Run>& run) {
    const std::optional<asio::any_io_executor> executor = strand();
    if (!executor) return false;
    asio::post(*executor, [self = shared_from_this(), run] {
      if (!self->open_) return;
      self->runs_.emplace(run.get(), run);
      self->arm_timer();
      run->start();
    });
    return true;
  }
  /// Nothing is waited for without a run: idle connections do not keep the context running.
  void remove(const Run& run) {
    runs_.erase(&run);
    if (runs_.empty() && open_) rest();
  }
  std::optional<asio::any_io_executor> strand() {
    const std::lock_guard lock(mutex_);
    return strand_;
  }
  Performer& performer() { return open_->performer; }

  /// Lets go of everything that belongs to the context.
  void close() noexcept {
    {
      const std::lock_guard lock(mutex_);
      strand_.reset();
    }
    for (const auto& [address, run] : std::exchange(runs_, {})) run->drop();
    open_.reset();
    for (const auto& [descriptor, watch] : std::exchange(watches_, {})) watch->release();
  }

  void watch(int descriptor, int events) override;
  void forget(int descriptor) noexcept override;
  void set_due(std::optional<SteadyTime> due) override;
  bool wake() noexcept override;

 private:
  class Registry;

  /// What needs the context.
  struct Open {
    Open(const asio::any_io_executor& executor, http::Transport& transport, Loop& loop, CallPool& pool)
        : strand(asio::make_strand(executor)), timer(strand), performer(transport, loop, &pool) {
      const std::lock_guard lock(loop.mutex_);
      loop.strand_ = strand;
    }
    const asio::any_io_executor strand;
    asio::steady_timer timer;
    Performer performer;
  };

  void rest();
  void await_readiness(int descriptor, const std::shared_ptr<Watch>& watch);
  void ready(int descriptor, const std::shared_ptr<Watch>& watch, int events);
  void arm_timer();
  void on_due();

  std::mutex mutex_;
  std::optional<asio::any_io_executor> strand_;  // for add() and wake(), from any thread; none: closed
  http::Transport transport_;
  CallPool pool_;
  std::optional<SteadyTime> due_;    // when the performer wants to be called
  std::optional<SteadyTime> armed_;  // when the timer ends: at that time or before
  bool due_now_ = false;             // on_due() has been posted
  std::unordered_map<int, std::shared_ptr<Watch>> watches_;
  std::map<const Run*, std::shared_ptr<Run>> runs_;
  std::optional<Open> open_;  // last: its destructor uses the others
};

/// Of one context: closes the loops on it before the context takes their timers and descriptors away.
class AsioDriver::Loop::Registry final : public asio::execution_context::service {
 public:
  using key_type = Registry;
  static asio::execution_context::id id;
  explicit Registry(asio::execution_context& context) : service(context) {}

  void add(const std::shared_ptr<Loop>& loop) {
    const std::lock_guard lock(mutex_);
    std::erase_if(loops_, [](const std::weak_ptr<Loop>& other) { return other.expired(); });
    loops_.push_back(loop);
  }

 private:
  void shutdown() noexcept override {
    std::vector<std::weak_ptr<Loop>> loops;
    {
      const std::lock_guard lock(mutex_);
      loops = std::exchange(loops_, {});
    }
    for (const std::weak_ptr<Loop>& weak : loops) {
      if (const std::shared_ptr<Loop> loop = weak.lock()) loop->close();
    }
  }
  std::mutex mutex_;
  std::vector<std::weak_ptr<Loop>> loops_;
};

asio::execution_context::id AsioDriver::Loop::Registry::id;

void AsioDriver::Loop::register_with(asio::execution_context& context) {
  asio::use_service<Registry>(context).add(shared_from_this());
}

void AsioDriver::Loop::watch(int descriptor, int events) {
  auto found = watches_.find(descriptor);
  if (found == watches_.end()) {
    found = watches_.emplace(descriptor, std::make_shared<Watch>(open_->strand, descriptor)).first;
  }
  const std::shared_ptr<Watch> watch = found->second;
  watch->wanted = events;
  await_readiness(descriptor, watch);
}

void AsioDriver::Loop::forget(int descriptor) noexcept {
  const auto found = watches_.find(descriptor);
  if (found == watches_.end()) return;
  found->second->release();
  watches_.erase(found);
}

void AsioDriver::Loop::await_readiness(int descriptor, const std::shared_ptr<Watch>& watch) {
  const auto await = [&](Watch::Descriptor::wait_type what, Readiness bit, bool& awaited) {
    if ((watch->wanted & bit) == 0 || std::exchange(awaited, true)) return;
    watch->descriptor.async_wait(what, [weak = weak_from_this(), descriptor, watch, bit, &awaited](error_code error) {
      awaited = false;  // lives in the watch
      const std::shared_ptr<Loop> self = weak.lock();
      if (!self || (watch->wanted & bit) == 0 || !watch->descriptor.is_open() || !self->open_) return;
      if (error == asio::error::operation_aborted) return self->await_readiness(descriptor, watch);  // after rest()
      self->ready(descriptor, watch, error ? failed : bit);
    });
  };
  await(Watch::Descriptor::wait_read, readable, watch->reading);
  await(Watch::Descriptor::wait_write, writable, watch->writing);
}

void AsioDriver::Loop::rest() {
  armed_.reset();
  open_->timer.cancel();
  for (const auto& [descriptor, watch] : watches_) {
    if (watch->reading || watch->writing) watch->descriptor.cancel();
  }
}

void AsioDriver::Loop::ready(int descriptor, const std::shared_ptr<Watch>& watch, int events) {
  open_->performer.on_ready(descriptor, events);
  if (open_ && watch->descriptor.is_open()) await_readiness(descriptor, watch);
}

// curl changes its mind several times a request, and each change of the timer is a system call that takes longer than
// signing does. So "now" is no timer, and a timer that ends too early stays as it is.
void AsioDriver::Loop::set_due(std::optional<SteadyTime> due) {
  due_ = due;
  arm_timer();
}

void AsioDriver::Loop::arm_timer() {
  if (!due_ || runs_.empty()) return;
  if (*due_ <= std::chrono::steady_clock::now()) {
    if (std::exchange(due_now_, true)) return;
    asio::post(open_->strand, [weak = weak_from_this()] {
      const std::shared_ptr<Loop> self = weak.lock();
      if (!self) return;
      self->due_now_ = false;
      self->on_due();
    });
    return;
  }
  if (armed_ && *armed_ <= *due_) return;
  armed_ = due_;
  open_->timer.expires_at(*due_);
  open_->timer.async_wait([weak = weak_from_this()](error_code error) {
    const std::shared_ptr<Loop> self = weak.lock();
    if (!self || error) return;
    self->armed_.reset();
    self->on_due();
  });
}

void AsioDriver::Loop::on_due() {
  if (!due_ || !open_) return;
  if (std::chrono::steady_clock::now() < *due_) return arm_timer();
  due_.reset();
  open_->performer.on_due();
}

bool AsioDriver::Loop::wake() noexcept {
  try {
    const std::optional<asio::any_io_executor> executor = strand();
    if (!executor) return true;  // nobody waits any more
    asio::post(*executor, [weak = weak_from_this()] {
      const std::shared_ptr<Loop> self = weak.lock();
      if (self && self->open_) self->open_->performer.on_wake();
    });
    return true;
  } catch (...) {
    return false;  // no memory: whoever wakes next tries again
  }
}

// ---- Run, the rest ----

void AsioDriver::Run::start() {
  run_.emplace(loop_->performer(), execution_, [this](std::exception_ptr thrown) { finish(std::move(thrown)); });
  run_->start();
}

void AsioDriver::Run::post_cancel() {
  const std::optional<asio::any_io_executor> strand = loop_->strand();
  if (!strand) return;
  asio::post(*strand, [weak = weak_from_this()] {
    const std::shared_ptr<Run> self = weak.lock();
    if (self && self->run_) self->run_->cancel();
  });
}

void AsioDriver::Run::finish(std::exception_ptr thrown) {
  const std::optional<asio::any_io_executor> strand = loop_->strand();
  if (!strand) return;
  asio::post(*strand, [self = shared_from_this(), thrown]() mutable {
    if (!self->handler_) return;  // the context has gone
    self->run_.reset();
    self->loop_->remove(*self);
    const asio::any_completion_executor executor = std::exchange(self->handler_executor_, {});
    asio::dispatch(executor, [handler = std::move(self->handler_), slot = self->slot_, thrown]() mutable {
      slot.clear();
      std::move(handler)(thrown);
    });
  });
}

// ---- AsioDriver ----

AsioDriver::AsioDriver(asio::any_io_executor executor, TransportOptions options, LogCallback log)
    : loop_(std::make_shared<Loop>(executor, std::move(options), std::move(log))) {
  loop_->register_with(asio::query(executor, asio::execution::context));
}

AsioDriver::~AsioDriver() = default;

void AsioDriver::start(ExecutionBase& execution, asio::any_completion_handler<void(std::exception_ptr)> handler) {
  const std::optional<asio::any_io_executor> strand = loop_->strand();
  if (!strand) {
    const auto executor = asio::get_associated_executor(handler, asio::system_executor());
    const Error gone(Errc::io_failed, "starting an operation", "the client's io_context is gone");
    asio::dispatch(executor, [handler = std::move(handler), gone]() mutable {
      std::move(handler)(std::make_exception_ptr(gone));
    });
    return;
  }
  const auto executor = asio::get_associated_executor(handler, *strand);
  asio::cancellation_slot slot = asio::get_associated_cancellation_slot(handler);
  const auto run = std::make_shared<Run>(loop_, execution, executor, slot, std::move(handler));
  if (slot.is_connected()) {
    // Without the strand: the signal may outlive the context.
    slot.assign([weak = std::weak_ptr<Run>(run)](asio::cancellation_type) {
      if (const std::shared_ptr<Run> self = weak.lock()) self->post_cancel();
    });
  }
  loop_->add(run);
}

asio::awaitable<void> AsioDriver::drive(ExecutionBase& execution) {
  // By pointer: the handler owns the awaiting coroutine, which owns the driver and the execution.
  const auto begin = [this, &execution](auto handler) { start(execution, std::move(handler)); };
  auto driven =
      asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(begin, asio::use_awaitable);
  co_await std::move(driven);
}

}  // namespace culmen::drivers
