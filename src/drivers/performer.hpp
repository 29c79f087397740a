// Performs the asks of executions, on any event loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "culmen/driver.hpp"
#include "drivers/call_pool.hpp"
#include "drivers/reactor.hpp"
#include "drivers/socket_exchange.hpp"
#include "http/multi.hpp"
#include "http/transport.hpp"

namespace culmen::drivers {

/// The part of a driver that does not depend on the event loop. All on one thread or strand, which is the Reactor's.
class Performer {
 public:
  class Run;

  /// `pool`: where calls run; nullptr: make_call() makes them. Transport and reactor must outlive it.
  Performer(http::Transport& transport, Reactor& reactor, CallPool* pool);
  ~Performer();
  Performer(const Performer&) = delete;
  Performer& operator=(const Performer&) = delete;

  // Called by the reactor:
  void on_ready(int descriptor, int events);
  void on_due();
  void on_wake();

  /// Makes one of the calls that wait, on this thread; false: none waits. Only without a pool.
  bool make_call();
  bool has_calls() const noexcept { return !storing_calls_.empty() || !calls_.empty(); }

 private:
  class Mailbox;
  class Entered;
  struct Pending;

  void begin(Run& run, Ask& ask);
  void begin_wait(Run& run, WaitAsk& ask);
  void begin_call(Run& run, CallAsk& ask);
  void begin_await(Run& run, AwaitAsk& ask);
  void begin_exchange(Run& run, ExchangeAsk& ask);
  void begin_kind(Run& run, Ask& ask);
  void drop(Run& run, Ask& ask) noexcept;
  bool withdraw(Run& run, Ask& ask) noexcept;

  void advance_exchange(Pending& pending);
  void deliver_sends();
  void curl_action(curl_socket_t socket, int events);
  void update_due();
  /// The end of each function that is called from outside: does what curl wants to do at once, cancels what was
  /// cancelled meanwhile, and tells the reactor when the next thing is due.
  void settle();
  Pending& add(Run& run, Ask& ask);

  static int on_curl_socket(CURL*, curl_socket_t socket, int what, void* self, void*);
  static int on_curl_timer(CURLM*, long milliseconds, void* self);

  Reactor& reactor_;
  CallPool* pool_;
  http::Multi multi_;
  std::shared_ptr<Mailbox> mailbox_;
  std::unordered_map<std::uint64_t, Pending*> tickets_;  // of those that report through the mailbox
  std::unordered_map<int, Pending*> exchanges_;          // by descriptor
  std::multimap<SteadyTime, Pending*> timers_;
  std::deque<Pending*> storing_calls_;  // without a pool: not begun
  std::deque<Pending*> calls_;
  std::uint64_t last_ticket_ = 0;
  std::optional<SteadyTime> curl_due_;
  std::optional<SteadyTime> due_;  // as last told to the reactor
  int entered_ = 0;                // how many functions called from outside are on the stack
  std::vector<Run*> to_cancel_;    // by settle()
};

/// One execution that is being performed. On the performer's thread. Must not outlive the performer, nor the execution
/// while that is not done.
class Performer::Run final : public AskPerformer {
 public:
  /// `finished` is called once, when the execution is done, or with an exception of the event loop's; it may be called
  /// inside start() and cancel(), and must not destroy the run.
  Run(Performer& performer, ExecutionBase& execution, std::function<void(std::exception_ptr)> finished);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void start();
  /// From inside a function that the performer or a flow calls, it takes effect when that has returned.
  void cancel();

  bool withdraw(Ask& ask) noexcept override { return performer_.withdraw(*this, ask); }
  void abandon(Ask& ask) noexcept override { performer_.drop(*this, ask); }

 private:
  friend class Performer;
  template <class A, class Answer>
  void answer(A& ask, Answer answer);
  void advance();
  void detach() noexcept;

  Performer& performer_;
  ExecutionBase* execution_;  // nullptr: finished
  std::function<void(std::exception_ptr)> finished_;
  std::unordered_map<const Ask*, std::unique_ptr<Pending>> pending_;  // but for curl's
  bool cancelled_ = false;
};

}  // namespace culmen::drivers
