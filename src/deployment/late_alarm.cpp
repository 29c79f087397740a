#include "late.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "culmen/program.hpp"
#include "culmen/storage.hpp"
#include "deploy.hpp"
#include "describe.hpp"
#include "files.hpp"
#include "hook_variable.hpp"
#include "host.hpp"
#include "interrupt.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

using Clock = std::chrono::system_clock;

constexpr std::chrono::hours told_again_after(24);

std::int64_t unix_seconds(Clock::time_point time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

bool is_late(const culmen::StoredCertificate& certificate, Clock::time_point now) {
  if (!certificate.damage.empty() || !certificate.live || !certificate.record.revoked.empty()) return false;
  if (certificate.record.not_after && *certificate.record.not_after <= now) return true;
  return next_action(certificate, planner::Policy(), now).late;
}

/// A short time ago.
bool was_told(const fs::path& file, Clock::time_point now) {
  const std::optional<JsonObject> record = read_json(file);
  const std::int64_t told = record ? record->number("told", std::int64_t{0}) : 0;
  const std::int64_t passed = unix_seconds(now) - told;
  // A clock that was set back is no reason to be silent for long.
  return passed >= 0 && passed < std::chrono::seconds(told_again_after).count();
}

std::string all_joined(const std::vector<std::string>& texts, const char* separator) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : separator) + text;
  return out;
}

/// The texts of one line, separated by tabs.
std::string line_of(const Late& late) {
  return late.id + "\t" + all_joined(late.names, ",") + "\t" + time_text(late.not_after) + "\t" +
         time_text(late.since) + "\t" + printable(late.error, 2000) + "\n";
}

}  // namespace

LateAlarm::LateAlarm(fs::path local, Output& output) : local_(std::move(local)), output_(output) {}

fs::path LateAlarm::record_of(const std::string& id) const { return local_ / "late" / (storage_part(id) + ".json"); }

std::vector<Late> LateAlarm::untold(const Host& host,
                                    const std::vector<culmen::StoredCertificate>& certificates) const {
  std::vector<Late> found;
  const Clock::time_point now = Clock::now();
  for (const culmen::StoredCertificate& certificate : certificates) {
    const fs::path file = record_of(certificate.id);
    if (!is_late(certificate, now)) {
      std::error_code failed;
      fs::remove(file, failed);  // what cannot be removed now is removed the next time
      continue;
    }
    const std::optional<Settings> settings = host.settings(certificate);
    if (!settings || settings->host.failure_hooks.empty()) continue;
    const std::optional<JsonObject> before = read_json(file);
    if (was_told(file, now)) continue;
    Late late;
    late.id = certificate.id;
    late.error = certificate.record.last_error;
    late.names = certificate.record.names;
    late.not_after = certificate.record.not_after.value_or(now);
    late.since = std::min(now, shown(certificate).due.at);
    if (before) late.since = Clock::time_point(std::chrono::seconds(before->number("since", unix_seconds(late.since))));
    late.programs = settings->host.failure_hooks;
    late.time_limit = settings->host.hook_timeout;
    found.push_back(std::move(late));
  }
  return found;
}

void LateAlarm::tell(std::vector<Late> late) const {
  if (late.empty()) return;
  const std::optional<ProcessLock> lock = lock_hooks(local_, std::chrono::seconds(0), output_);
  if (!lock) return;
  // Another process may have done it meanwhile.
  std::erase_if(late, [this](const Late& each) { return was_told(record_of(each.id), Clock::now()); });
  std::map<std::string, std::vector<const Late*>> by_program;
  for (const Late& each : late) {
    for (const std::string& program : each.programs) by_program[program].push_back(&each);
  }
  std::set<const Late*> untold;
  for (const auto& [program, certificates] : by_program) {
    ProgramRun run;
    run.words = {program};
    run.time_limit = std::chrono::seconds(1);
    std::vector<std::string> ids, names;
    for (const Late* each : certificates) {
      run.time_limit = std::max(run.time_limit, std::chrono::seconds(each->time_limit));
      ids.push_back(each->id);
      names.insert(names.end(), each->names.begin(), each->names.end());
      run.input += line_of(*each);
    }
    // Of several, the one that ends first; the others are on standard input.
    const Late& first = **std::min_element(certificates.begin(), certificates.end(),
                                           [](const Late* a, const Late* b) { return a->not_after < b->not_after; });
    run.variables = {{"CULMEN_ID", hook_variable(ids)},
                     {"CULMEN_NAMES", hook_variable(names)},
                     {"CULMEN_NOT_AFTER", time_text(first.not_after)},
                     {"CULMEN_ERROR", printable(first.error, 2000)},
                     {"CULMEN_SINCE", time_text(first.since)}};
    try {
      output_.progress(program, "running");
      run_program("running " + program, run, interrupt_token());
      output_.say("Ran " + program + ": late: " + printable(all_joined(ids, ", "), 1000));
    } catch (const Error& error) {
      untold.insert(certificates.begin(), certificates.end());
      LogEntry entry(LogLevel::warning, "the on-failure hook " + printable(program) + " failed: " +
                                            printable(error.detail(), 2000) + "; it is tried again at the next run");
      entry.event = "hook_failed";
      entry.topic = entry.event + " " + program;
      output_.line(entry);
    }
    output_.progress_ended(program);
  }
  for (const Late& each : late) {
    JsonObject record;
    record.set("format", 1);
    record.set("since", unix_seconds(each.since));
    if (!untold.contains(&each)) record.set("told", unix_seconds(Clock::now()));
    const fs::path file = record_of(each.id);
    make_private_folder(local_);
    make_private_folder(file.parent_path());
    write_json(file, record);
  }
}

}  // namespace culmen::cli
