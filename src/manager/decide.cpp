// What to do next about a certificate. docs/manager.md has the rules in words.
#include <algorithm>
#include <limits>

#include "base/time.hpp"
#include "culmen/planner.hpp"
#include "manager/limits.hpp"

namespace culmen::planner {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Duration longest_sleep = hours(24);
constexpr seconds longest_retry_after = hours(7 * 24);
constexpr unsigned failures_that_close = 5;
constexpr seconds longest_closing = minutes(30);
constexpr seconds longest_back_off = hours(24 * 366);
/// The limit of back-off for a certificate that has expired, or is about to.
constexpr Duration limit_at_the_end = minutes(10);

/// So that nothing spins, whatever the lifetime.
Duration at_least_a_moment(Duration pause) { return std::max<Duration>(pause, seconds(1)); }

/// A pause of ours, for a certificate with that lifetime.
Duration own_pause(Duration usual, std::optional<Duration> life) {
  return at_least_a_moment(at_most_a_twentieth(usual, life));
}

std::string at_time(Time time) { return base::format_rfc3339(time); }

unsigned one_more(unsigned count) { return count == std::numeric_limits<unsigned>::max() ? count : count + 1; }

// ---- The certificate ----

/// Whether and since when it is due, before anybody is asked who could issue it.
struct Outlook {
  bool is_due = true;
  bool emergency = false;
  bool early = false;
  bool left_out = false;
  bool late = false;
  bool any_ca = true;  ///< CAs after the first may be used.
  std::optional<Duration> life, left;
  Time due_at, not_after;
  Time next_check;
  Duration rest = minutes(1);  ///< The pause after a success.
  std::string why;
};

Outlook outlook_of(const Situation& situation, const Policy& policy, Time now) {
  Outlook outlook;
  outlook.due_at = outlook.not_after = outlook.next_check = now;
  if (!situation.live) {
    outlook.why = "it was never issued";
    return outlook;
  }
  CertificateFacts facts = *situation.live;
  if (!situation.offers_renewal_info) facts.renewal.info.reset();
  facts.renewal.dice = situation.dice;  // stays the same when the CA is asked for the first time
  const Due due = planner::due(facts, policy, now, std::nullopt, situation.renew_before);

  outlook.life = lifetime(facts.not_before, facts.not_after);
  outlook.not_after = bounded(facts.not_after);
  outlook.left = outlook.not_after - now;
  outlook.next_check = due.next_check;
  const bool is_incomplete = situation.left_out_again && bounded(*situation.left_out_again) <= now;
  outlook.is_due = due.renew_now || situation.outdated || situation.emergency || is_incomplete;
  outlook.emergency = due.emergency || situation.emergency;
  outlook.due_at = due.at;
  const bool expired = now >= outlook.not_after;
  bool due_anyway = due.renew_now || situation.outdated || expired;
  if (due.emergency) {  // it is due now, but late is what the rule by lifetime calls so
    facts.renewal.info.reset();
    const Due by_lifetime = planner::due(facts, policy, now, std::nullopt, situation.renew_before);
    outlook.due_at = std::min(due.at, by_lifetime.at);
    due_anyway = by_lifetime.renew_now || situation.outdated || expired;
  }
  outlook.early = outlook.emergency && !due_anyway;
  const Duration span = outlook.not_after - outlook.due_at;
  outlook.late = expired || (due.renew_now && *outlook.left < span / 2);
  outlook.any_ca = expired || outlook.emergency || situation.outdated ||
                   *outlook.left < part_of(span, fraction(policy.fall_back_at));

  outlook.left_out = is_incomplete && !outlook.emergency && !due_anyway;

  if (situation.emergency) {
    outlook.why = "it has to be replaced at once";
    outlook.rest = Duration::zero();
  } else if (expired) {
    outlook.why = "it expired on " + at_time(outlook.not_after);
    outlook.rest = hours(24);
  } else if (situation.outdated) {
    outlook.why = "what is wanted has changed";
  } else if (due.emergency) {
    outlook.why = "the CA wants it replaced at once";
    outlook.rest = hours(1);
  } else if (outlook.left_out) {
    // Each try puts the next one off.
    outlook.why = "names that the CA refused are tried again";
    outlook.rest = Duration::zero();
  } else {
    outlook.why = (due.renew_now ? "it has been due since " : "it is due on ") + at_time(due.at);
    if (due.rule == Rule::window) outlook.why += ", in the window that the CA suggests";
    outlook.rest = hours(24);
  }
  return outlook;
}

// ---- Pauses ----

Duration closing_after(unsigned failures) {
  if (failures < failures_that_close) return Duration::zero();
  return std::min<seconds>(minutes(std::min(failures - failures_that_close + 1, 30u)), longest_closing);
}

/// When something may be sent again to a CA that was closed; in the past if it may be now. nullopt: it is open.
std::optional<Time> end_of_closing(const CaHealth& health, std::optional<Duration> life, Time now) {
  if (!health.closed_until) return std::nullopt;
  // It is closed for less long to a certificate that cannot wait as long.
  const Duration closing = closing_after(health.failures_in_a_row);
  const Time end = bounded(*health.closed_until) - closing + at_most_a_twentieth(closing, life);
  return end - now > longest_sleep ? now : end;  // so far ahead: the clock was set back
}

/// The end of a pause after `last_at`; `now` if that is further ahead than the pause is long: it comes from a wrong
/// clock.
Time end_of_pause(std::optional<Time> last_at, Duration pause, Time now) {
  if (!last_at || bounded(*last_at) - now > pause) return now;
  return bounded(*last_at) + pause;
}

/// How long a CA's Retry-After is obeyed: a mistake of the CA must not block a certificate forever.
Duration longest_obeyed(std::optional<Duration> life) {
  if (!life) return longest_retry_after;
  return std::clamp<Duration>(*life / 6, hours(24), longest_retry_after);
}

Time end_of_back_off(const Attempts& attempts, const Policy& policy, double dice, const Outlook& outlook, Time now) {
  const std::optional<Duration> left = outlook.emergency ? Duration::zero() : outlook.left;
  Time end = end_of_pause(attempts.last_at, back_off(attempts, policy, dice, outlook.life, left), now);
  if (attempts.not_before) {
    const Time asked = bounded(*attempts.not_before);
    const Duration longest = longest_obeyed(outlook.life);
    const Time obeyed = attempts.last_at ? end_of_pause(attempts.last_at, longest, now) : now + longest;
    if (attempts.last_at || asked <= obeyed) end = std::max(end, std::min(asked, obeyed));
  }
  return end;
}

/// The end of the pause after a success. A certificate can be due as soon as it is issued, by a wrong clock or a
/// mistake of the CA; it must not be ordered over and over.
Time end_of_rest(const Situation& situation, const Outlook& outlook, Time now) {
  Time end = now;
  if (outlook.rest == Duration::zero()) return end;
  const Duration rest = own_pause(outlook.rest, outlook.life);
  for (const auto& each : situation.attempts) {
    const Attempts& attempts = each.second;
    if (attempts.last == Failure::none && attempts.in_a_row == 0)
      end = std::max(end, end_of_pause(attempts.last_at, rest, now));
  }
  return end;
}

// ---- The CAs ----

/// When a CA can be asked for a certificate, and what is in the way until then.
struct Opening {
  Time at;
  bool probe = false;
  std::string obstacle;
};

/// Finds out more about one certificate at one time: all arguments of decide().
struct Chooser {
  const Situation& situation;
  const std::map<std::string, CaHealth>& cas;
  const Policy& policy;
  const Outlook& outlook;
  double dice;
  Time now;

  std::optional<Time> closed_until(const std::string& ca) const {
    const auto known = cas.find(ca);
    return known == cas.end() ? std::nullopt : end_of_closing(known->second, outlook.life, now);
  }

  Opening opening(const std::string& ca) const {
    Opening opening;
    opening.at = now;
    if (const std::optional<Time> open_at = closed_until(ca)) {
      opening.probe = true;
      if (*open_at > now) {
        opening.at = *open_at;
        opening.obstacle = "the CA does not respond";
      } else if (cas.at(ca).probing) {
        opening.at = now + at_least_a_moment(part_of(own_pause(minutes(1), outlook.life), 0.5 + dice));
        opening.obstacle = "another order finds out whether the CA responds again";
      }
    }
    if (const auto tried = situation.attempts.find(ca); tried != situation.attempts.end()) {
      const Time end = end_of_back_off(tried->second, policy, dice, outlook, now);
      if (end > opening.at) {
        opening.at = end;
        opening.obstacle = "after " + std::to_string(tried->second.in_a_row) +
                           (tried->second.in_a_row == 1 ? " failure (" : " failures in a row (the last one: ") +
                           std::string(to_string(tried->second.last)) + ")";
      }
    }
    if (const auto limited = situation.allowed_at.find(ca); limited != situation.allowed_at.end()) {
      if (const Time allowed = bounded(limited->second); allowed > opening.at) {
        opening.at = allowed;
        opening.obstacle = "the CA's limits are used up";
      }
    }
    return opening;
  }
};

/// When to look at a certificate again that is due and cannot be issued now: also when that becomes an alarm.
Time wake_up_while_blocked(const Chooser& chooser, Time soonest) {
  const Outlook& outlook = chooser.outlook;
  Time wake_at = std::min(soonest, chooser.now + longest_sleep);
  if (!outlook.life) return wake_at;
  const Duration span = outlook.not_after - outlook.due_at;
  const Duration fall_back = part_of(span, fraction(chooser.policy.fall_back_at));
  constexpr Duration right_after(1);
  for (const Time change :
       {outlook.not_after, outlook.not_after - span / 2 + right_after, outlook.not_after - fall_back + right_after}) {
    if (change > chooser.now) wake_at = std::min(wake_at, change);
  }
  return wake_at;
}

void issue_or_wait(const Chooser& chooser, Action& action) {
  const Situation& situation = chooser.situation;
  const Outlook& outlook = chooser.outlook;
  if (situation.cas.empty()) {
    action.reason = outlook.why + ", and there is no CA to ask";
    return;
  }
  if (const Time end = end_of_rest(situation, outlook, chooser.now); end > chooser.now) {
    action.not_before = end;
    action.wake_at = wake_up_while_blocked(chooser, end);
    action.reason = outlook.why + "; not before " + at_time(end) + ", because a certificate was issued just now";
    return;
  }
  Opening soonest;
  std::string soonest_ca;
  for (const std::string& ca : situation.cas) {
    if (!soonest_ca.empty() && !outlook.any_ca) break;
    Opening opening = chooser.opening(ca);
    if (opening.at <= chooser.now) {
      action.kind = Action::Kind::issue;
      action.ca = ca;
      action.replaces = situation.live && situation.offers_renewal_info && ca == situation.issued_by;
      action.early = outlook.early;
      action.left_out = outlook.left_out;
      action.probe = opening.probe;
      action.wake_at = chooser.now + own_pause(hours(1), outlook.life);
      action.reason = outlook.why;
      return;
    }
    if (!soonest_ca.empty() && opening.at >= soonest.at) continue;
    soonest = std::move(opening);
    soonest_ca = ca;
  }
  action.not_before = soonest.at;
  action.wake_at = wake_up_while_blocked(chooser, soonest.at);
  action.reason = outlook.why + "; not before " + at_time(soonest.at) + " at " + soonest_ca + ": " + soonest.obstacle;
}

/// Asks for renewal information if it is time for that; otherwise sees to it that the next look is not too late.
void ask_if_time(const Chooser& chooser, Action& action) {
  const Situation& situation = chooser.situation;
  const Time now = chooser.now;
  const bool worth_it = situation.live && situation.offers_renewal_info && !situation.issued_by.empty() &&
                        !chooser.outlook.emergency && !situation.outdated && now < chooser.outlook.not_after;
  if (!worth_it) return;
  // Retry-After is limited to a day: a time that is later comes from a wrong clock.
  Time ask_at = bounded(situation.live->renewal.next_check.value_or(now));
  if (ask_at - now > longest_sleep) ask_at = now;
  // Whether the CA can issue is found out with an order, so this neither is a probe nor waits for one.
  if (const std::optional<Time> open_at = chooser.closed_until(situation.issued_by))
    ask_at = std::max(ask_at, *open_at);
  if (ask_at > now) {
    action.wake_at = std::min(action.wake_at, ask_at);
    return;
  }
  action.kind = Action::Kind::ask_renewal_info;
  action.ca = situation.issued_by;
  action.wake_at = std::min(action.wake_at, now + own_pause(hours(1), chooser.outlook.life));
  action.reason += "; asking its CA for renewal information";
}

}  // namespace

CaHealth updated_health(CaHealth health, Failure failure, Time now) {
  health.probing = false;
  switch (failure) {
    case Failure::local: return health;
    case Failure::bad_certificate:
    case Failure::ca_unreachable: break;
    case Failure::none:
    case Failure::validation:
    case Failure::ca_refused:
    case Failure::rate_limited: return CaHealth();
  }
  health.failures_in_a_row = one_more(health.failures_in_a_row);
  if (const Duration closing = closing_after(health.failures_in_a_row); closing > Duration::zero())
    health.closed_until = bounded(now) + closing;
  return health;
}

Attempts updated_attempts(Attempts attempts, Failure failure, Time now, std::optional<seconds> retry_after) {
  attempts.last = failure;
  attempts.last_at = bounded(now);
  attempts.not_before.reset();
  attempts.in_a_row = failure == Failure::none ? 0 : one_more(attempts.in_a_row);
  if (failure != Failure::none && retry_after)
    attempts.not_before = bounded(now) + std::clamp(*retry_after, seconds(0), longest_retry_after);
  return attempts;
}

Duration back_off(const Attempts& attempts, const Policy& policy, double dice, std::optional<Duration> lifetime,
                  std::optional<Duration> left) {
  const auto base = [&]() -> seconds {
    switch (attempts.last) {
      case Failure::none: return seconds(0);
      case Failure::validation: return policy.validation_back_off;
      case Failure::bad_certificate:
      case Failure::ca_unreachable: return policy.ca_back_off;
      case Failure::ca_refused: return policy.refused_back_off;
      case Failure::rate_limited: return attempts.not_before ? policy.ca_back_off : seconds(hours(1));
      case Failure::local: return policy.local_back_off;
    }
    return policy.ca_back_off;
  }();
  if (attempts.last == Failure::none) return Duration::zero();
  const auto clamped = [](seconds value) { return std::clamp(value, seconds(1), longest_back_off); };
  Duration limit = at_most_a_twentieth(clamped(policy.longest_back_off), lifetime);
  if (left) limit = std::min(limit, std::max<Duration>(*left / 8, limit_at_the_end));

  Duration pause = std::min<Duration>(clamped(base), limit);
  for (unsigned i = 1; i < attempts.in_a_row && pause < limit; ++i) pause = std::min(pause * 2, limit);
  return at_least_a_moment(part_of(pause, 0.8 + 0.4 * fraction(dice)));
}

Action decide(const Situation& situation, const std::map<std::string, CaHealth>& cas, const Policy& policy, Time now) {
  now = bounded(now);
  const Outlook outlook = outlook_of(situation, policy, now);
  Action action;
  action.due = outlook.is_due;
  action.emergency = outlook.emergency;
  action.late = outlook.late;
  action.wake_at = now + longest_sleep;
  if (situation.in_flight) {
    action.wake_at = now + own_pause(hours(1), outlook.life);
    action.reason = "an attempt is in progress";
    return action;
  }
  if (situation.held_until) {
    const Time until = bounded(*situation.held_until);
    // Leases are short: a time more than a day ahead means that the clock was set back.
    const bool wait = until > now && until - now <= longest_sleep;
    if (!wait) action.kind = Action::Kind::look_in_storage;
    action.wake_at = wait ? until : now + own_pause(minutes(1), outlook.life);
    action.reason = "another process holds its lease";
    return action;
  }
  const Chooser chooser{situation, cas, policy, outlook, fraction(situation.dice), now};
  if (outlook.is_due) {
    issue_or_wait(chooser, action);
  } else {
    action.wake_at = std::min(outlook.next_check, action.wake_at);
    if (situation.left_out_again) action.wake_at = std::min(action.wake_at, bounded(*situation.left_out_again));
    action.reason = outlook.why;
  }
  if (action.kind == Action::Kind::nothing) ask_if_time(chooser, action);
  return action;
}

}  // namespace culmen::planner
