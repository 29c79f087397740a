// A group of flows that grows while it runs.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "culmen/flow.hpp"

namespace culmen {

/// Runs flows beside the flow that opened it:
///
///     Nursery nursery = co_await open_nursery();
///     nursery.spawn(serve(first));
///     …
///     Result<void> served = co_await nursery.join();
///
/// Cancelling the flow that opened it cancels the children too, unless it was opened under shielded(). Keep it in a
/// variable of that flow. Its destructor drops children that still run, clean-up included: join() first. Not
/// thread-safe: to be used by flows of its execution only.
class Nursery {
 public:
  using Id = std::size_t;
  /// A child that has ended. A plain value.
  struct Ended {
    Ended(Id id_, Result<void> result_) : id(id_), result(std::move(result_)) {}
    Id id;
    Result<void> result;  ///< What the child threw is an error here, as error_from_exception() makes it.
  };

  explicit Nursery(Strand* strand);
  Nursery(Nursery&&) noexcept;
  Nursery& operator=(Nursery&&) noexcept;
  ~Nursery();

  /// Starts a child. It begins to run when the calling flow next waits.
  Id spawn(Flow<Result<void>> flow);
  /// Cancels one child; an Id that has ended is ignored. It still has to be waited for, and ends with Errc::cancelled
  /// like any other child that fails.
  void cancel(Id id);
  void cancel_all();
  /// The number of children that were started and that neither next() nor join() has returned.
  std::size_t size() const noexcept;

  /// Waits until a child ends. Returns the children in the order in which they end; nullopt if none is left.
  /// The answer is an error only on cancellation. One flow at a time. Must not outlive the nursery.
  Flow<Result<std::optional<Ended>>> next();
  /// Waits until all children have ended, also when the waiting flow is cancelled. Returns the first error, in the
  /// order in which they end, of the children that next() has not returned; that of a child cancelled with cancel()
  /// counts. Must not outlive the nursery.
  Flow<Result<void>> join();

 private:
  class State;
  static Flow<Result<std::optional<Ended>>> next_of(State* state);
  static Flow<Result<void>> join_all(State* state);
  std::unique_ptr<State> state_;
};

namespace detail {
class NurseryAwaiter : public StrandAwaiter {
 public:
  Nursery await_resume() const { return Nursery(StrandAwaiter::await_resume()); }
};
}  // namespace detail

/// Opens a nursery of the calling flow. Never waits.
inline detail::NurseryAwaiter open_nursery() { return {}; }

}  // namespace culmen
