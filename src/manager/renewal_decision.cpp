// What is remembered of a CA's suggestions, and the planner's decision in words.
#include "base/time.hpp"
#include "culmen/error.hpp"
#include "culmen/planner.hpp"
#include "manager/limits.hpp"

namespace culmen {

namespace {
using TimePoint = std::chrono::system_clock::time_point;

bool same_window(const RenewalInfo& a, const RenewalInfo& b) {
  return a.window_start == b.window_start && a.window_end == b.window_end;
}

TimePoint picked_time(const RenewalInfo& info, double random) {
  const planner::Duration width = planner::lifetime(info.window_start, info.window_end);
  return planner::bounded(info.window_start) +
         std::chrono::floor<std::chrono::seconds>(planner::part_of(width, planner::fraction(random)));
}

std::string_view in_words(planner::WindowFault fault) {
  using planner::WindowFault;
  switch (fault) {
    case WindowFault::none: return "";
    case WindowFault::after_expiry: return "it ends after the certificate does";
    case WindowFault::reversed: return "it ends before it starts";
    case WindowFault::over_lifetime: return "it is longer than the certificate's lifetime";
  }
  return "";
}

std::string reason_by_window(const planner::Due& due, const RenewalInfo& info) {
  std::string reason = "the CA suggests to renew between " + base::format_rfc3339(info.window_start) + " and " +
                       base::format_rfc3339(info.window_end);
  reason += due.emergency ? ", which means at once" : "; it is due on " + base::format_rfc3339(due.at);
  if (!info.explanation_url.empty()) reason += " (" + printable(info.explanation_url, 200) + ")";
  return reason;
}

std::string reason_by_lifetime(const planner::Due& due, const std::string& end, const RenewalState& state) {
  std::string reason =
      "it is good until " + end + ", and due by its lifetime from " + base::format_rfc3339(due.at) + " on";
  if (due.window_fault != planner::WindowFault::none) {
    reason += "; the window that the CA suggests is ignored: ";
    reason += in_words(due.window_fault);
  } else if (state.info) {
    reason += "; the CA suggested a later time, which it has not confirmed since";
  }
  return reason;
}
}  // namespace

RenewalState updated_renewal_state(RenewalState state, const std::optional<RenewalInfo>& answer, TimePoint now,
                                   double random, std::optional<planner::Duration> lifetime) {
  now = planner::bounded(now);
  if (!state.dice) state.dice = planner::fraction(random);
  if (!answer) {
    state.next_check = now + planner::retry_after_failure(lifetime);
    return state;
  }
  state.next_check = now + planner::retry_after(*answer, lifetime);
  state.answered_at = now;
  if (!state.info || !same_window(*state.info, *answer)) {
    state.chosen.reset();
    state.window_since.reset();
  }
  if (!state.chosen) state.chosen = picked_time(*answer, random);
  if (!state.window_since) state.window_since = now;
  state.info = answer;
  return state;
}

RenewalDecision decide_renewal(const Certificate& certificate, const RenewalState& state, TimePoint now,
                               std::optional<TimePoint> next_wake_up) {
  planner::CertificateFacts facts;
  facts.not_before = certificate.not_before;
  facts.not_after = certificate.not_after;
  facts.renewal = state;
  const planner::Due due = planner::due(facts, planner::Policy(), now, next_wake_up);

  RenewalDecision decision;
  decision.renew_now = due.renew_now;
  decision.renew_at = due.at;
  decision.next_check = due.next_check;
  decision.emergency = due.emergency;
  decision.window_ignored = due.window_fault != planner::WindowFault::none;
  const std::string end = base::format_rfc3339(certificate.not_after);
  if (certificate.not_after <= now) {
    decision.reason = "it expired on " + end;
  } else {
    decision.reason =
        due.rule == planner::Rule::window ? reason_by_window(due, *state.info) : reason_by_lifetime(due, end, state);
    if (due.renew_now && due.at > now) decision.reason += "; the next chance would be later";
  }
  return decision;
}

}  // namespace culmen
