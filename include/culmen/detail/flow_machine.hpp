// The implementation of Flow: strands, groups, promises and awaiters. Include culmen/flow.hpp or culmen/driver.hpp
// instead.
//
// Nothing here is thread-safe: all of it belongs to one execution, and is used on the execution's thread.
//
// Frames are destroyed before the strands they run on: what a destructor in a frame does (Shield, an ask that is still
// out, a group) refers to its strand. An awaiter that owns flows declares them after what holds their strands.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "culmen/asks.hpp"
#include "culmen/result.hpp"

namespace culmen {

class ExecutionBase;
template <class T>
class Flow;

namespace detail {

/// A first-in, first-out list through members of its items: needs no memory, so that it can be used where nothing may
/// be thrown. The item's class has the members before_ and after_, and names this class as a friend.
template <class Item>
class List {
 public:
  bool empty() const noexcept { return !first_; }
  Item* first() const noexcept { return first_; }
  static Item* after(const Item& item) noexcept { return item.after_; }
  void append(Item& item) noexcept {
    item.before_ = last_;
    item.after_ = nullptr;
    (last_ ? last_->after_ : first_) = &item;
    last_ = &item;
  }
  void remove(Item& item) noexcept {
    (item.before_ ? item.before_->after_ : first_) = item.after_;
    (item.after_ ? item.after_->before_ : last_) = item.before_;
    item.before_ = item.after_ = nullptr;
  }
  Item* take_first() noexcept {
    Item* const item = first_;
    if (item) remove(*item);
    return item;
  }

 private:
  Item* first_ = nullptr;
  Item* last_ = nullptr;
};

}  // namespace detail

// ---- Strands and groups ----

class Strand;

/// Strands that were started by another one, their parent. Cancelling the parent cancels them, unless the group was
/// opened under a shield; the group itself can cancel them even so. Lives in a frame of the parent's.
class Group {
 public:
  explicit Group(Strand& parent) noexcept;
  virtual ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  /// Called by the execution when a child's flow has ended.
  virtual void child_finished(Strand& child) = 0;
  /// Cancels every child that runs.
  virtual void cancel_children() = 0;
  Strand& parent() noexcept { return parent_; }

 protected:
  /// Begins to run `flow` on the child.
  void start(Strand& child, std::coroutine_handle<> flow) noexcept;

 private:
  friend class Strand;
  friend class detail::List<Group>;
  Strand& parent_;
  const bool shielded_;
  Group* before_ = nullptr;
  Group* after_ = nullptr;
};

/// One line of control in an execution: a stack of flows, the top one with at most one unanswered ask. Must not outlive
/// the execution, nor its group.
class Strand {
 public:
  /// The execution's own.
  explicit Strand(ExecutionBase& execution) noexcept;
  /// A child in a group.
  explicit Strand(Group& group) noexcept;
  ~Strand();
  Strand(const Strand&) = delete;
  Strand& operator=(const Strand&) = delete;

  void asks(std::coroutine_handle<> leaf, Ask& ask);
  /// Forgets the ask, if it is still out: its frame is being destroyed.
  static void take_back(Ask& ask) noexcept;
  /// Answers a SignalAsk that waits.
  static void signal(SignalAsk& ask);
  static bool ends_flow(const Ask& ask) noexcept { return ask.ends_flow_; }
  /// The flow waits for a group: ready() resumes it.
  void suspend(std::coroutine_handle<> leaf) noexcept { leaf_ = leaf; }
  void ready() noexcept;
  void finished() noexcept;
  Instant now() const;
  void shield() noexcept { ++shields_; }
  void unshield() noexcept { --shields_; }
  /// Refuses every ask from now on, except under a shield; also those of its groups.
  void cancel();

 private:
  friend class ExecutionBase;
  friend class Group;
  friend class detail::List<Strand>;
  void end();
  void refuse(Ask& ask);

  ExecutionBase& execution_;
  Group* group_;  // nullptr for the root
  detail::List<Group> groups_;
  std::coroutine_handle<> leaf_;
  Ask* ask_ = nullptr;
  int shields_ = 0;
  unsigned refusals_ = 0;
  bool cancelled_ = false;
  bool finished_ = false;
  bool is_ready_ = false;
  Strand* before_ = nullptr;  // among the ready
  Strand* after_ = nullptr;
};

/// The part of `all` and `first_of` that does not depend on the result type.
class FixedGroup final : public Group {
 public:
  enum class Until { all, first };
  FixedGroup(Strand& parent, std::vector<std::coroutine_handle<>> flows, std::size_t width, Until until);
  /// The strand of each flow, in order.
  Strand& strand(std::size_t index) noexcept { return *strands_[index]; }
  void begin() noexcept;
  void child_finished(Strand& child) override;
  void cancel_children() override;
  /// Which flow ended first.
  std::size_t first() const noexcept { return first_; }

 private:
  void start_next() noexcept;
  std::vector<std::unique_ptr<Strand>> strands_;
  std::vector<std::coroutine_handle<>> flows_;
  std::size_t width_;
  Until until_;
  std::size_t next_ = 0;
  std::size_t finished_ = 0;
  std::size_t first_ = 0;
};

// ---- Promises and awaiters ----

namespace detail {

/// The part of a flow's promise that does not depend on the result type.
class FlowPromiseBase {
 public:
  std::suspend_always initial_suspend() const noexcept { return {}; }

  /// Resumes the awaiting flow, or ends the strand.
  class FinalAwaiter {
   public:
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
      FlowPromiseBase& promise = self.promise();
      if (promise.continuation) return promise.continuation;
      promise.strand->finished();
      return std::noop_coroutine();
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { exception = std::current_exception(); }

  Strand* strand = nullptr;
  std::coroutine_handle<> continuation;
  std::exception_ptr exception;
};

/// The promise of Flow<T>: holds the result or the exception that left the flow.
template <class T>
class FlowPromise final : public FlowPromiseBase {
 public:
  Flow<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() {
    if (exception) std::rethrow_exception(exception);
    return std::move(*value);
  }
  std::optional<T> value;
};

/// Hands the ask A to the driver and resumes with its answer. Holds the ask.
template <class A, class Answer>
class AskAwaiter {
 public:
  template <class... Input>
  explicit AskAwaiter(Input&&... input) : ask_(std::forward<Input>(input)...) {}
  ~AskAwaiter() { Strand::take_back(ask_); }
  AskAwaiter(const AskAwaiter&) = delete;
  AskAwaiter& operator=(const AskAwaiter&) = delete;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> self) {
    self.promise().strand->asks(self, ask_);
  }
  Answer await_resume() {
    if (Strand::ends_flow(ask_)) throw ask_.answer->error();
    return std::move(*ask_.answer);
  }

 private:
  A ask_;
};

/// Waits for Signal::set(). One flow at a time.
class Signal {
 public:
  Signal() = default;
  void set() {
    if (waiting_) Strand::signal(*std::exchange(waiting_, nullptr));
  }

  class Awaiter {
   public:
    explicit Awaiter(Signal& signal) noexcept : signal_(signal) {}
    ~Awaiter() {
      if (signal_.waiting_ == &ask_) signal_.waiting_ = nullptr;
      Strand::take_back(ask_);
    }
    Awaiter(const Awaiter&) = delete;
    Awaiter& operator=(const Awaiter&) = delete;
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> self) {
      signal_.waiting_ = &ask_;
      self.promise().strand->asks(self, ask_);
    }
    Result<void> await_resume() {
      if (Strand::ends_flow(ask_)) throw ask_.answer->error();
      return std::move(*ask_.answer);
    }

   private:
    Signal& signal_;
    SignalAsk ask_;
  };
  Awaiter operator co_await() noexcept { return Awaiter(*this); }

 private:
  SignalAsk* waiting_ = nullptr;
};

/// Finds the strand that the flow runs on, without suspending.
class StrandAwaiter {
 public:
  StrandAwaiter() = default;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    strand_ = self.promise().strand;
    return false;
  }
  Strand* await_resume() const noexcept { return strand_; }

 private:
  Strand* strand_ = nullptr;
};

/// Reads the execution's clock without suspending.
class NowAwaiter {
 public:
  NowAwaiter() = default;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) {
    now_ = self.promise().strand->now();
    return false;
  }
  Instant await_resume() const noexcept { return now_; }

 private:
  Instant now_;
};

/// Protects the strand from cancellation while it exists. Must not outlive the strand.
class Shield {
 public:
  explicit Shield(Strand* strand) noexcept : strand_(strand) { strand_->shield(); }
  ~Shield() { strand_->unshield(); }
  Shield(const Shield&) = delete;
  Shield& operator=(const Shield&) = delete;

 private:
  Strand* strand_;
};

/// Runs flows as child strands and resumes when all have ended. Owns the flows.
template <class T>
class GroupAwaiter {
 public:
  GroupAwaiter(std::vector<Flow<T>>&& flows, std::size_t width, FixedGroup::Until until)
      : flows_(std::move(flows)), width_(width), until_(until) {}
  bool await_ready() const noexcept { return flows_.empty(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> self) {
    std::vector<std::coroutine_handle<>> handles;
    handles.reserve(flows_.size());
    for (const Flow<T>& flow : flows_) handles.push_back(flow.handle());
    group_.emplace(*self.promise().strand, std::move(handles), width_, until_);
    for (std::size_t i = 0; i < flows_.size(); ++i) flows_[i].handle().promise().strand = &group_->strand(i);
    self.promise().strand->suspend(self);
    group_->begin();
  }

 protected:
  std::optional<FixedGroup> group_;  // before flows_: frames are destroyed before their strands
  std::vector<Flow<T>> flows_;

 private:
  std::size_t width_;
  FixedGroup::Until until_;
};

/// Resumes with the results of all flows.
template <class T>
class AllAwaiter final : public GroupAwaiter<T> {
 public:
  AllAwaiter(std::vector<Flow<T>>&& flows, std::size_t width)
      : GroupAwaiter<T>(std::move(flows), width, FixedGroup::Until::all) {}
  std::vector<T> await_resume() {
    std::vector<T> results;
    results.reserve(this->flows_.size());
    for (const Flow<T>& flow : this->flows_) results.push_back(flow.handle().promise().take());
    return results;
  }
};

}  // namespace detail
}  // namespace culmen
