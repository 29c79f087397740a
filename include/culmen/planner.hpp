// When a certificate is due for renewal: facts and the time in, a decision out. No clock, no randomness, no I/O.
#pragma once

#include <chrono>
#include <optional>

#include "culmen/renewal_info.hpp"

namespace culmen::planner {

using Time = std::chrono::system_clock::time_point;
using Duration = Time::duration;

/// What is known of one certificate. A plain value.
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
  bool emergency = false;  ///< The CA wants it replaced at once: before all that is due for its age.
  Rule rule = Rule::lifetime;
  WindowFault window_fault = WindowFault::none;
};

/// The time between the two, as due() reckons with it: never negative, and bounded where certificates have no end.
Duration lifetime(Time not_before, Time not_after);

/// By lifetime: when a third of it is left (half, for lifetimes below 10 days), less `spread` of it times the state's
/// dice. With a window of the CA whose last answer is fresh: at the moment chosen in the window, also when that is
/// later, but no later than a twentieth of the lifetime before the end. With an answer that is not fresh: whichever is
/// sooner. With a window that lay in the past when the CA first suggested it, or that has an explanation and ends
/// before the moment by lifetime: now.
///
/// `next_wake_up` is when the caller will next be able to renew, if it cannot wake up at `next_check`. RFC 9773 §4.2:
/// what becomes due before that is renewed now.
///
/// A pure function of its arguments, all of which may have any value.
Due due(const CertificateFacts& facts, const Policy& policy, Time now, std::optional<Time> next_wake_up = std::nullopt);

}  // namespace culmen::planner
