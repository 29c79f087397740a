// When a certificate is due for renewal, and what to do next: functions of facts and the time. No clock, no randomness,
// no I/O.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/error.hpp"
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

  // Of back-off, all limited by a twentieth of the certificate's lifetime.
  std::chrono::seconds validation_back_off{900};    ///< After the first failed validation; doubled with each one more.
  std::chrono::seconds ca_back_off{60};             ///< The CA was not reached, or failed.
  std::chrono::seconds local_back_off{30};          ///< A disk, a database, a solver.
  std::chrono::seconds refused_back_off{6 * 3600};  ///< The CA refused the names, or what was asked for.
  std::chrono::seconds longest_back_off{6 * 3600};
  /// The next CA is tried once this part of the time between due and the end is left.
  double fall_back_at = 0.75;
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
/// what becomes due before that is renewed now. `renew_before` replaces the third or the half of the rule by lifetime,
/// as in CertificateSpec: together with the spread at most nine tenths of the lifetime.
///
/// A pure function of its arguments, all of which may have any value.
Due due(const CertificateFacts& facts, const Policy& policy, Time now, std::optional<Time> next_wake_up = std::nullopt,
        std::optional<std::chrono::seconds> renew_before = std::nullopt);

// ---- What to do next ----

/// Why an attempt failed, as far as planning is concerned.
enum class Failure {
  none,
  validation,
  ca_unreachable,
  ca_refused,
  rate_limited,
  local,
  bad_certificate,  ///< The CA issued one that is of no use.
};
std::string_view to_string(Failure failure) noexcept;
/// The failure with that name. One that is not known, as a newer version may have stored it, is `validation`.
Failure failure_from(std::string_view name) noexcept;
/// The failure that an error of issue() stands for. Of several problems of an order, a rate limit or a refusal counts
/// before a failed validation.
Failure failure_of(const Error& error) noexcept;

/// The attempts at one CA since the last success. A plain value, part of the certificate's record, also after a
/// success: decide() does not issue anew right after one. Dropped when what is wanted has changed.
struct Attempts {
  Attempts() = default;
  bool operator==(const Attempts&) const = default;
  unsigned in_a_row = 0;         ///< Failures.
  Failure last = Failure::none;  ///< `none`: the last attempt succeeded, if there was one.
  std::optional<Time> last_at;
  std::optional<Time> not_before;  ///< By the CA's Retry-After; wins over the back-off if it is later.
};

/// What is known about one certificate that is wanted. A plain value.
struct Situation {
  Situation() = default;
  std::optional<CertificateFacts> live;  ///< nullopt: never issued.
  bool outdated = false;                 ///< `live` is not what is wanted any more: names, key type, CA.
  bool emergency = false;                ///< It is revoked, or its key is compromised.
  /// When names that the certificate does without are to be tried again; nullopt: it has all.
  std::optional<Time> left_out_again;
  std::string issued_by;                             ///< The CA of `live`, as in `cas`.
  bool offers_renewal_info = false;                  ///< That CA offers it, and the spec wants it used.
  std::optional<std::chrono::seconds> renew_before;  ///< As in CertificateSpec.
  std::vector<std::string> cas;                      ///< In order of preference.
  std::map<std::string, Attempts> attempts;          ///< By CA.
  std::map<std::string, Time> allowed_at;            ///< By CA: what its ledger says of an order now.
  /// In [0, 1), drawn once for each generation: jitter that stays the same. Used in place of RenewalState::dice.
  double dice = 0.5;
  bool in_flight = false;          ///< This process works on it.
  std::optional<Time> held_until;  ///< Another process has the lease: look in storage then.
};

/// The health of a CA, over all certificates. A plain value.
struct CaHealth {
  CaHealth() = default;
  unsigned failures_in_a_row = 0;
  std::optional<Time> closed_until;  ///< No orders until then; then one, as a probe.
  bool probing = false;              ///< Set it when an Action with `probe` begins; updated_health() clears it.
};
/// The health after an attempt to issue. Only Failure::ca_unreachable says something against the CA as such: five in a
/// row close it, for one minute more with each further one, up to half an hour. Failure::local says nothing. All others
/// are answers of the CA, and open it. So does an answer to a request for renewal information (Failure::none); such a
/// request that failed says nothing, because CAs refuse them under load.
CaHealth updated_health(CaHealth health, Failure failure, Time now);
/// The attempts after one more; after a success with Failure::none. `retry_after` is the CA's, and limited to 7 days.
Attempts updated_attempts(Attempts attempts, Failure failure, Time now,
                          std::optional<std::chrono::seconds> retry_after = std::nullopt);

/// What to do about a certificate. A plain value.
struct Action {
  Action() = default;
  enum class Kind {
    nothing,
    ask_renewal_info,  ///< Ask `ca` when to renew.
    issue,             ///< Order at `ca`.
    look_in_storage,   ///< Another process may have renewed it.
  };
  Kind kind = Kind::nothing;
  std::string ca;
  bool replaces = false;  ///< Name the predecessor in the order: it came from the same CA, which offers ARI.
  bool due = false;       ///< It should be issued: now, or when that is possible again.
  bool emergency = false;
  bool early = false;     ///< An order that is due only because it is an emergency: by its lifetime it is not yet.
  bool left_out = false;  ///< An order that is due only to try names again that were left out.
  bool probe = false;     ///< `ca` was closed: no other order for it until this one has a result. See CaHealth.
  std::optional<Time> not_before;  ///< It is due, and has to wait for that time.
  /// When to decide again at the latest: after `now`, by no more than 24 h; after an action, when it has had no result.
  Time wake_at;
  /// Less than half of the time between due and the end is left: for alarms.
  bool late = false;
  std::string reason;  ///< One sentence for the operator.
};

/// What to do now. docs/manager.md has the rules. A pure function of its arguments, all of which may have any value.
Action decide(const Situation& situation, const std::map<std::string, CaHealth>& cas, const Policy& policy, Time now);

/// The pause after the last failure: doubled with each failure in a row, no longer than the policy allows, a twentieth
/// of `lifetime`, and an eighth of what is `left` or ten minutes, changed by up to a fifth by `dice`. Zero without a
/// failure.
Duration back_off(const Attempts& attempts, const Policy& policy, double dice, std::optional<Duration> lifetime,
                  std::optional<Duration> left);

}  // namespace culmen::planner
