#include "manager/limits.hpp"

#include <algorithm>
#include <cmath>

namespace culmen::planner {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

Time bounded(Time time) {
  constexpr Time first{}, last{seconds(7'258'118'400)};
  return std::clamp(time, first, last);
}

double fraction(double value) { return std::isnan(value) ? 0 : std::clamp(value, 0.0, 1.0); }

Duration part_of(Duration whole, double part) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double, Duration::period>(whole) * part);
}

Duration lifetime(Time not_before, Time not_after) {
  return std::max(bounded(not_after) - bounded(not_before), Duration::zero());
}

Duration at_most_a_twentieth(Duration usual, std::optional<Duration> life) {
  return life && *life > Duration::zero() ? std::min(usual, *life / 20) : usual;
}

// RFC 9773 §4.3.3: a failure that is not likely to pass soon.
Duration retry_after_failure(std::optional<Duration> life) { return at_most_a_twentieth(hours(6), life); }

// RFC 9773 §4.3.2: clients set limits of their own to what Retry-After says.
Duration retry_after(const RenewalInfo& info, std::optional<Duration> life) {
  if (!info.retry_after) return retry_after_failure(life);
  const Duration wanted = std::clamp<seconds>(*info.retry_after, seconds(0), hours(24));
  return std::max(wanted, at_most_a_twentieth(minutes(1), life));
}

}  // namespace culmen::planner
