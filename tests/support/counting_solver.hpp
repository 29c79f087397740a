// A solver that presents nothing, counts, and fails or throws where it is told to.
#pragma once

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "culmen/solver.hpp"

namespace culmen::test {

class CountingSolver final : public ChallengeSolver {
 public:
  enum class Step { none, can_solve, begin_present, end_present, ready, response, begin_cleanup, end_cleanup };
  enum class Trouble { fails, throws_error, throws };

  std::map<std::string, int> presented, cleaned_up;  // by token
  std::vector<std::string> events;                   // "present", "ready 2", "respond", "clean up"
  // The trouble, in the call of that step after so many that go well.
  Step step = Step::none;
  Trouble trouble = Trouble::fails;
  int after = 0;

  std::string_view type() const noexcept override { return "http-01"; }

  bool can_solve(const Identifier&, bool wildcard) const override {
    if (!happens(Step::can_solve)) return !wildcard;
    cause();
    return false;
  }

  // begin_…: thrown by the function itself, before there is a flow. end_…: in the flow.
  Flow<Result<void>> present(ChallengeContext context) override {
    ++presented[context.token];
    events.emplace_back("present");
    if (happens(Step::begin_present)) cause();
    return slowly(Step::end_present, nullptr);
  }
  Flow<Result<void>> ready(std::vector<ChallengeContext> contexts) override {
    events.push_back("ready " + std::to_string(contexts.size()));
    return slowly(Step::ready, nullptr);
  }
  Flow<Result<void>> cleanup(ChallengeContext context) override {
    events.emplace_back("clean up");
    int& count = cleaned_up[context.token];
    if (happens(Step::begin_cleanup)) {
      ++count;
      cause();
    }
    return slowly(Step::end_cleanup, &count);
  }
  Result<std::string> response(const ChallengeContext&) const override {
    const_cast<CountingSolver*>(this)->events.emplace_back("respond");
    if (happens(Step::response)) {
      cause();
      return Error(Errc::solver_failed, "responding", "scripted");
    }
    return std::string("{}");
  }

 private:
  // With something to wait for, so that other parts get their turn and a cancellation can strike here.
  Flow<Result<void>> slowly(Step which, int* count) {
    Result<void> waited = co_await wait(std::chrono::milliseconds(1));
    if (count) ++*count;
    if (!waited) co_return waited;
    if (happens(which)) {
      cause();
      co_return Error(Errc::solver_failed, "solving", "scripted");
    }
    co_return Result<void>();
  }

  bool happens(Step which) const { return which == step && calls_++ == after; }
  void cause() const {
    if (trouble == Trouble::throws_error) throw Error(Errc::io_failed, "solving", "thrown");
    if (trouble == Trouble::throws) throw std::runtime_error("thrown");
  }
  mutable int calls_ = 0;
};

}  // namespace culmen::test
