#include "culmen/planner.hpp"

#include <algorithm>

#include "manager/limits.hpp"

namespace culmen::planner {

namespace {

using std::chrono::hours;

constexpr Duration short_lived = hours(10 * 24);
constexpr Duration longest_wait = hours(24);
constexpr double widest_spread = 0.25;

/// What the rules need of the CA's answer, bounded.
struct Suggestion {
  explicit Suggestion(const RenewalState& state)
      : start(bounded(state.info->window_start)), end(bounded(state.info->window_end)) {}
  Time start;
  Time end;
};

WindowFault fault_of(const Suggestion& window, Time not_after, Duration life) {
  if (window.start > window.end) return WindowFault::reversed;
  if (window.end > not_after) return WindowFault::after_expiry;
  if (window.end - window.start > life) return WindowFault::over_lifetime;
  return WindowFault::none;
}

Time moment_by_lifetime(Time not_after, Duration life, const Policy& policy, double dice,
                        std::optional<std::chrono::seconds> renew_before) {
  const double spread = std::min(fraction(policy.spread), widest_spread);
  const Duration earlier = part_of(life, spread * dice);
  if (!renew_before) return not_after - (life < short_lived ? life / 2 : life / 3) - earlier;
  using std::chrono::seconds;
  const Duration wanted = std::clamp(*renew_before, seconds(0), std::chrono::ceil<seconds>(life));
  // A new certificate is not due at once, whatever was asked for.
  return not_after - std::min(wanted + earlier, life / 10 * 9);
}

/// A moment that was chosen for another window is moved into this one, so nothing is put off beyond its end.
Time moment_in_window(const Suggestion& window, const RenewalState& state, double dice) {
  const Time chosen = state.chosen ? bounded(*state.chosen) : window.start + part_of(window.end - window.start, dice);
  return std::clamp(chosen, window.start, window.end);
}

/// Until when the CA's last answer counts. Unknown in states of older versions: not at all.
std::optional<Time> fresh_until(const RenewalState& state, Duration life) {
  if (!state.answered_at) return std::nullopt;
  const Duration shortest = at_most_a_twentieth(hours(12), life);
  return bounded(*state.answered_at) + std::max(2 * retry_after(*state.info, life), shortest);
}

}  // namespace

Due due(const CertificateFacts& facts, const Policy& policy, Time now, std::optional<Time> next_wake_up,
        std::optional<std::chrono::seconds> renew_before) {
  now = bounded(now);
  const RenewalState& state = facts.renewal;
  const Time not_after = bounded(facts.not_after);
  const Duration life = lifetime(facts.not_before, facts.not_after);
  const double dice = fraction(state.dice.value_or(0));
  const Time by_lifetime = moment_by_lifetime(not_after, life, policy, dice, renew_before);

  Due result;
  result.at = by_lifetime;
  result.next_check = now + longest_wait;
  if (const Time ask = bounded(state.next_check.value_or(now)); ask > now)
    result.next_check = std::min(result.next_check, ask);

  if (state.info) {
    const Suggestion window(state);
    result.window_fault = fault_of(window, not_after, life);
    if (result.window_fault == WindowFault::none) {
      const Time chosen = moment_in_window(window, state, dice);
      const std::optional<Time> fresh = fresh_until(state, life);
      const bool is_fresh = fresh && now < *fresh;
      // From then on the lifetime rule applies again, unless the CA has answered.
      if (is_fresh && chosen > by_lifetime) result.next_check = std::min(result.next_check, *fresh);
      if (is_fresh || chosen < by_lifetime) {
        result.rule = Rule::window;
        result.at = std::min(chosen, not_after - life / 20);
      }
      // A window that has passed since it was suggested is not an emergency: the certificate is only late.
      const bool past = window.end <= std::min(now, bounded(state.window_since.value_or(now)));
      const bool explained = !state.info->explanation_url.empty() && window.end < by_lifetime;
      if (past || explained) {
        result.emergency = true;
        result.rule = Rule::window;
        result.at = std::min(chosen, now);
      }
    }
  }

  result.renew_now = result.at <= now || (next_wake_up && result.at < bounded(*next_wake_up));
  // A caller whose renewal fails must not spin either.
  result.next_check =
      result.renew_now ? now + at_most_a_twentieth(hours(1), life) : std::min(result.next_check, result.at);
  return result;
}

}  // namespace culmen::planner
