#include "rehearse_report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "culmen/directory.hpp"

namespace culmen::cli {

namespace {

using std::chrono::seconds;

std::string times_text(unsigned count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string renewal_day(const RehearsedCertificate& certificate, bool first) {
  if (certificate.issued() == 0) return "never";
  const std::size_t index = first ? certificate.lives.size() - certificate.issued() : certificate.lives.size() - 1;
  return day_text(certificate.lives[index].from);
}

Incident incident(planner::Time at, std::string text) {
  Incident made;
  made.at = at;
  made.text = std::move(text);
  return made;
}

Incident incident_of(const RehearsedCertificate& certificate, const RehearsedCertificate::Trouble& trouble,
                     planner::Time end) {
  Incident made;
  made.at = trouble.from;
  made.text = printable(certificate.id) + ": ";
  made.text +=
      trouble.attempts == 0 ? std::string("due, and not ordered") : times_text(trouble.attempts, "attempt") + " failed";
  made.text += trouble.until ? ", issued " + minute_text(*trouble.until) : std::string(", not issued until the end");
  made.text += ": " + printable(trouble.why, 300);
  made.harmless = certificate.is_outlasted(trouble, end);
  return made;
}

void add_late(const RehearsedCertificate& certificate, std::vector<Incident>& incidents) {
  const std::vector<planner::Time>& late = certificate.late;
  if (late.empty()) return;
  std::string text = printable(certificate.id) + ": the renewal is late";
  if (late.size() > 1) text += ", " + std::to_string(late.size()) + " times until " + minute_text(late.back());
  incidents.push_back(incident(late.front(), std::move(text)));
}

/// A timer that cannot renew in time, whatever happens.
void add_slow_timer(const RehearsedCertificate& certificate, const RehearsalReport& report,
                    std::vector<Incident>& incidents) {
  const auto least = certificate.least_margin(report.until);
  const bool is_late = !certificate.late.empty() || (least && least->left < seconds(0));
  if (!is_late || certificate.lives.empty()) return;
  const auto shortest =
      std::ranges::min(certificate.lives, {}, [](const auto& life) { return life.until - life.from; });
  auto life = std::chrono::round<seconds>(shortest.until - shortest.from);
  if (life >= std::chrono::days(1)) life = std::chrono::round<std::chrono::hours>(life);
  if (report.every * 2 < life) return;
  incidents.push_back(incident(report.from, printable(certificate.id) + ": a certificate lives " + lifetime_text(life) +
                                                ", too short for a run every " + lifetime_text(report.every) +
                                                ": renew it with culmen run, or with a faster timer (--every 0 " +
                                                "rehearses culmen run)"));
}

void add_expiries(const RehearsedCertificate& certificate, planner::Time end, std::vector<Incident>& incidents) {
  std::vector<Incident> all;
  for (std::size_t i = 0; i < certificate.lives.size(); ++i) {
    const bool is_last = i + 1 == certificate.lives.size();
    const planner::Time replaced = is_last ? end : certificate.lives[i + 1].from;
    const planner::Time over = certificate.lives[i].until;
    if (over >= replaced) continue;
    all.push_back(
        incident(over, is_last ? std::string("not replaced until the end") : "replaced " + minute_text(replaced)));
  }
  if (!all.empty()) {
    std::string text = printable(certificate.id) + ": expired, and ";
    if (all.size() > 1)
      text = printable(certificate.id) + ": expired " + std::to_string(all.size()) + " times, the last time " +
             minute_text(all.back().at) + ", and ";
    incidents.push_back(incident(all.front().at, text + all.back().text));
  }
  if (certificate.lives.empty())
    incidents.push_back(incident(end, printable(certificate.id) + ": there is no certificate at the end"));
}

/// Calls of one hook that failed.
struct FailuresOfHook {
  FailuresOfHook() = default;
  unsigned calls = 0, failed = 0, first_number = 0;
  const HookCall* first = nullptr;
  planner::Time last;
};

Incident incident_of(const FailuresOfHook& failures) {
  const HookCall& first = *failures.first;
  const std::string hook = printable(first.program);
  const std::string whom = first.ids.empty() ? std::string() : " for " + printable(first.ids);
  const std::string why = printable(first.failed, 300);
  if (failures.failed == 1)
    return incident(first.at, hook + whom + ": call " + std::to_string(failures.first_number) + " failed: " + why);
  return incident(first.at, hook + ": " + std::to_string(failures.failed) + " of " +
                                times_text(failures.calls, "call") + " failed, from " + minute_text(first.at) + " to " +
                                minute_text(failures.last) + "; the first, call " +
                                std::to_string(failures.first_number) + whom + ": " + why);
}

void add_hooks(const std::vector<HookCall>& calls, std::vector<Incident>& incidents) {
  std::map<std::string, FailuresOfHook> by_program;
  for (const HookCall& call : calls) {
    FailuresOfHook& failures = by_program[call.program];
    ++failures.calls;
    if (call.failed.empty()) continue;
    if (failures.failed++ == 0) {
      failures.first = &call;
      failures.first_number = failures.calls;
    }
    failures.last = call.at;
  }
  for (const auto& [program, failures] : by_program)
    if (failures.failed > 0) incidents.push_back(incident_of(failures));
}

std::string padded(const std::string& text, std::size_t width, bool to_the_right = false) {
  const std::string space(width > text.size() ? width - text.size() : 0, ' ');
  return to_the_right ? space + text : text + space;
}

}  // namespace

std::string ca_name(const std::string& directory) {
  for (const KnownCa& known : known_cas())
    if (known.directory_url == directory) return std::string(known.name);
  const std::size_t scheme = directory.find("://");
  if (scheme == std::string::npos) return printable(directory);
  return printable(directory.substr(scheme + 3, directory.find('/', scheme + 3) - scheme - 3));
}

std::string day_text(planner::Time time) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(time));
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u-%02u", int(date.year()), unsigned(date.month()),
                unsigned(date.day()));
  return text.data();
}

std::string minute_text(planner::Time time) {
  const auto minutes =
      std::chrono::floor<std::chrono::minutes>(time - std::chrono::floor<std::chrono::days>(time)).count();
  std::array<char, 40> text{};
  std::snprintf(text.data(), text.size(), " %02d:%02d", static_cast<int>(minutes / 60), static_cast<int>(minutes % 60));
  return day_text(time) + text.data();
}

std::string lifetime_text(seconds lifetime) {
  const std::int64_t all = lifetime.count();
  if (all % 60 != 0) return std::to_string(all) + " s";
  if (all % 3600 != 0) return std::to_string(all / 60) + " min";
  if (all % 86400 != 0) return std::to_string(all / 3600) + " h";
  return std::to_string(all / 86400) + " d";
}

std::string margin_text(seconds left) {
  const std::int64_t all = std::abs(left.count()) / 3600;
  const std::string start = left < seconds(0) ? "-" : "";
  if (std::abs(left.count()) < 600) return start + std::to_string(std::abs(left.count())) + " s";
  if (all == 0) return start + std::to_string(std::abs(left.count()) / 60) + " min";
  if (all < 24) return start + std::to_string(all) + " h";
  return start + std::to_string(all / 24) + " d " + std::to_string(all % 24) + " h";
}

std::vector<Incident> incidents_of(const RehearsalReport& report) {
  std::vector<Incident> incidents;
  for (const RehearsedCertificate& certificate : report.certificates) {
    for (const RehearsedCertificate::Trouble& trouble : certificate.troubles)
      incidents.push_back(incident_of(certificate, trouble, report.until));
    add_slow_timer(certificate, report, incidents);
    add_late(certificate, incidents);
    add_expiries(certificate, report.until, incidents);
  }
  add_hooks(report.hooks, incidents);
  std::ranges::stable_sort(incidents, {}, &Incident::at);
  return incidents;
}

std::vector<std::string> rehearsal_table(const RehearsalReport& report) {
  using Row = std::array<std::string, 7>;
  std::vector<Row> rows = {{"Certificate", "CA", "Renewals", "First", "Last", "Least margin", "Failed attempts"}};
  for (const RehearsedCertificate& certificate : report.certificates) {
    unsigned failed = 0;
    for (const RehearsedCertificate::Trouble& trouble : certificate.troubles) failed += trouble.attempts;
    const auto least = certificate.least_margin(report.until);
    const std::string margin = least ? margin_text(least->left) + " on " + day_text(least->at) : "-";
    rows.push_back({printable(certificate.id), certificate.lives.empty() ? "-" : ca_name(certificate.lives.back().ca),
                    std::to_string(certificate.issued()), renewal_day(certificate, true),
                    renewal_day(certificate, false), margin, std::to_string(failed)});
  }
  constexpr std::array<bool, 7> is_number = {false, false, true, false, false, true, true};
  std::array<std::size_t, 7> widths{};
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) line += (i == 0 ? "" : "  ") + padded(row[i], widths[i], is_number[i]);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> unproven_certificates(const RehearsalReport& report) {
  std::vector<std::string> lines;
  for (const RehearsedCertificate& certificate : report.certificates) {
    const bool has_failed = certificate.failures > 0 || !certificate.last_failure.empty();
    if (certificate.was_there && !has_failed) continue;
    std::string line = printable(certificate.id) + ": ";
    if (!certificate.was_there) line += has_failed ? "never issued; " : "never issued";
    if (has_failed) line += times_text(std::max(certificate.failures, 1U), "attempt") + " failed so far";
    if (!certificate.last_failure.empty()) line += ": " + printable(certificate.last_failure, 300);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> hook_table(const RehearsalReport& report) {
  std::map<std::string, std::pair<unsigned, unsigned>> counts;
  for (const HookCall& call : report.hooks) {
    auto& [calls, failures] = counts[call.program];
    ++calls;
    if (!call.failed.empty()) ++failures;
  }
  std::vector<std::string> lines;
  for (const auto& [program, count] : counts) {
    std::string line = printable(program) + ": " + times_text(count.first, "call");
    if (report.hooks_ran) line += ", " + std::to_string(count.second) + " failed";
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace culmen::cli
