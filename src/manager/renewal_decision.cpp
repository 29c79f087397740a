// When to renew a certificate: facts and the time in, a decision out.
#include <algorithm>

#include "base/time.hpp"
#include "culmen/error.hpp"
#include "culmen/renewal_info.hpp"

namespace culmen {

namespace {
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using TimePoint = std::chrono::system_clock::time_point;

// RFC 9773 §4.3.2: clients set limits of their own to what Retry-After says.
constexpr seconds shortest_check = minutes(1);
constexpr seconds longest_check = hours(24);
/// RFC 9773 §4.3.3: what to wait after a failure that is not likely to pass soon.
constexpr seconds check_after_failure = hours(6);
constexpr auto short_lived = hours(10 * 24);

bool same_window(const RenewalInfo& a, const RenewalInfo& b) {
  return a.window_start == b.window_start && a.window_end == b.window_end;
}

/// A third of its life before the end; half of it for a certificate that lives less than ten days.
TimePoint due_by_lifetime(const Certificate& certificate) {
  const auto lifetime = certificate.not_after - certificate.not_before;
  return certificate.not_after - (lifetime < short_lived ? lifetime / 2 : lifetime / 3);
}
}  // namespace

RenewalState updated_renewal_state(RenewalState state, const std::optional<RenewalInfo>& answer, TimePoint now,
                                   double random) {
  if (!answer) {
    state.next_check = now + check_after_failure;
    return state;
  }
  state.next_check = now + std::clamp(answer->retry_after.value_or(check_after_failure), shortest_check, longest_check);
  const bool keep = state.chosen && state.info && same_window(*state.info, *answer);
  if (!keep) {
    const auto width = std::chrono::duration<double>(answer->window_end - answer->window_start);
    const auto offset = std::chrono::duration_cast<seconds>(width * std::clamp(random, 0.0, 1.0));
    state.chosen = answer->window_start + offset;
  }
  state.info = answer;
  return state;
}

RenewalDecision decide_renewal(const Certificate& certificate, const RenewalState& state, TimePoint now) {
  RenewalDecision decision;
  const TimePoint by_lifetime = due_by_lifetime(certificate);
  const bool ca_is_sooner = state.chosen && *state.chosen < by_lifetime;
  decision.renew_at = ca_is_sooner ? *state.chosen : by_lifetime;
  decision.next_check = std::max(now, state.next_check.value_or(now));
  // RFC 9773 §4.2: renew now when the next chance to do so would come after the chosen moment.
  decision.renew_now = decision.renew_at <= now;

  const std::string when = base::format_rfc3339(decision.renew_at);
  const std::string end = base::format_rfc3339(certificate.not_after);
  if (certificate.not_after <= now) {
    decision.reason = "it expired on " + end;
  } else if (ca_is_sooner) {
    decision.reason = "the CA suggests to renew between " + base::format_rfc3339(state.info->window_start) + " and " +
                      base::format_rfc3339(state.info->window_end) + "; " + when + " was picked";
    if (!state.info->explanation_url.empty())
      decision.reason += " (" + printable(state.info->explanation_url, 200) + ")";
  } else {
    decision.reason = "it is good until " + end + ", and due by its lifetime from " + when + " on";
    if (state.chosen) decision.reason += "; the CA suggests a later time";
  }
  return decision;
}

}  // namespace culmen
