#include "culmen/late_alarm.hpp"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "base/time.hpp"
#include "culmen/error.hpp"
#include "deployment/hook_records.hpp"
#include "deployment/hook_variable.hpp"
#include "deployment/hooks.hpp"

namespace culmen {

namespace fs = std::filesystem;
using namespace deployment;

namespace {

constexpr std::chrono::hours told_again_after(24);

std::int64_t unix_seconds(planner::Time time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

bool is_late(const StoredCertificate& certificate, planner::Time now) {
  if (!certificate.damage.empty() || !certificate.live || !certificate.record.revoked.empty()) return false;
  if (certificate.record.not_after && *certificate.record.not_after <= now) return true;
  return next_action(certificate, planner::Policy(), now).late;
}

/// When its renewal was due.
planner::Time due_at(const StoredCertificate& certificate, planner::Time now) {
  const CertificateRecord& record = certificate.record;
  planner::CertificateFacts facts;
  facts.not_before = record.not_before.value_or(now);
  facts.not_after = record.not_after.value_or(now);
  facts.renewal = record.renewal;
  facts.renewal.dice = record.dice;
  std::optional<std::chrono::seconds> renew_before;
  if (record.spec) renew_before = record.spec->renew_before;
  return planner::due(facts, planner::Policy(), now, std::nullopt, renew_before).at;
}

/// A short time ago.
bool was_told(const std::optional<LateRecord>& record, planner::Time now) {
  const std::int64_t passed = unix_seconds(now) - (record ? record->told : 0);
  // A clock that was set back is no reason to be silent for long.
  return passed >= 0 && passed < std::chrono::seconds(told_again_after).count();
}

std::string end_text(const LateCertificate& late) {
  return late.not_after ? base::format_rfc3339(*late.not_after) : std::string();
}

/// The texts of one line, separated by tabs.
std::string line_of(const LateCertificate& late) {
  return late.id + "\t" + joined(late.names, ",") + "\t" + end_text(late) + "\t" + base::format_rfc3339(late.since) +
         "\t" + printable(late.error, 2000) + "\n";
}

using Certificates = std::vector<const LateCertificate*>;

ProgramRun run_for(const std::string& program, const Certificates& certificates) {
  ProgramRun run;
  run.words = {program};
  run.time_limit = std::chrono::seconds(1);
  std::vector<std::string> ids, names;
  for (const LateCertificate* each : certificates) {
    run.time_limit = std::max(run.time_limit, std::chrono::seconds(each->time_limit));
    ids.push_back(each->id);
    names.insert(names.end(), each->names.begin(), each->names.end());
    run.input += line_of(*each);
  }
  // Of several, the one that ends first; the others are on standard input.
  const LateCertificate& first =
      **std::min_element(certificates.begin(), certificates.end(), [](const auto* a, const auto* b) {
        return a->not_after < b->not_after;  // one that is lost is before all others
      });
  run.variables = {{"CULMEN_ID", hook_variable(ids)},
                   {"CULMEN_NAMES", hook_variable(names)},
                   {"CULMEN_NOT_AFTER", end_text(first)},
                   {"CULMEN_ERROR", printable(first.error, 2000)},
                   {"CULMEN_SINCE", base::format_rfc3339(first.since)}};
  return run;
}

/// Whether it ended well.
bool tell_with(const std::string& program, const Certificates& certificates, const DeploymentOptions& options) {
  DeploymentEvent event;
  event.program = program;
  try {
    run_hook(options, "running " + program, run_for(program, certificates));
  } catch (const Error& error) {
    event.kind = DeploymentEvent::Kind::hook_failed;
    event.text = "the on-failure hook " + printable(program) + " failed: " + printable(error.detail(), 2000) +
                 "; it is tried again at the next run";
    tell_event(options, std::move(event));
    return false;
  }
  std::vector<std::string> ids;
  for (const LateCertificate* each : certificates) ids.push_back(each->id);
  event.kind = DeploymentEvent::Kind::hook_ran;
  event.text = "Ran " + program + ": late: " + printable(joined(ids, ", "), 1000);
  tell_event(options, std::move(event));
  return true;
}

}  // namespace

LateAlarm::LateAlarm(DeploymentOptions options) : options_(std::move(options)) {}

std::vector<LateCertificate> LateAlarm::untold(const std::vector<StoredCertificate>& certificates,
                                               const std::map<std::string, std::string>& lost,
                                               const SettingsOf& settings_of, planner::Time now) const {
  std::vector<LateCertificate> found;
  const auto add = [&](LateCertificate late) {
    const std::optional<DeploymentSettings> settings = settings_of(late.id);
    if (!settings || settings->failure_hooks.empty()) return;
    const std::optional<LateRecord> before = read_late_record(late_record_file(options_.local, late.id));
    if (was_told(before, now)) return;
    if (before) late.since = planner::Time(std::chrono::seconds(before->since.value_or(unix_seconds(late.since))));
    late.programs = settings->failure_hooks;
    late.time_limit = settings->hook_timeout;
    found.push_back(std::move(late));
  };
  for (const StoredCertificate& certificate : certificates) {
    if (lost.contains(certificate.id)) continue;
    if (!is_late(certificate, now)) {
      std::error_code failed;
      // What cannot be removed now is removed the next time.
      fs::remove(late_record_file(options_.local, certificate.id), failed);
      continue;
    }
    LateCertificate late;
    late.id = certificate.id;
    late.error = certificate.record.last_error;
    late.names = certificate.record.names;
    late.not_after = certificate.record.not_after.value_or(now);
    late.since = std::min(now, due_at(certificate, now));
    add(std::move(late));
  }
  for (const auto& [id, why] : lost) {
    LateCertificate late;
    late.id = id;
    late.error = why;
    late.since = now;
    add(std::move(late));
  }
  return found;
}

void LateAlarm::tell(std::vector<LateCertificate> late, planner::Time now) const {
  if (late.empty()) return;
  const std::optional<ProcessLock> lock = lock_hooks(options_, std::chrono::seconds(0));
  if (!lock) return;
  const auto file_of = [this](const LateCertificate& each) { return late_record_file(options_.local, each.id); };
  // Another process may have done it meanwhile.
  std::erase_if(late, [&](const LateCertificate& each) { return was_told(read_late_record(file_of(each)), now); });
  std::map<std::string, Certificates> by_program;
  for (const LateCertificate& each : late) {
    for (const std::string& program : each.programs) by_program[program].push_back(&each);
  }
  std::set<const LateCertificate*> untold;
  for (const auto& [program, certificates] : by_program) {
    if (!tell_with(program, certificates, options_)) untold.insert(certificates.begin(), certificates.end());
  }
  for (const LateCertificate& each : late) {
    LateRecord record;
    record.since = unix_seconds(each.since);
    if (!untold.contains(&each)) record.told = unix_seconds(now);
    write_record(file_of(each), record);
  }
}

}  // namespace culmen
