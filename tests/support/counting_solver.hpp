// A solver that presents nothing, and counts.
#pragma once

#include <map>
#include <string>

#include "culmen/solver.hpp"

namespace culmen::test {

class CountingSolver final : public ChallengeSolver {
 public:
  std::map<std::string, int> presented, cleaned_up;  // by token
  int failing = -1;                                  // the n-th call of present() fails
  bool cleanup_fails = false;

  std::string_view type() const noexcept override { return "http-01"; }
  bool can_solve(const Identifier&, bool wildcard) const override { return !wildcard; }

  Flow<Result<void>> present(ChallengeContext context) override {
    ++presented[context.token];
    // Something to wait for, so that other parts get their turn and a cancellation can strike here.
    Result<void> waited = co_await wait(std::chrono::milliseconds(1));
    if (!waited) co_return waited;
    if (failing >= 0 && failing-- == 0) co_return Error(Errc::solver_failed, "presenting", "scripted");
    co_return Result<void>();
  }
  Flow<Result<void>> cleanup(ChallengeContext context) override {
    Result<void> waited = co_await wait(std::chrono::milliseconds(1));
    ++cleaned_up[context.token];
    if (!waited) co_return waited;
    if (cleanup_fails) co_return Error(Errc::solver_failed, "cleaning up", "scripted");
    co_return Result<void>();
  }
};

}  // namespace culmen::test
