#include "engine/authorize.hpp"

#include <algorithm>

#include "base/name.hpp"
#include "engine/orders.hpp"
#include "engine/session.hpp"
#include "protocol/authorization.hpp"

namespace culmen::engine {

namespace {
using Step = IssueProgress::Step;

std::string name_of(const Solving& solving) { return printable(display_name(solving.authorization), 260); }

void tell(const Validation& validation, Step step, std::string subject) {
  if (validation.report) validation.report(step, std::move(subject));
}

// ---- Presenting and triggering ----

Flow<Result<void>> present(Validation& validation, Solving& solving) {
  if (validation.abandoned) co_return Result<void>();
  const std::string doing = "presenting " + solving.context.type + " for " + name_of(solving);
  std::function<Flow<Result<void>>()> make = [&solving] { return solving.solver->present(solving.context); };
  solving.presented = true;
  Result<void> presented = co_await guarded<void>(std::move(make), "");
  if (!presented) {
    validation.abandoned = true;
    co_return presented.error().while_doing(doing);
  }
  tell(validation, Step::presented, display_name(solving.authorization));
  co_return Result<void>();
}

Flow<Result<void>> wait_until_ready(ChallengeSolver& solver, std::vector<ChallengeContext> contexts) {
  const std::string doing = "waiting until the answers to " + contexts.front().type + " can be seen";
  std::function<Flow<Result<void>>()> make = [&solver, &contexts] { return solver.ready(contexts); };
  Result<void> ready = co_await guarded<void>(std::move(make), "");
  if (!ready) co_return ready.error().while_doing(doing);
  co_return ready;
}

Result<void> note_challenge(Solving& solving, const Challenge& challenge, Instant now,
                            std::optional<std::chrono::seconds> retry_after);

Result<void> prepare_response(Solving& solving) {
  Result<std::string> response = guarded_call([&solving] { return solving.solver->response(solving.context); }, "");
  if (!response) return response.error().while_doing("answering " + solving.context.type + " for " + name_of(solving));
  solving.response = std::move(*response);
  return {};
}

Flow<Result<void>> trigger(Validation& validation, Solving& solving) {
  if (validation.abandoned) co_return Result<void>();
  const Challenge& challenge = solving.context.challenge;
  const bool untouched = challenge.status == ChallengeStatus::pending || challenge.status == ChallengeStatus::unknown;
  if (!untouched) co_return Result<void>();  // triggered by an earlier run
  if (Result<void> prepared = prepare_response(solving); !prepared) {
    validation.abandoned = true;
    co_return prepared;
  }
  Result<Challenge> triggered =
      co_await trigger_challenge(validation.session, validation.account, challenge, solving.response);
  if (!triggered) {
    validation.abandoned = true;
    co_return triggered.error().while_doing("validating " + name_of(solving));
  }
  solving.triggered = true;
  tell(validation, Step::triggered, display_name(solving.authorization));
  const Instant instant = co_await now();
  co_return note_challenge(solving, *triggered, instant, std::nullopt);
}

Result<void> first_error(const std::vector<Result<void>>& outcomes) {
  for (const Result<void>& outcome : outcomes) {
    if (!outcome) return outcome;
  }
  return {};
}

// ---- Watching ----

/// The authorization is pending, but its challenge will not succeed any more.
Error without_hope(const Solving& solving, const Challenge& challenge) {
  const std::string why =
      challenge.status == ChallengeStatus::invalid
          ? "the challenge is invalid"
          : "the CA still reports an error after " + std::to_string(solving.retries) + " more attempts";
  std::vector<Problem> problems;
  if (challenge.error) problems.push_back(*challenge.error);
  for (Problem& problem : problems) {
    if (!problem.identifier) problem.identifier = solving.authorization.identifier;
  }
  return Error(Errc::authorization_invalid, "validating " + name_of(solving) + " by " + solving.context.type, why)
      .with_problems(std::move(problems));
}

Result<void> note_challenge(Solving& solving, const Challenge& challenge, Instant now,
                            std::optional<std::chrono::seconds> retry_after) {
  // RFC 8555 §8.2: a challenge that is left pending with an error may be posted again. One that is processing is not:
  // the CA is trying again by itself.
  const bool left_pending = challenge.status == ChallengeStatus::pending && challenge.error && solving.triggered;
  if (!left_pending && challenge.status != ChallengeStatus::invalid) return {};
  if (solving.retry_at) {
    // What was seen first, the reply to the challenge, does not say how long to wait.
    if (retry_after && *solving.retry_at > now.steady)
      solving.retry_at = std::max(*solving.retry_at, now.steady + *retry_after);
    return {};
  }
  if (left_pending && solving.retries < max_challenge_retries) {
    const std::chrono::milliseconds asked = retry_after.value_or(std::chrono::seconds(0));
    solving.retry_at = now.steady + std::max(challenge_retry_pause(solving.retries), asked);
    return {};
  }
  // Not at once: a poll of the order may report this together with all other problems.
  if (++solving.looks_after_last < looks_after_last_retry) return {};
  return without_hope(solving, challenge);
}

Flow<Result<void>> trigger_again(Validation& validation, Solving& solving) {
  solving.retry_at.reset();
  ++solving.retries;
  if (solving.response.empty()) {  // triggered by an earlier run
    if (Result<void> prepared = prepare_response(solving); !prepared) co_return prepared;
  }
  Result<Challenge> triggered =
      co_await trigger_challenge(validation.session, validation.account, solving.context.challenge, solving.response);
  const Instant instant = co_await now();
  if (triggered) co_return note_challenge(solving, *triggered, instant, std::nullopt);
  if (triggered.error().code() == Errc::cancelled) co_return triggered.error();
  // The CA does not take it again. What it says of the authorization decides.
  if (!is_worth_retrying(triggered.error())) solving.retries = max_challenge_retries;
  co_return Result<void>();
}

Flow<Result<void>> trigger_due(Validation& validation, Instant instant) {
  std::vector<Flow<Result<void>>> parts;
  for (Solving& solving : validation.solving) {
    if (solving.retry_at && *solving.retry_at <= instant.steady) parts.push_back(trigger_again(validation, solving));
  }
  const std::vector<Result<void>> outcomes = co_await all(std::move(parts), validation.width);
  co_return first_error(outcomes);
}

std::optional<std::chrono::steady_clock::time_point> next_retry(const Validation& validation) {
  std::optional<std::chrono::steady_clock::time_point> next;
  for (const Solving& solving : validation.solving) {
    if (solving.retry_at && (!next || *solving.retry_at < *next)) next = solving.retry_at;
  }
  return next;
}
}  // namespace

std::string display_name(const Authorization& authorization) {
  return (authorization.wildcard ? "*." : "") + authorization.identifier.value;
}

Result<void> plan(Validation& validation, Authorization authorization) {
  Solving solving(std::move(authorization));
  const Authorization& pending = solving.authorization;
  const std::string name = name_of(solving);
  for (ChallengeSolver* solver : validation.solvers) {
    const Challenge* challenge = pending.find_challenge(solver->type());
    if (!challenge) continue;
    const std::string doing = "preparing " + challenge->type + " for " + name;
    const Result<bool> can_solve =
        guarded_call([&]() -> Result<bool> { return solver->can_solve(pending.identifier, pending.wildcard); }, doing);
    if (!can_solve) return can_solve.error();
    if (!*can_solve) continue;
    const bool needs_token = challenge->type == "http-01" || challenge->type == "dns-01" ||
                             challenge->type == "tls-alpn-01" || challenge->type == "dns-account-01";
    if (needs_token && challenge->token.empty()) return Error(Errc::bad_response, doing, "the challenge has no token");
    if (!challenge->token.empty() && !base::is_token(challenge->token)) {
      return Error(Errc::bad_response, doing,
                   "the token has characters a token cannot have: " + printable(challenge->token, 80));
    }
    solving.solver = solver;
    solving.context.identifier = pending.identifier;
    solving.context.wildcard = pending.wildcard;
    solving.context.type = challenge->type;
    solving.context.token = challenge->token;
    if (!challenge->token.empty()) {
      solving.context.key_authorization = validation.account.key_authorization(challenge->token);
    }
    solving.context.challenge = *challenge;
    solving.context.account_url = validation.account.url;
    // Triggered by an earlier run: then it is only watched.
    solving.triggered = challenge->status != ChallengeStatus::pending && challenge->status != ChallengeStatus::unknown;
    validation.solving.push_back(std::move(solving));
    return {};
  }
  std::string offered;
  for (const Challenge& challenge : pending.challenges) {
    offered += (offered.empty() ? "" : ", ") + printable(challenge.type, 60);
  }
  std::string ours;
  for (const ChallengeSolver* solver : validation.solvers)
    ours += (ours.empty() ? "" : ", ") + std::string(solver->type());
  std::string why =
      "the CA offers " + (offered.empty() ? "nothing" : offered) + ", and the solvers at hand are " + ours;
  if (pending.wildcard) why += "; a wildcard can only be proven through DNS";
  return Error(Errc::not_offered, "choosing a challenge for " + name, why);
}

Flow<Result<void>> present_and_trigger(Validation& validation) {
  std::vector<Flow<Result<void>>> parts;
  for (Solving& solving : validation.solving) parts.push_back(present(validation, solving));
  std::vector<Result<void>> outcomes = co_await all(std::move(parts), validation.width);
  if (Result<void> failed = first_error(outcomes); !failed) co_return failed;

  parts.clear();
  for (std::size_t i = 0; i < validation.solvers.size(); ++i) {
    ChallengeSolver* solver = validation.solvers[i];
    const auto so_far = validation.solvers.begin() + static_cast<std::ptrdiff_t>(i);
    if (std::find(validation.solvers.begin(), so_far, solver) != so_far) continue;
    std::vector<ChallengeContext> contexts;
    for (const Solving& solving : validation.solving) {
      if (solving.solver == solver) contexts.push_back(solving.context);
    }
    if (!contexts.empty()) parts.push_back(wait_until_ready(*solver, std::move(contexts)));
  }
  outcomes = co_await all(std::move(parts));
  if (Result<void> failed = first_error(outcomes); !failed) co_return failed;

  parts.clear();
  for (Solving& solving : validation.solving) parts.push_back(trigger(validation, solving));
  outcomes = co_await all(std::move(parts), validation.width);
  co_return first_error(outcomes);
}

Flow<Result<void>> clean_up(Validation& validation) {
  std::vector<const Solving*> presented;
  std::vector<Flow<Result<void>>> parts;
  for (const Solving& solving : validation.solving) {
    if (!solving.presented) continue;
    presented.push_back(&solving);
    std::function<Flow<Result<void>>()> make = [&solving] { return solving.solver->cleanup(solving.context); };
    parts.push_back(guarded<void>(std::move(make), ""));
  }
  const std::vector<Result<void>> outcomes = co_await all(std::move(parts), validation.width);
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i]) continue;
    tell(validation, Step::cleanup_failed,
         display_name(presented[i]->authorization) + ": " + outcomes[i].error().what());
  }
  co_return Result<void>();
}

Flow<Result<void>> rest(Validation* validation, microseconds duration) {
  const Instant start = co_await now();
  const std::chrono::steady_clock::time_point end = start.steady + duration;
  // Each round posts at least one challenge again, and each challenge has a limit.
  for (;;) {
    const Instant instant = co_await now();
    const std::optional<std::chrono::steady_clock::time_point> due =
        validation ? next_retry(*validation) : std::nullopt;
    const bool retries_first = due && *due < end;
    const auto left = std::chrono::ceil<microseconds>((retries_first ? *due : end) - instant.steady);
    Result<void> waited = co_await pause_for(std::max(left, microseconds(0)));
    if (!waited || !retries_first) co_return waited;
    const Instant then = co_await now();
    if (Result<void> posted = co_await trigger_due(*validation, then); !posted) co_return posted;
  }
}

Flow<Result<void>> look(Validation& validation) {
  for (const Solving& solving : validation.solving) {
    // Seen before the last poll of the order, which had the chance to report it together with all other problems.
    if (solving.failed) co_return ended_badly(solving.authorization, "validating " + name_of(solving));
  }
  const Instant before = co_await now();
  std::vector<Flow<Result<Authorization>>> looks;
  const std::size_t count = validation.solving.size();
  std::size_t passed = 0;
  for (; passed < count && looks.size() < validation.width; ++passed) {
    const Solving& solving = validation.solving[(validation.next_look + passed) % count];
    if (solving.valid || (solving.look_after && before.steady < *solving.look_after)) continue;
    looks.push_back(get_authorization(validation.session, validation.account, solving.authorization.url));
  }
  if (count > 0) validation.next_look = (validation.next_look + passed) % count;
  const std::vector<Result<Authorization>> seen = co_await all(std::move(looks), validation.width);
  const Instant after = co_await now();
  for (const Result<Authorization>& authorization : seen) {
    if (authorization) {
      if (Result<void> noted = note(validation, *authorization, after); !noted) co_return noted;
    } else if (authorization.error().code() == Errc::cancelled) {
      co_return authorization.error();
    }
  }
  co_return Result<void>();
}

Result<void> note(Validation& validation, const Authorization& seen, Instant now) {
  const auto found = std::ranges::find_if(
      validation.solving, [&](const Solving& solving) { return solving.authorization.url == seen.url; });
  if (found == validation.solving.end()) return {};
  Solving& solving = *found;
  solving.valid = seen.status == AuthorizationStatus::valid;
  solving.failed =
      !solving.valid && seen.status != AuthorizationStatus::pending && seen.status != AuthorizationStatus::unknown;
  if (seen.retry_after) solving.look_after = now.steady + *seen.retry_after;
  if (solving.failed) solving.authorization = seen;
  if (solving.valid || solving.failed) {
    solving.retry_at.reset();
    return {};
  }
  const Challenge* challenge = seen.find_challenge(solving.context.type);
  if (!challenge) return {};
  return note_challenge(solving, *challenge, now, seen.retry_after);
}

Error ended_badly(const Authorization& authorization, std::string_view doing) {
  std::string why = "it is " + std::string(to_string(authorization.status));
  return Error(Errc::authorization_invalid, doing, why).with_problems(protocol::problems_of(authorization));
}

Error with_authorizations(const Error& timed_out, const std::vector<Authorization>& authorizations) {
  constexpr std::size_t most_named = 20;
  std::string waiting;
  std::size_t unnamed = 0;
  std::vector<Problem> problems;
  std::size_t named = 0;
  for (const Authorization& authorization : authorizations) {
    if (authorization.status == AuthorizationStatus::valid) continue;
    for (Problem& problem : protocol::problems_of(authorization)) problems.push_back(std::move(problem));
    if (named == most_named) {
      ++unnamed;
      continue;
    }
    ++named;
    waiting += (waiting.empty() ? "" : ", ") + printable(display_name(authorization), 260) + " is " +
               std::string(to_string(authorization.status));
  }
  if (waiting.empty()) return timed_out;
  if (unnamed > 0) waiting += " and " + std::to_string(unnamed) + " more";
  return Error(timed_out.code(), timed_out.doing(), timed_out.detail() + "; " + waiting)
      .with_retry_after(timed_out.retry_after())
      .with_problems(std::move(problems));
}

// ---- The verb ----

namespace {
Flow<Result<Authorization>> present_and_poll(Validation& validation, std::string url, PollOptions options) {
  Result<void> triggered = co_await present_and_trigger(validation);
  if (!triggered) co_return triggered.error();
  co_return co_await poll_authorization_with(validation.session, validation.account, std::move(url), options,
                                             &validation);
}
}  // namespace

Flow<Result<Authorization>> authorize(Session session, Account account, std::string authorization_url,
                                      std::vector<ChallengeSolver*> solvers,
                                      std::optional<std::chrono::seconds> deadline) {
  if (solvers.empty() || std::ranges::count(solvers, nullptr) > 0) {
    co_return Error(Errc::invalid_argument, "completing an authorization", "there is no solver");
  }
  const int nonce_retries = std::max(min_issue_nonce_retries, session.nonce_retries());
  Validation validation(session.with_nonce_retries(nonce_retries), std::move(account), std::move(solvers), 1);
  Result<Authorization> seen = co_await get_authorization(validation.session, validation.account, authorization_url);
  if (!seen || seen->status == AuthorizationStatus::valid) co_return seen;
  if (seen->status != AuthorizationStatus::pending) {
    co_return ended_badly(*seen, "completing the authorization of " + printable(display_name(*seen), 260));
  }
  if (Result<void> planned = plan(validation, *seen); !planned) co_return planned.error();
  const PollOptions options(deadline);
  std::function<Flow<Result<Authorization>>()> work = [&validation, &authorization_url, &options] {
    return present_and_poll(validation, authorization_url, options);
  };
  Result<Authorization> outcome = co_await guarded<Authorization>(std::move(work), "completing an authorization");
  // Runs after success, failure and cancellation alike. A failed clean-up does not undo a valid authorization.
  (void)co_await shielded(clean_up(validation));
  co_return outcome;
}

}  // namespace culmen::engine
