// The implementation of Flow: strands, promises and awaiters. Include culmen/flow.hpp or culmen/driver.hpp instead.
//
// Nothing here is thread-safe: all of it belongs to one execution, and is used on the execution's thread.
#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "culmen/asks.hpp"
#include "culmen/result.hpp"

namespace culmen {

class Strand;
class ExecutionBase;
class AllState;
template <class T>
class Flow;

// ---- Strands ----

/// One line of control in an execution: a stack of flows, the top one with at most one unanswered ask. Owned by the
/// execution, or by the AllState that started it; must not outlive the execution.
class Strand {
 public:
  Strand(ExecutionBase& execution, Strand* parent, AllState* all) noexcept;

  void asks(std::coroutine_handle<> leaf, Ask& ask);
  void finished();
  Instant now() const;
  void shield() noexcept { ++shields_; }
  void unshield() noexcept { --shields_; }
  ExecutionBase& execution() noexcept { return execution_; }

 private:
  friend class ExecutionBase;
  friend class AllState;
  ExecutionBase& execution_;
  Strand* parent_;
  AllState* all_;                // of the `all` this strand is a child of; nullptr for the root
  AllState* running_ = nullptr;  // of the `all` this strand waits for
  std::coroutine_handle<> leaf_;
  Ask* ask_ = nullptr;
  int shields_ = 0;
  bool cancel_due_ = false;
};

/// The part of `all` that does not depend on the result type: the children, and the strand that waits for them. Lives
/// in the frame of the flow that awaits `all`.
class AllState {
 public:
  void start(Strand& parent, std::coroutine_handle<> parent_handle, std::vector<std::coroutine_handle<>> children,
             std::vector<Strand**> slots, std::size_t width);
  void child_finished(Strand& child);

 private:
  friend class ExecutionBase;
  void start_next();
  Strand* parent_ = nullptr;
  std::coroutine_handle<> parent_handle_;
  std::deque<Strand> strands_;
  std::vector<std::coroutine_handle<>> children_;
  std::size_t next_ = 0;
  std::size_t finished_ = 0;
  bool start_cancelled_ = false;
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
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> self) {
    self.promise().strand->asks(self, ask_);
  }
  Answer await_resume() { return std::move(*ask_.answer); }

 private:
  A ask_;
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
  Shield(Shield&& other) noexcept : strand_(std::exchange(other.strand_, nullptr)) {}
  Shield& operator=(Shield&&) = delete;
  ~Shield() {
    if (strand_) strand_->unshield();
  }

 private:
  Strand* strand_;
};

/// Makes a Shield for the current strand without suspending.
class ShieldAwaiter {
 public:
  ShieldAwaiter() = default;
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    strand_ = self.promise().strand;
    return false;
  }
  Shield await_resume() const noexcept { return Shield(strand_); }

 private:
  Strand* strand_ = nullptr;
};

/// Runs flows as child strands and resumes with their results. Owns the flows.
template <class T>
class AllAwaiter {
 public:
  AllAwaiter(std::vector<Flow<T>>&& flows, std::size_t width) : flows_(std::move(flows)), width_(width) {}
  bool await_ready() const noexcept { return flows_.empty(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> self) {
    std::vector<std::coroutine_handle<>> children;
    std::vector<Strand**> slots;
    children.reserve(flows_.size());
    slots.reserve(flows_.size());
    for (const Flow<T>& flow : flows_) {
      children.push_back(flow.handle());
      slots.push_back(&flow.handle().promise().strand);
    }
    state_.start(*self.promise().strand, self, std::move(children), std::move(slots), width_);
  }
  std::vector<T> await_resume() {
    std::vector<T> results;
    results.reserve(flows_.size());
    for (const Flow<T>& flow : flows_) results.push_back(flow.handle().promise().take());
    return results;
  }

 private:
  std::vector<Flow<T>> flows_;
  std::size_t width_;
  AllState state_;
};

}  // namespace detail
}  // namespace culmen
