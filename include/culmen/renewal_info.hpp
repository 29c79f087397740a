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
  std::string explanation_url;  ///< URL of an explanation for the operator, or empty.
  std::optional<std::chrono::seconds>
      retry_after;  ///< As sent by the server; updated_renewal_state() clamps it to 1 min … 24 h.
};

/// The certificate's identifier in ARI (RFC 9773 §4.1): base64url(keyIdentifier) "." base64url(serial).
/// Throws Error (not_offered) if the certificate has no authority key identifier.
std::string certificate_id(const Certificate& certificate);

/// The state between two decisions about one certificate. A plain value; store it. `chosen` requires `info`.
struct RenewalState {
  RenewalState() = default;
  std::optional<RenewalInfo> info;                                  ///< The last one received from the CA.
  std::optional<std::chrono::system_clock::time_point> chosen;      ///< The time picked within its window.
  std::optional<std::chrono::system_clock::time_point> next_check;  ///< Do not ask the CA again before this time.
};

/// Whether and when to renew a certificate. A plain value.
struct RenewalDecision {
  RenewalDecision() = default;
  bool renew_now = false;
  std::chrono::system_clock::time_point renew_at;    ///< When it becomes due, as far as known now.
  std::chrono::system_clock::time_point next_check;  ///< Decide again no later than this.
  std::string reason;                                ///< One sentence for the operator.
};

/// Updates the state with a response from the CA; nullopt: the request failed, ask again in 6 hours. `random` in [0, 1)
/// picks the time within the window, which is kept as long as the window does not change (RFC 9773 §4.2). A pure
/// function; never throws an Error.
RenewalState updated_renewal_state(RenewalState state, const std::optional<RenewalInfo>& answer,
                                   std::chrono::system_clock::time_point now, double random);

/// When to renew: at the time chosen in the CA's window, or when a third of the lifetime is left (half, for lifetimes
/// below 10 days), whichever comes first. A pure function; never throws an Error.
RenewalDecision decide_renewal(const Certificate& certificate, const RenewalState& state,
                               std::chrono::system_clock::time_point now);

}  // namespace culmen
