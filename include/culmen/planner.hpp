// When a certificate is due for renewal: a function of facts and the time. No clock, no randomness, no I/O.
#pragma once

#include <chrono>
#include <optional>

#include "culmen/renewal_info.hpp"

namespace culmen::planner {

using Time = std::chrono::system_clock::time_point;
using Duration = Time::duration;

/// What is known about one certificate. A plain value.
struct CertificateFacts {
  CertificateFacts() = default;
  Time not_before;
  Time not_after;
  RenewalState renewal;
};

struct Policy {
  Policy() = default;
  /// The part of the lifetime over which renewals by lifetime are spread, before the latest such moment; 0 to 0.25.
  double spread = 0.05;
};

/// Which rule set the time of renewal.
enum class Rule { lifetime, window };

/// Why the CA's window is ignored.
enum class WindowFault {
  none,           ///< It is not ignored, or there is none.
  after_expiry,   ///< It ends after the certificate does.
  reversed,       ///< It ends before it starts.
  over_lifetime,  ///< It is longer than the certificate's lifetime.
};

/// When a certificate is due. A plain value.
struct Due {
  Due() = default;
  bool renew_now = false;
  Time at;                 ///< When it becomes due, as far as known now; never after the certificate's end.
  Time next_check;         ///< See RenewalDecision::next_check.
  bool emergency = false;  ///< The CA wants it replaced at once: renew it before those that are due by lifetime.
  Rule rule = Rule::lifetime;
  WindowFault window_fault = WindowFault::none;
};

/// The time between the two, as due() uses it: never negative, and bounded for certificates without an expiration date.
Duration lifetime(Time not_before, Time not_after);

/// By lifetime: when a third of it is left (half, for lifetimes below 10 days), minus `lifetime * spread * dice`. With
/// a window from the CA whose last answer is fresh: at the time chosen in the window, even if that is later, but no
/// later than a twentieth of the lifetime before the end. If the answer is not fresh: the earlier of the two. Now, if
/// the window was in the past when the CA first suggested it, or if it has an explanation and ends before the time by
/// lifetime.
///
/// `next_wake_up` is when the caller will next be able to renew, if it cannot wake up at `next_check`. RFC 9773 §4.2:
/// what becomes due before that is renewed now.
///
/// A pure function of its arguments, all of which may have any value.
Due due(const CertificateFacts& facts, const Policy& policy, Time now, std::optional<Time> next_wake_up = std::nullopt);

}  // namespace culmen::planner
