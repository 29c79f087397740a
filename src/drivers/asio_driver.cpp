#include "drivers/asio_driver.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

#include <boost/asio/any_completion_executor.hpp>
#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "drivers/await_ask.hpp"
#include "drivers/clock.hpp"
#include "http/multi.hpp"
#include "http/transport.hpp"

namespace asio = boost::asio;
using boost::system::error_code;

namespace culmen::drivers {

namespace {

/// Watches a socket for curl, which owns the descriptor.
class Watch {
 public:
  Watch(const asio::any_io_executor& executor, curl_socket_t socket_) : socket(socket_), descriptor(executor) {}
  ~Watch() { release(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void release() {
    if (descriptor.is_open()) descriptor.release();
  }

  const curl_socket_t socket;
  asio::posix::stream_descriptor descriptor;
  int wanted = 0;  // CURL_POLL_…
  bool reading = false;
  bool writing = false;
};

/// Passes the result of another thread on to a Run. Closed when the Run ends: later results are dropped.
class RunLink {
 public:
  RunLink(asio::any_io_executor executor, std::function<void(Result<void>)> answer)
      : executor_(std::move(executor)), answer_(std::move(answer)) {}

  void report(Result<void> result) {
    const std::lock_guard lock(mutex_);
    post(std::move(result));
  }
  /// close() waits for the function to return, so that nothing it refers to is destroyed while it runs.
  void call(const CallAsk& ask) {
    const std::lock_guard lock(mutex_);
    if (open_) post(call_function(ask));
  }
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
    executor_ = {};
  }

 private:
  void post(Result<void> result) {
    if (!open_) return;
    asio::post(executor_, [answer = answer_, result = std::move(result)]() mutable { answer(std::move(result)); });
  }

  std::mutex mutex_;
  asio::any_io_executor executor_;
  std::function<void(Result<void>)> answer_;
  bool open_ = true;
};

}  // namespace

// ---- Loop: curl on a strand ----

/// All but the constructor and start() on the strand. What waits on the executor holds it weakly, so that the last
/// client takes it down.
class AsioDriver::Loop final : public std::enable_shared_from_this<Loop> {
 public:
  Loop(const asio::any_io_executor& executor, TransportOptions options, LogCallback log)
      : strand_(asio::make_strand(executor)),
        transport_(std::move(options), std::move(log)),
        multi_(transport_),
        timer_(strand_) {
    curl_multi_setopt(multi_.handle(), CURLMOPT_SOCKETFUNCTION, &Loop::on_socket);
    curl_multi_setopt(multi_.handle(), CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_.handle(), CURLMOPT_TIMERFUNCTION, &Loop::on_timer);
    curl_multi_setopt(multi_.handle(), CURLMOPT_TIMERDATA, this);
  }
  ~Loop() {
    for (const auto& [socket, watch] : watches_) watch->release();
    watches_.clear();
    curl_multi_setopt(multi_.handle(), CURLMOPT_SOCKETFUNCTION, nullptr);
    curl_multi_setopt(multi_.handle(), CURLMOPT_TIMERFUNCTION, nullptr);
  }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  const asio::any_io_executor& strand() const noexcept { return strand_; }
  http::Multi& multi() noexcept { return multi_; }
  asio::thread_pool& calling_thread() {
    if (!calling_thread_) calling_thread_.emplace(1);
    return *calling_thread_;
  }

 private:
  static int on_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
    return static_cast<Loop*>(self)->watch(socket, what);
  }
  static int on_timer(CURLM*, long milliseconds, void* self) {
    static_cast<Loop*>(self)->set_timer(milliseconds);
    return 0;
  }
  int watch(curl_socket_t socket, int what);
  void await_readiness(const std::shared_ptr<Watch>& watch);
  void ready(const std::shared_ptr<Watch>& watch, int events);
  void set_timer(long milliseconds);
  void arm_timer();
  void on_due();
  void act(curl_socket_t socket, int events);

  const asio::any_io_executor strand_;
  http::Transport transport_;
  http::Multi multi_;
  asio::steady_timer timer_;
  std::optional<std::chrono::steady_clock::time_point> due_;    // when curl wants to be called
  std::optional<std::chrono::steady_clock::time_point> armed_;  // when timer_ ends: at that time or before
  bool due_now_ = false;                                        // on_due() has been posted
  std::map<curl_socket_t, std::shared_ptr<Watch>> watches_;
  std::optional<asio::thread_pool> calling_thread_;
};

// ---- Run: one execution ----

/// On the strand. Owned by a wait without end, so that it is destroyed with the context if that is destroyed first.
class AsioDriver::Run final : public std::enable_shared_from_this<Run> {
 public:
  using Handler = asio::any_completion_handler<void(std::exception_ptr)>;

  Run(std::shared_ptr<Loop> loop, ExecutionBase& execution, asio::any_completion_executor handler_executor,
      asio::cancellation_slot slot, Handler handler)
      : loop_(std::move(loop)),
        execution_(execution),
        alive_(loop_->strand(), asio::steady_timer::time_point::max()),
        handler_executor_(asio::prefer(handler_executor, asio::execution::outstanding_work.tracked)),
        slot_(slot),
        handler_(std::move(handler)) {}
  ~Run() { forget_all(); }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void start() {
    alive_.async_wait([self = shared_from_this()](error_code) {});
    advance();
  }

  void cancel() {
    if (finished_ || cancelled_) return;
    cancelled_ = true;
    execution_.cancel([this](Ask& ask) { forget(ask); });
    advance();
  }

  void answer(SendAsk& ask, Result<HttpResponse> response) {
    execution_.answer(ask, std::move(response));
    advance();
  }

 private:
  void advance() {
    try {
      while (Ask* ask = execution_.next()) begin(*ask);
      if (execution_.done()) finish(nullptr);
    } catch (...) {
      finish(std::current_exception());
    }
  }

  void begin(Ask& ask) {
    switch (ask.kind()) {
      case Ask::Kind::send: {
        auto& send = static_cast<SendAsk&>(ask);
        if (std::optional<Error> refused = loop_->multi().start(send, this)) execution_.answer(send, *refused);
        break;
      }
      case Ask::Kind::wait: begin_wait(static_cast<WaitAsk&>(ask)); break;
      case Ask::Kind::call: {
        auto& call = static_cast<CallAsk&>(ask);
        asio::post(loop_->calling_thread(), [link = link_for(call), &call] { link->call(call); });
        break;
      }
      case Ask::Kind::await: {
        auto& await = static_cast<AwaitAsk&>(ask);
        start_await(await, [link = link_for(await)](Result<void> result) { link->report(std::move(result)); });
        break;
      }
    }
  }

  void begin_wait(WaitAsk& ask) {
    const auto duration = std::clamp(ask.duration, std::chrono::milliseconds(0), longest_wait);
    asio::steady_timer& timer = waits_.try_emplace(&ask, loop_->strand(), duration).first->second;
    const std::size_t number = ++waits_begun_;
    wait_numbers_[&ask] = number;
    timer.async_wait([weak = weak_from_this(), &ask, number](error_code) {
      if (const std::shared_ptr<Run> self = weak.lock()) self->waited(ask, number);
    });
  }

  void waited(WaitAsk& ask, std::size_t number) {
    // A withdrawn ask's address may be another's by now.
    const auto found = wait_numbers_.find(&ask);
    if (found == wait_numbers_.end() || found->second != number) return;
    forget(ask);
    execution_.answer(ask, Result<void>());
    advance();
  }

  template <class A>
  std::shared_ptr<RunLink> link_for(A& ask) {
    auto link = std::make_shared<RunLink>(loop_->strand(), [weak = weak_from_this(), &ask](Result<void> result) {
      const std::shared_ptr<Run> self = weak.lock();
      if (!self || self->links_.erase(&ask) == 0) return;
      self->execution_.answer(ask, std::move(result));
      self->advance();
    });
    links_[&ask] = link;
    return link;
  }

  void forget(Ask& ask) {
    if (ask.kind() == Ask::Kind::send) loop_->multi().withdraw(static_cast<SendAsk&>(ask));
    waits_.erase(&ask);
    wait_numbers_.erase(&ask);
  }

  void forget_all() {
    loop_->multi().withdraw_all(this);
    waits_.clear();
    wait_numbers_.clear();
    for (const auto& [ask, link] : links_) link->close();
    links_.clear();
  }

  void finish(std::exception_ptr failure) {
    if (finished_) return;
    finished_ = true;
    forget_all();
    asio::post(loop_->strand(), [executor = std::move(handler_executor_), handler = std::move(handler_), slot = slot_,
                                 failure]() mutable {
      asio::dispatch(executor, [handler = std::move(handler), slot, failure]() mutable {
        slot.clear();
        std::move(handler)(failure);
      });
    });
    handler_executor_ = {};
    alive_.cancel();
  }

  const std::shared_ptr<Loop> loop_;
  ExecutionBase& execution_;  // lives in the awaiting coroutine: not to be touched after finish()
  asio::steady_timer alive_;
  asio::any_completion_executor handler_executor_;
  asio::cancellation_slot slot_;
  Handler handler_;
  std::map<Ask*, asio::steady_timer> waits_;
  std::map<Ask*, std::size_t> wait_numbers_;
  std::size_t waits_begun_ = 0;
  std::map<Ask*, std::shared_ptr<RunLink>> links_;
  bool cancelled_ = false;
  bool finished_ = false;
};

// ---- Loop, the rest ----

int AsioDriver::Loop::watch(curl_socket_t socket, int what) {
  const auto found = watches_.find(socket);
  if (what == CURL_POLL_REMOVE) {
    if (found == watches_.end()) return 0;
    found->second->release();  // ends the waits
    watches_.erase(found);
    return 0;
  }
  std::shared_ptr<Watch> watch;
  if (found != watches_.end()) {
    watch = found->second;
  } else {
    watch = std::make_shared<Watch>(strand_, socket);
    error_code failed;
    watch->descriptor.assign(socket, failed);
    if (failed) return -1;
    watches_.emplace(socket, watch);
  }
  watch->wanted = what;
  await_readiness(watch);
  return 0;
}

void AsioDriver::Loop::await_readiness(const std::shared_ptr<Watch>& watch) {
  using Descriptor = asio::posix::stream_descriptor;
  if ((watch->wanted & CURL_POLL_IN) != 0 && !watch->reading) {
    watch->reading = true;
    watch->descriptor.async_wait(Descriptor::wait_read, [weak = weak_from_this(), watch](error_code failed) {
      watch->reading = false;
      const std::shared_ptr<Loop> self = weak.lock();
      if (self && (watch->wanted & CURL_POLL_IN) != 0) self->ready(watch, failed ? CURL_CSELECT_ERR : CURL_CSELECT_IN);
    });
  }
  if ((watch->wanted & CURL_POLL_OUT) != 0 && !watch->writing) {
    watch->writing = true;
    watch->descriptor.async_wait(Descriptor::wait_write, [weak = weak_from_this(), watch](error_code failed) {
      watch->writing = false;
      const std::shared_ptr<Loop> self = weak.lock();
      if (self && (watch->wanted & CURL_POLL_OUT) != 0)
        self->ready(watch, failed ? CURL_CSELECT_ERR : CURL_CSELECT_OUT);
    });
  }
}

void AsioDriver::Loop::ready(const std::shared_ptr<Watch>& watch, int events) {
  if (!watch->descriptor.is_open()) return;  // curl has removed it
  act(watch->socket, events);
  if (watch->descriptor.is_open()) await_readiness(watch);
}

// curl changes its mind several times a request, and each change of the timer is a system call that takes longer than
// signing does. So "now" is no timer, and a timer that ends too early stays as it is.
void AsioDriver::Loop::set_timer(long milliseconds) {
  if (milliseconds < 0) {
    due_.reset();
    armed_.reset();
    timer_.cancel();
    return;
  }
  due_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  if (milliseconds > 0) return arm_timer();
  if (std::exchange(due_now_, true)) return;
  asio::post(strand_, [weak = weak_from_this()] {
    const std::shared_ptr<Loop> self = weak.lock();
    if (!self) return;
    self->due_now_ = false;
    self->on_due();
  });
}

void AsioDriver::Loop::arm_timer() {
  if (armed_ && *armed_ <= *due_) return;
  armed_ = due_;
  timer_.expires_at(*due_);
  timer_.async_wait([weak = weak_from_this()](error_code failed) {
    const std::shared_ptr<Loop> self = weak.lock();
    if (!self || failed) return;
    self->armed_.reset();
    self->on_due();
  });
}

void AsioDriver::Loop::on_due() {
  if (!due_) return;
  if (std::chrono::steady_clock::now() < *due_) return arm_timer();
  due_.reset();
  act(CURL_SOCKET_TIMEOUT, 0);
}

void AsioDriver::Loop::act(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi_.handle(), socket, events, &running);
  while (std::optional<http::Multi::Finished> finished = multi_.next_finished()) {
    static_cast<Run*>(finished->owner)->answer(finished->ask, std::move(finished->answer));
  }
}

// ---- AsioDriver ----

AsioDriver::AsioDriver(asio::any_io_executor executor, TransportOptions options, LogCallback log)
    : loop_(std::make_shared<Loop>(std::move(executor), std::move(options), std::move(log))) {}

AsioDriver::~AsioDriver() = default;

void AsioDriver::start(ExecutionBase& execution, asio::any_completion_handler<void(std::exception_ptr)> handler) {
  const asio::any_io_executor strand = loop_->strand();
  const auto executor = asio::get_associated_executor(handler, strand);
  asio::cancellation_slot slot = asio::get_associated_cancellation_slot(handler);
  const auto run = std::make_shared<Run>(loop_, execution, executor, slot, std::move(handler));
  if (slot.is_connected()) {
    slot.assign([weak = std::weak_ptr<Run>(run), strand](asio::cancellation_type) {
      if (weak.expired()) return;
      asio::post(strand, [weak] {
        if (const std::shared_ptr<Run> self = weak.lock()) self->cancel();
      });
    });
  }
  asio::post(strand, [run] { run->start(); });
}

asio::awaitable<void> AsioDriver::drive(ExecutionBase& execution) {
  // By pointer: the handler owns the awaiting coroutine, which owns the driver and the execution.
  const auto begin = [this, &execution](auto handler) { start(execution, std::move(handler)); };
  auto driven =
      asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(begin, asio::use_awaitable);
  co_await std::move(driven);
}

}  // namespace culmen::drivers
