#include "culmen/cancel_token.hpp"

#include <atomic>

#include "base/wake_pipe.hpp"

namespace culmen {

struct CancelToken::State {
  State() = default;
  std::atomic<bool> cancelled = false;
  base::WakePipe pipe;
};
static_assert(std::atomic<bool>::is_always_lock_free);  // for signal handlers

CancelToken::CancelToken() : state_(std::make_shared<State>()) {}

void CancelToken::cancel() const noexcept {
  if (state_ && !state_->cancelled.exchange(true)) state_->pipe.wake();
}

bool CancelToken::cancelled() const noexcept { return state_ && state_->cancelled.load(); }

int CancelToken::descriptor() const noexcept { return state_ ? state_->pipe.descriptor() : -1; }

}  // namespace culmen
