// Cancelling blocking calls.
#pragma once

#include <memory>
#include <utility>

namespace culmen {

/// Cancels blocking calls: every call that was given the token, or a copy of it, ends with Errc::cancelled once its
/// challenges are cleaned up; so does every call that is given it later. Safe to use from any thread.
class CancelToken {
 public:
  /// A new token. Throws Error (io_failed) when this process has no descriptor left.
  CancelToken();
  /// A token that nobody can cancel: what every call is given unless the caller says otherwise.
  static CancelToken never() noexcept { return CancelToken(nullptr); }

  /// For good. Safe in a signal handler, as long as the token itself lives there.
  void cancel() const noexcept;
  bool cancelled() const noexcept;
  /// Readable from cancel() on, for a poll() of the caller's own. -1 for never().
  int descriptor() const noexcept;

 private:
  struct State;
  explicit CancelToken(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace culmen
