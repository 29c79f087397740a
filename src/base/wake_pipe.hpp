// A descriptor that becomes readable when another thread or a signal handler wakes it.
#pragma once

namespace culmen::base {

/// wake() is safe in a signal handler; both functions are safe from any thread.
class WakePipe {
 public:
  /// Throws Error (io_failed).
  WakePipe();
  ~WakePipe();
  WakePipe(const WakePipe&) = delete;
  WakePipe& operator=(const WakePipe&) = delete;

  void wake() const noexcept;
  void drain() const noexcept;
  /// Readable from wake() until drain().
  int descriptor() const noexcept { return ends_[0]; }

 private:
  int ends_[2] = {-1, -1};
};

}  // namespace culmen::base
