// ACME Renewal Information (RFC 9773), and when to renew.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "culmen/certificate.hpp"

namespace culmen {

/// What the CA suggests (RFC 9773 §4.2). A plain value.
struct RenewalInfo {
  RenewalInfo() = default;
  std::chrono::system_clock::time_point window_start;
  std::chrono::system_clock::time_point window_end;
  std::string explanation_url;                      ///< Why, for the operator; or empty.
  std::optional<std::chrono::seconds> retry_after;  ///< As the server sent it; the decision clamps it to 1 min … 24 h.
};

/// The certificate's identifier in ARI (RFC 9773 §4.1): base64url(keyIdentifier) "." base64url(serial).
/// Throws Error (not_offered) when the certificate has no authority key identifier.
std::string certificate_id(const Certificate& certificate);

/// What is remembered between two decisions about one certificate. A plain value; store it.
struct RenewalState {
  RenewalState() = default;
  std::optional<RenewalInfo> info;                                  ///< The last that the CA gave.
  std::optional<std::chrono::system_clock::time_point> chosen;      ///< The moment picked in its window, once.
  std::optional<std::chrono::system_clock::time_point> next_check;  ///< Ask the CA again no sooner.
};

/// What to do about a certificate now.
struct RenewalDecision {
  RenewalDecision() = default;
  bool renew_now = false;
  std::chrono::system_clock::time_point renew_at;    ///< When it becomes due, as known now.
  std::chrono::system_clock::time_point next_check;  ///< When to decide again, at the latest.
  std::string reason;                                ///< One sentence for the operator.
};

/// Takes an answer of the CA (nullopt: asking failed, `failed_for` says for how long to leave it) into the state.
/// `random` in [0, 1) picks the moment in the window, which is kept as long as the window stays the same (RFC 9773
/// §4.2).
RenewalState updated_renewal_state(RenewalState state, const std::optional<RenewalInfo>& answer,
                                   std::chrono::system_clock::time_point now, double random);

/// When to renew: at the chosen moment of the CA's window, or by lifetime (a third left; half when it lives less than
/// 10 days), whichever is sooner. A pure function; errors of ARI are never fatal.
RenewalDecision decide_renewal(const Certificate& certificate, const RenewalState& state,
                               std::chrono::system_clock::time_point now);

}  // namespace culmen
