// Completing pending authorizations: present, wait until the answers can be seen, trigger, watch, clean up. The base of
// authorize() and issue().
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "culmen/engine.hpp"
#include "engine/retry.hpp"

namespace culmen::engine {

/// A pending authorization, and what has become of its challenge.
struct Solving {
  explicit Solving(Authorization authorization_) : authorization(std::move(authorization_)) {}
  Authorization authorization;
  ChallengeSolver* solver = nullptr;
  ChallengeContext context;
  std::string response;    ///< What is posted to the challenge.
  bool presented = false;  ///< present() was started: cleanup() must be called.
  bool triggered = false;
  bool valid = false;
  bool failed = false;  ///< Seen in a final state other than valid.

  // The challenge is pending with an error (RFC 8555 §8.2).
  int retries = 0;
  int looks_after_last = 0;
  std::optional<std::chrono::steady_clock::time_point> retry_at;
  std::optional<std::chrono::steady_clock::time_point> look_after;  ///< Retry-After.
};

/// State shared by all parts of one validation. Lives in the frame of the flow that validates, which outlives the
/// parts.
struct Validation {
  Validation(Session session_, Account account_, std::vector<ChallengeSolver*> solvers_, std::size_t width_)
      : session(std::move(session_)), account(std::move(account_)), solvers(std::move(solvers_)), width(width_) {}

  Session session;
  Account account;
  std::vector<ChallengeSolver*> solvers;
  std::size_t width;
  std::function<void(IssueProgress::Step, std::string)> report;  ///< Must not throw.
  std::vector<Solving> solving;
  std::size_t next_look = 0;
  bool abandoned = false;  ///< One part failed: the others start nothing new.
};

/// "*.example.com" for a wildcard.
std::string display_name(const Authorization& authorization);

/// Adds an authorization with the first solver that can solve it; not_offered if there is none.
Result<void> plan(Validation& validation, Authorization authorization);
/// Presents all challenges, waits for each solver's ready(), and triggers all challenges.
Flow<Result<void>> present_and_trigger(Validation& validation);
/// Calls cleanup() for everything that was presented, and reports failures. Shield it.
Flow<Result<void>> clean_up(Validation& validation);

/// Waits. Meanwhile posts those challenges again that the CA left pending with an error, when they are due.
/// `validation` may be null.
Flow<Result<void>> rest(Validation* validation, microseconds duration);
/// Looks at some of the authorizations that are not valid yet, and at others the next time.
Flow<Result<void>> look(Validation& validation);
/// Takes note of how an authorization was seen. An error if it cannot become valid any more.
Result<void> note(Validation& validation, const Authorization& seen, Instant now);

/// The error for an authorization in a final state other than valid.
Error ended_badly(const Authorization& authorization, std::string_view doing);
/// A time-out with the name, status and errors of each of these that is not valid.
Error with_authorizations(const Error& timed_out, const std::vector<Authorization>& authorizations);

}  // namespace culmen::engine
