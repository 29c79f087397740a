// What a rehearsal has found, as text and as a picture.
#pragma once

#include <string>
#include <vector>

#include "culmen/rehearsal.hpp"

namespace culmen::cli {

/// A call of a hook. A plain value.
struct HookCall {
  HookCall() = default;
  planner::Time at;
  std::string program;
  std::string ids;     ///< Of the certificates it was called for; empty: a hook before or after an order.
  std::string failed;  ///< Why; empty: it did not.
};

/// What is shown. A plain value.
struct RehearsalReport {
  RehearsalReport() = default;
  planner::Time from, until;
  std::chrono::seconds every{0};  ///< As in RehearsalOptions.
  std::vector<CaOutage> outages;
  std::vector<RehearsedCertificate> certificates;
  std::vector<HookCall> hooks;  ///< In the order of their times.
  bool hooks_ran = false;
};

/// Something that went wrong: with a certificate, or all failed calls of a hook. A plain value.
struct Incident {
  Incident() = default;
  planner::Time at;
  std::string text;
  bool harmless = false;  ///< See RehearsedCertificate::is_outlasted().
};
/// In the order of their times.
std::vector<Incident> incidents_of(const RehearsalReport& report);

/// The table: a heading, and a line for each certificate.
std::vector<std::string> rehearsal_table(const RehearsalReport& report);
/// One line for each certificate that has never been issued, or whose last attempt before the rehearsal failed.
std::vector<std::string> unproven_certificates(const RehearsalReport& report);
/// One line for each hook: how often it was called, and how often it failed.
std::vector<std::string> hook_table(const RehearsalReport& report);
/// A picture of its own: a row for each certificate, with its lifetimes as bars; renewals, failures and outages on
/// them.
std::string rehearsal_svg(const RehearsalReport& report);

/// "letsencrypt", or the host and port of a CA that has no short name.
std::string ca_name(const std::string& directory);
/// "2027-02-10"
std::string day_text(planner::Time time);
/// "2027-02-10 04:00", UTC.
std::string minute_text(planner::Time time);
/// "90 d", "160 h", "2 min"
std::string lifetime_text(std::chrono::seconds lifetime);
/// "12 d 4 h"; "-2 d 0 h"; "-30 s".
std::string margin_text(std::chrono::seconds left);

}  // namespace culmen::cli
