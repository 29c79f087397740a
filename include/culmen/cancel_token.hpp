// Cancelling blocking calls.
#pragma once

#include <memory>
#include <utility>

namespace culmen {

/// Cancels blocking calls: every call that has the token or a copy of it ends with Errc::cancelled once its challenges
/// are cleaned up. Cancellation is permanent: later calls with the token are cancelled too. Copies share their state.
/// Thread-safe.
class CancelToken {
 public:
  /// A new token. Throws Error (io_failed) if the process has no file descriptors left.
  CancelToken();
  /// A token that is never cancelled: the default of every call.
  static CancelToken never() noexcept { return CancelToken(nullptr); }

  /// Safe in a signal handler, as long as this token is not destroyed meanwhile.
  void cancel() const noexcept;
  bool cancelled() const noexcept;
  /// A descriptor that becomes readable on cancel(), for the caller's own poll(); do not read from it. Valid as long as
  /// a copy of the token exists. -1 for never().
  int descriptor() const noexcept;

 private:
  struct State;
  explicit CancelToken(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace culmen
