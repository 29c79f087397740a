#include "drivers/performer.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "drivers/await_ask.hpp"
#include "drivers/clock.hpp"
#include "http/curl_options.hpp"

namespace culmen::drivers {

// ---- What is under way ----

/// Where other threads leave results.
class Performer::Mailbox {
 public:
  explicit Mailbox(Reactor& reactor) : reactor_(&reactor) {}

  void post(std::uint64_t ticket, Result<void> result) {
    const std::lock_guard lock(mutex_);
    if (!reactor_) return;
    arrived_.emplace_back(ticket, std::move(result));
    if (!is_woken_) is_woken_ = reactor_->wake();
  }
  std::deque<std::pair<std::uint64_t, Result<void>>> take() {
    const std::lock_guard lock(mutex_);
    is_woken_ = false;
    return std::exchange(arrived_, {});
  }
  void close() {
    const std::lock_guard lock(mutex_);
    reactor_ = nullptr;
  }

 private:
  std::mutex mutex_;
  Reactor* reactor_;
  std::deque<std::pair<std::uint64_t, Result<void>>> arrived_;
  bool is_woken_ = false;
};

/// Marks a function that is called from outside. A flow's code may call another one inside of it.
class Performer::Entered {
 public:
  explicit Entered(Performer& performer) : performer_(performer) { ++performer_.entered_; }
  ~Entered() { --performer_.entered_; }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;

 private:
  Performer& performer_;
};

/// An ask that is not curl's.
struct Performer::Pending {
  Pending(Run& run_, Ask& ask_) : run(run_), ask(ask_) {}
  Run& run;
  Ask& ask;
  std::optional<std::multimap<SteadyTime, Pending*>::iterator> timer;
  std::uint64_t ticket = 0;            // 0: does not report through the mailbox
  std::shared_ptr<CallPool::Job> job;  // of a call, if there is a pool
  std::shared_ptr<SocketExchange> exchange;
};

// ---- Performer ----

Performer::Performer(http::Transport& transport, Reactor& reactor, CallPool* pool)
    : reactor_(reactor),
      pool_(pool),
      multi_(transport, [this](curl_socket_t socket) { reactor_.forget(socket); }),
      mailbox_(std::make_shared<Mailbox>(reactor)) {
  const auto set = [this](CURLMoption option, const char* name, auto value) {
    http::require_option(curl_multi_setopt(multi_.handle(), option, value), name);
  };
  set(CURLMOPT_SOCKETFUNCTION, "CURLMOPT_SOCKETFUNCTION", &Performer::on_curl_socket);
  set(CURLMOPT_SOCKETDATA, "CURLMOPT_SOCKETDATA", this);
  set(CURLMOPT_TIMERFUNCTION, "CURLMOPT_TIMERFUNCTION", &Performer::on_curl_timer);
  set(CURLMOPT_TIMERDATA, "CURLMOPT_TIMERDATA", this);
}

Performer::~Performer() { mailbox_->close(); }

void Performer::on_ready(int descriptor, int events) {
  const Entered entered(*this);
  const auto found = exchanges_.find(descriptor);
  if (found != exchanges_.end()) {
    advance_exchange(*found->second);
  } else {
    const int mask = ((events & readable) != 0 ? CURL_CSELECT_IN : 0) |
                     ((events & writable) != 0 ? CURL_CSELECT_OUT : 0) |
                     ((events & failed) != 0 ? CURL_CSELECT_ERR : 0);
    curl_action(descriptor, mask);
  }
  settle();
}

void Performer::on_due() {
  const Entered entered(*this);
  due_.reset();
  const SteadyTime now = std::chrono::steady_clock::now();
  // A flow that waits again for no time at all comes next time.
  for (std::size_t left = timers_.size(); left > 0 && !timers_.empty() && timers_.begin()->first <= now; --left) {
    Pending& pending = *timers_.begin()->second;
    Run& run = pending.run;
    Ask& ask = pending.ask;
    std::optional<Error> late;
    if (pending.exchange) late = pending.exchange->late();
    drop(run, ask);
    if (late) {
      run.answer(static_cast<ExchangeAsk&>(ask), Result<Bytes>(std::move(*late)));
    } else {
      run.answer(static_cast<WaitAsk&>(ask), Result<void>());
    }
  }
  settle();
}

void Performer::on_wake() {
  const Entered entered(*this);
  for (auto& [ticket, result] : mailbox_->take()) {
    const auto found = tickets_.find(ticket);
    if (found == tickets_.end()) continue;  // withdrawn
    Run& run = found->second->run;
    Ask& ask = found->second->ask;
    drop(run, ask);
    if (ask.kind() == Ask::Kind::call) {
      run.answer(static_cast<CallAsk&>(ask), std::move(result));
    } else {
      run.answer(static_cast<AwaitAsk&>(ask), std::move(result));
    }
  }
  settle();
}

bool Performer::make_call() {
  if (!has_calls()) return false;
  const Entered entered(*this);
  Pending& pending = storing_calls_.empty() ? *calls_.front() : *storing_calls_.front();
  Run& run = pending.run;
  auto& ask = static_cast<CallAsk&>(pending.ask);
  drop(run, ask);
  run.answer(ask, call_function(ask));
  settle();
  return true;
}

Performer::Pending& Performer::add(Run& run, Ask& ask) {
  return *run.pending_.emplace(&ask, std::make_unique<Pending>(run, ask)).first->second;
}

/// What cannot begin, for want of a thread or a descriptor, is an answer: the flow has to clean up.
void Performer::begin(Run& run, Ask& ask) {
  try {
    begin_kind(run, ask);
  } catch (...) {
    const Error why = error_from_exception(std::current_exception(), "");
    drop(run, ask);
    switch (ask.kind()) {
      case Ask::Kind::send: run.execution_->answer(static_cast<SendAsk&>(ask), why); break;
      case Ask::Kind::wait: run.execution_->answer(static_cast<WaitAsk&>(ask), why); break;
      case Ask::Kind::call: run.execution_->answer(static_cast<CallAsk&>(ask), why); break;
      case Ask::Kind::await: run.execution_->answer(static_cast<AwaitAsk&>(ask), why); break;
      case Ask::Kind::exchange: run.execution_->answer(static_cast<ExchangeAsk&>(ask), why); break;
      case Ask::Kind::signal: break;  // never handed out
    }
  }
}

void Performer::begin_kind(Run& run, Ask& ask) {
  switch (ask.kind()) {
    case Ask::Kind::send: {
      auto& send = static_cast<SendAsk&>(ask);
      if (std::optional<Error> refused = multi_.start(send, &run)) run.execution_->answer(send, *refused);
      break;
    }
    case Ask::Kind::wait: begin_wait(run, static_cast<WaitAsk&>(ask)); break;
    case Ask::Kind::call: begin_call(run, static_cast<CallAsk&>(ask)); break;
    case Ask::Kind::await: begin_await(run, static_cast<AwaitAsk&>(ask)); break;
    case Ask::Kind::exchange: begin_exchange(run, static_cast<ExchangeAsk&>(ask)); break;
    case Ask::Kind::signal: break;  // never handed out
  }
}

void Performer::begin_wait(Run& run, WaitAsk& ask) {
  Pending& pending = add(run, ask);
  const auto duration = std::clamp<std::chrono::microseconds>(ask.duration, std::chrono::microseconds(0), longest_wait);
  pending.timer = timers_.emplace(std::chrono::steady_clock::now() + duration, &pending);
}

void Performer::begin_call(Run& run, CallAsk& ask) {
  Pending& pending = add(run, ask);
  if (!pool_) {
    (ask.purpose == CallAsk::Purpose::storing ? storing_calls_ : calls_).push_back(&pending);
    return;
  }
  pending.ticket = ++last_ticket_;
  tickets_.emplace(pending.ticket, &pending);
  // The function is the job's from here on: it may outlive the ask.
  pending.job = pool_->post(
      ask.purpose, [mailbox = mailbox_, ticket = pending.ticket, function = std::move(ask.function)]() mutable {
        Result<void> result = guarded_call(function, "");
        function = nullptr;
        mailbox->post(ticket, std::move(result));
      });
}

void Performer::begin_await(Run& run, AwaitAsk& ask) {
  Pending& pending = add(run, ask);
  pending.ticket = ++last_ticket_;
  tickets_.emplace(pending.ticket, &pending);
  start_await(ask, [mailbox = mailbox_, ticket = pending.ticket](Result<void> result) {
    mailbox->post(ticket, std::move(result));
  });
}

void Performer::begin_exchange(Run& run, ExchangeAsk& ask) {
  Pending& pending = add(run, ask);
  pending.exchange = std::make_shared<SocketExchange>(ask.request);
  if (std::optional<Result<Bytes>> outcome = pending.exchange->begin()) {
    drop(run, ask);
    run.execution_->answer(ask, std::move(*outcome));
    return;
  }
  exchanges_.emplace(pending.exchange->descriptor(), &pending);
  const auto limit =
      std::clamp<std::chrono::milliseconds>(ask.request.time_limit, std::chrono::milliseconds(0), longest_wait);
  pending.timer = timers_.emplace(std::chrono::steady_clock::now() + limit, &pending);
  reactor_.watch(pending.exchange->descriptor(), pending.exchange->wanted());
}

void Performer::advance_exchange(Pending& pending) {
  Run& run = pending.run;
  auto& ask = static_cast<ExchangeAsk&>(pending.ask);
  // `accepts` is the user's, and may cancel flows of its execution: this one, whose exchange is dropped then, and
  // others.
  const std::shared_ptr<SocketExchange> exchange = pending.exchange;
  std::optional<Result<Bytes>> outcome = exchange->advance();
  if (!exchanges_.contains(exchange->descriptor())) return run.advance();
  if (outcome) {
    drop(run, ask);
    return run.answer(ask, std::move(*outcome));
  }
  reactor_.watch(exchange->descriptor(), exchange->wanted());
  run.advance();
}

bool Performer::withdraw(Run& run, Ask& ask) noexcept {
  if (ask.kind() == Ask::Kind::call && pool_) {
    const auto found = run.pending_.find(&ask);
    if (found != run.pending_.end() && !pool_->withdraw(found->second->job)) return false;
  }
  drop(run, ask);
  return true;
}

void Performer::drop(Run& run, Ask& ask) noexcept {
  if (ask.kind() == Ask::Kind::send) {
    multi_.withdraw(static_cast<SendAsk&>(ask));
    return;
  }
  const auto found = run.pending_.find(&ask);
  if (found == run.pending_.end()) return;
  Pending& pending = *found->second;
  if (pending.timer) timers_.erase(*pending.timer);
  if (pending.ticket != 0) tickets_.erase(pending.ticket);
  if (pending.job) (void)pool_->withdraw(pending.job);
  if (pending.exchange && pending.exchange->descriptor() >= 0) {
    exchanges_.erase(pending.exchange->descriptor());
    reactor_.forget(pending.exchange->descriptor());
  }
  if (ask.kind() == Ask::Kind::call && !pool_) {
    std::erase(storing_calls_, &pending);
    std::erase(calls_, &pending);
  }
  run.pending_.erase(found);
}

// ---- curl ----

int Performer::on_curl_socket(CURL*, curl_socket_t socket, int what, void* self, void*) {
  auto& performer = *static_cast<Performer*>(self);
  try {
    switch (what) {
      case CURL_POLL_IN: performer.reactor_.watch(socket, readable); break;
      case CURL_POLL_OUT: performer.reactor_.watch(socket, writable); break;
      case CURL_POLL_INOUT: performer.reactor_.watch(socket, readable | writable); break;
      default:  // connections stay known until they are closed: curl comes back to them with the next request
        if (performer.multi_.is_connection(socket)) {
          performer.reactor_.watch(socket, 0);
        } else {
          performer.reactor_.forget(socket);
        }
        break;
    }
    return 0;
  } catch (...) {
    return -1;  // curl gives up what it was doing
  }
}

int Performer::on_curl_timer(CURLM*, long milliseconds, void* self) {
  auto& performer = *static_cast<Performer*>(self);
  if (milliseconds < 0) {
    performer.curl_due_.reset();
  } else {
    performer.curl_due_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  }
  return 0;
}

void Performer::curl_action(curl_socket_t socket, int events) {
  int running = 0;
  curl_multi_socket_action(multi_.handle(), socket, events, &running);
  deliver_sends();
}

void Performer::deliver_sends() {
  while (std::optional<http::Multi::Finished> finished = multi_.next_finished()) {
    static_cast<Run*>(finished->owner)->answer(finished->ask, std::move(finished->answer));
  }
}

void Performer::settle() {
  // curl does much of its work in calls that it wants at once. Each way through the event loop would cost system calls.
  constexpr int most_calls = 16;
  if (entered_ > 1) return;
  const auto cancel = [this] {
    while (!to_cancel_.empty()) {
      Run& run = *to_cancel_.back();
      to_cancel_.pop_back();
      run.execution_->cancel();
      run.advance();
    }
  };
  cancel();
  if (multi_.has_failed()) deliver_sends();
  for (int i = 0; i < most_calls && curl_due_ && *curl_due_ <= std::chrono::steady_clock::now(); ++i) {
    curl_due_.reset();
    curl_action(CURL_SOCKET_TIMEOUT, 0);
    cancel();
  }
  update_due();
}

void Performer::update_due() {
  std::optional<SteadyTime> due = curl_due_;
  if (!timers_.empty() && (!due || timers_.begin()->first < *due)) due = timers_.begin()->first;
  if (due == due_) return;
  due_ = due;
  reactor_.set_due(due);
}

// ---- Run ----

Performer::Run::Run(Performer& performer, ExecutionBase& execution, std::function<void(std::exception_ptr)> finished)
    : performer_(performer), execution_(&execution), finished_(std::move(finished)) {
  execution.set_performer(this);
}

Performer::Run::~Run() { detach(); }

void Performer::Run::start() {
  const Entered entered(performer_);
  advance();
  performer_.settle();
}

void Performer::Run::cancel() {
  if (!execution_ || std::exchange(cancelled_, true)) return;
  const Entered entered(performer_);
  performer_.to_cancel_.push_back(this);
  performer_.settle();
}

template <class A, class Answer>
void Performer::Run::answer(A& ask, Answer answer) {
  execution_->answer(ask, std::move(answer));
  advance();
}

void Performer::Run::advance() {
  std::exception_ptr thrown;
  try {
    while (Ask* ask = execution_->next()) performer_.begin(*this, *ask);
    if (!execution_->done()) return;
  } catch (...) {
    thrown = std::current_exception();
  }
  detach();
  finished_(thrown);
}

/// Asks are left not only when it ends early: children of a nursery may outlive the flow that opened it.
void Performer::Run::detach() noexcept {
  if (!execution_) return;
  execution_->set_performer(nullptr);
  execution_ = nullptr;
  std::erase(performer_.to_cancel_, this);
  performer_.multi_.withdraw_all(this);
  while (!pending_.empty()) performer_.drop(*this, pending_.begin()->second->ask);
}

}  // namespace culmen::drivers
