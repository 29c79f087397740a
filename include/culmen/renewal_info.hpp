// ACME Renewal Information (RFC 9773), and when to renew.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "culmen/certificate.hpp"

namespace culmen {

/// The renewal window that the CA suggests (RFC 9773 §4.2). A plain value.
struct RenewalInfo {
  RenewalInfo() = default;
  std::chrono::system_clock::time_point window_start;
  std::chrono::system_clock::time_point window_end;
  std::string explanation_url;                      ///< URL of an explanation for the operator, or empty.
  std::optional<std::chrono::seconds> retry_after;  ///< As sent by the server. updated_renewal_state() clamps it.
};

/// The certificate's identifier in ARI (RFC 9773 §4.1): base64url(keyIdentifier) "." base64url(serial).
/// Throws Error (not_offered) if the certificate has no authority key identifier.
std::string certificate_id(const Certificate& certificate);

/// The state between two decisions about one certificate: its successor starts with an empty one. A plain value; store
/// it. All members are optional: a state that an older version stored without the last ones is valid.
struct RenewalState {
  RenewalState() = default;
  std::optional<RenewalInfo> info;                                  ///< The last one received from the CA.
  std::optional<std::chrono::system_clock::time_point> chosen;      ///< The time picked within its window.
  std::optional<std::chrono::system_clock::time_point> next_check;  ///< Do not ask the CA again before this time.
  /// In [0, 1): how far before the latest moment a renewal by lifetime comes. Without it: at that moment.
  std::optional<double> dice;
  std::optional<std::chrono::system_clock::time_point> answered_at;   ///< When `info` was received, the last time.
  std::optional<std::chrono::system_clock::time_point> window_since;  ///< When its window was received the first time.
};

/// Whether and when to renew a certificate. A plain value.
struct RenewalDecision {
  RenewalDecision() = default;
  bool renew_now = false;
  std::chrono::system_clock::time_point renew_at;  ///< When it becomes due, as far as known now.
  /// Decide again no later than this; with `renew_now`, if the renewal has failed. Later than the `now` of the
  /// decision, by no more than 24 h. A RenewalState::next_check that has passed has no influence on it.
  std::chrono::system_clock::time_point next_check;
  bool emergency = false;       ///< The CA wants it replaced at once.
  bool window_ignored = false;  ///< The CA's window makes no sense; `reason` says why.
  std::string reason;           ///< One sentence for the operator.
};

/// Updates the state with a response from the CA; nullopt: the request failed, ask again in 6 hours. `random` in [0, 1)
/// picks the time within the window, which is kept as long as the window does not change (RFC 9773 §4.2), and becomes
/// `dice` if there is none yet. `next_check` is the answer's Retry-After from now, clamped to 1 min to 24 h; the minute
/// and the 6 hours are at most a twentieth of `lifetime`, the certificate's (planner::lifetime()). A pure function;
/// never throws an Error.
RenewalState updated_renewal_state(RenewalState state, const std::optional<RenewalInfo>& answer,
                                   std::chrono::system_clock::time_point now, double random,
                                   std::optional<std::chrono::system_clock::duration> lifetime = std::nullopt);

/// When to renew, by planner::due() with its default policy, and why. `next_wake_up` is when the caller will
/// next be able to renew, if it cannot wake up at the `next_check` of the decision. A pure function; never throws an
/// Error.
RenewalDecision decide_renewal(const Certificate& certificate, const RenewalState& state,
                               std::chrono::system_clock::time_point now,
                               std::optional<std::chrono::system_clock::time_point> next_wake_up = std::nullopt);

}  // namespace culmen
