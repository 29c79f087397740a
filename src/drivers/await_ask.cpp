#include "drivers/await_ask.hpp"

#include <atomic>
#include <exception>
#include <memory>
#include <utility>

namespace culmen::drivers {

namespace {

constexpr const char* doing = "waiting for an operation that the caller started";

/// Passes on the first result; an error if it is destroyed before there is one.
class CompletionGuard {
 public:
  explicit CompletionGuard(std::function<void(Result<void>)> report) : report_(std::move(report)) {}
  ~CompletionGuard() { complete(Error(Errc::solver_failed, doing, "it was dropped and never reported")); }
  CompletionGuard(const CompletionGuard&) = delete;
  CompletionGuard& operator=(const CompletionGuard&) = delete;

  void complete(Result<void> result) {
    if (!completed_.exchange(true)) report_(std::move(result));
  }

 private:
  std::function<void(Result<void>)> report_;
  std::atomic<bool> completed_ = false;
};

}  // namespace

void start_await(const AwaitAsk& ask, std::function<void(Result<void>)> report) {
  const auto guard = std::make_shared<CompletionGuard>(std::move(report));
  try {
    ask.start([guard](Result<void> result) { guard->complete(std::move(result)); });
  } catch (...) {
    guard->complete(error_from_exception(std::current_exception(), doing));
  }
}

}  // namespace culmen::drivers
