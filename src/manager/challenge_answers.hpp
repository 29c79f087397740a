// The manager's own http-01 answers, for the web server of the process, or of another one on the same storage.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "culmen/solver.hpp"
#include "manager/store.hpp"

namespace culmen::manager {

/// What is to be answered. Thread-safe.
class ChallengeAnswers {
 public:
  void add(const std::string& token, std::string answer);
  void remove(const std::string& token);
  /// Replaces those of other processes.
  void set_shared(std::map<std::string, std::string, std::less<>> shared);
  /// For the target of a GET request.
  std::optional<std::string> find(std::string_view target) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> own_, shared_;
};

/// Presents http-01 challenges there and, with `share`, in storage.
class AnswerSolver final : public ChallengeSolver {
 public:
  AnswerSolver(ChallengeAnswers& answers, Store& store, bool share) : answers_(answers), store_(store), share_(share) {}
  std::string_view type() const noexcept override { return "http-01"; }
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> ready(std::vector<ChallengeContext> contexts) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;

 private:
  ChallengeAnswers& answers_;
  Store& store_;
  const bool share_;
};

/// Reads what other processes present, whenever that changes, until it is cancelled.
Flow<Result<void>> watch_challenges(ChallengeAnswers& answers, Store& store);

}  // namespace culmen::manager
