// Bounds of times and fractions that come from a CA, a file or a caller.
#pragma once

#include "culmen/planner.hpp"

namespace culmen::planner {

/// Within 1970 to 2200: differences and small multiples of such times do not overflow.
Time bounded(Time time);
/// Within 0 to 1; 0 if it is not a number.
double fraction(double value);
/// A part of a duration that is not negative.
Duration part_of(Duration whole, double part);

/// `usual`, or a twentieth of the lifetime if that is shorter: no wait of ours may use up a short-lived certificate.
Duration at_most_a_twentieth(Duration usual, std::optional<Duration> life);

/// What to wait between two requests for renewal information when the last one failed, or did not say.
Duration retry_after_failure(std::optional<Duration> life);
/// What the CA said to wait, bounded.
Duration retry_after(const RenewalInfo& info, std::optional<Duration> life);

}  // namespace culmen::planner
