// culmen renew: every certificate that is due, as the CA suggests (ARI) or by its lifetime.
#include <algorithm>
#include <chrono>
#include <memory>
#include <set>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "deploy.hpp"
#include "describe.hpp"
#include "hint.hpp"
#include "host.hpp"
#include "keeper.hpp"
#include "late.hpp"
#include "output.hpp"

namespace culmen::cli {

namespace {

struct RenewFlags {
  RenewFlags() = default;
  StateFlags state;
  KeepOptions keep;
  std::vector<std::string> names;
  bool dry_run = false;
  bool force = false;
  bool run_hooks = false;
  bool quiet = false;
};

/// A certificate of the run, and what --json says of it.
struct Candidate {
  Candidate() = default;
  culmen::StoredCertificate certificate;
  JsonObject entry;
};

std::vector<Candidate> candidates_of(const RenewFlags& flags, const Host& host) {
  std::vector<Candidate> found;
  const auto add = [&found](culmen::StoredCertificate certificate) {
    Candidate candidate;
    candidate.entry.set("name", certificate.id);
    candidate.certificate = std::move(certificate);
    found.push_back(std::move(candidate));
  };
  if (flags.names.empty()) {
    for (culmen::StoredCertificate& certificate : host.certificates()) add(std::move(certificate));
  } else {
    for (const std::string& name : flags.names) add(host.certificate(name));
  }
  return found;
}

void add_window(const culmen::StoredCertificate& certificate, JsonObject& entry) {
  if (!certificate.live) return;
  const Shown seen = shown(certificate);
  entry.set("names", name_list(seen.leaf.identifiers));
  entry.set("due", time_text(seen.due.at));
  entry.set("next_check", time_text(seen.due.next_check));
  if (const auto& info = certificate.record.renewal.info) {
    entry.set("window_start", time_text(info->window_start));
    entry.set("window_end", time_text(info->window_end));
    if (!info->explanation_url.empty()) entry.set("explanation_url", info->explanation_url);
  }
}

/// What came of one: for --json, and a line for people.
void conclude(Candidate& candidate, const KeepResult& result, const RenewFlags& flags, Output& output) {
  const std::string& id = candidate.certificate.id;
  JsonObject& entry = candidate.entry;
  if (!entry.text("result").empty()) return;
  const bool issued = std::find(result.issued.begin(), result.issued.end(), id) != result.issued.end();
  const auto failed = result.failed.find(id);
  if (failed != result.failed.end()) {
    entry.set("result", "failed");
    entry.set("error", error_object(failed->second));
    return;
  }
  const planner::Action next = next_action(candidate.certificate, planner::Policy(), std::chrono::system_clock::now());
  entry.set("renew", issued || next.due || flags.force);
  entry.set("reason", printable(next.reason, 1000));
  if (issued) {
    entry.set("result", "renewed");
  } else if (flags.dry_run && next.due && !flags.force && next.kind != planner::Action::Kind::issue) {
    entry.set("result", "waiting");
    output.say(printable(id) + ": would not be renewed yet: " + printable(next.reason));
  } else if (flags.dry_run && (next.due || flags.force)) {
    entry.set("result", "would renew");
    output.say_of(id, "would_renew",
                  printable(id) + ": would be renewed: " + (flags.force ? "--force is given" : printable(next.reason)));
  } else if (next.due || result.waiting.contains(id)) {  // with --force, what is not due may have to wait
    entry.set("result", "waiting");
  } else {
    entry.set("result", "not due");
    output.say_of(id, "not_due", printable(id) + ": not due: " + printable(next.reason));
  }
}

/// "2 renewed, 1 failed: cmp.test".
std::string closing_line(const KeepResult& result, std::size_t all) {
  std::string line = std::to_string(result.issued.size()) + " of " + std::to_string(all) + " renewed";
  std::string names;
  for (const auto& [id, error] : result.failed) names += (names.empty() ? "" : ", ") + printable(id);
  if (!names.empty()) line += ", " + std::to_string(result.failed.size()) + " failed: " + names;
  return line;
}

/// A certificate that this host was never told about.
void skip_unknown(Candidate& candidate, const RenewFlags& flags, Output& output) {
  const std::string why = "another host renews it, and this host was never told to take its files";
  candidate.entry.set("result", "skipped");
  candidate.entry.set("reason", why);
  const std::string line = printable(candidate.certificate.id) + ": skipped: " + why +
                           "; to do that: " + hint("edit " + printable(candidate.certificate.id));
  // In a run over all it is normal.
  if (flags.names.empty()) return output.log(line);
  output.say(line);
}

/// Certificates that this host should renew, and that are gone. Returns their ids.
std::vector<std::string> note_lost(const Host& host, std::vector<Candidate>& candidates, KeepResult& result) {
  std::vector<culmen::StoredCertificate> certificates;
  for (const Candidate& candidate : candidates) certificates.push_back(candidate.certificate);
  std::vector<std::string> lost = host.lost_ids(certificates);
  for (const std::string& id : lost) {
    const Error error(Errc::io_failed, "", host.lost_text(id));
    result.failed.insert_or_assign(id, error);
    Candidate candidate;
    candidate.certificate.id = id;
    candidate.entry.set("name", id);
    candidate.entry.set("result", "lost");
    candidate.entry.set("error", error_object(error));
    candidates.push_back(std::move(candidate));
  }
  return lost;
}

std::vector<JsonObject> hooks_failed(const KeepResult& result) {
  std::vector<JsonObject> hooks;
  for (const auto& [program, why] : result.hooks_failed) {
    JsonObject hook;
    hook.set("program", printable(program));
    hook.set("error", printable(why, 2000));
    hooks.push_back(std::move(hook));
  }
  return hooks;
}

/// Hooks that have to run for the certificate that is there.
void conclude_hooks(Candidate& candidate, const RenewFlags& flags, const Host& host, Output& output) {
  const culmen::StoredCertificate& certificate = candidate.certificate;
  if (!certificate.live || !certificate.damage.empty()) return;
  const std::optional<Settings> settings = host.settings(certificate);
  if (!settings) return;
  const std::vector<PendingHook> hooks =
      pending_hooks(host.local_folder(), system_hooks(), settings->host, certificate.id, shown(certificate).serial);
  candidate.entry.set("hooks_pending", to_json(hooks));
  if (!flags.dry_run) return;
  for (const PendingHook& hook : hooks) {
    output.say(printable(certificate.id) + ": the hook would run" + (hook.error.empty() ? "" : " again") + ": " +
               to_text(hook));
  }
}

void finish(std::vector<Candidate>& candidates, const KeepResult& result, const RenewFlags& flags, const Host& host,
            Output& output) {
  std::vector<JsonObject> entries;
  for (Candidate& candidate : candidates) {
    if (!flags.dry_run) {
      if (auto after = host.run(find_certificate(host.storage(), candidate.certificate.id)))
        candidate.certificate = std::move(*after);
    }
    if (candidate.certificate.damage.empty()) add_window(candidate.certificate, candidate.entry);
    conclude(candidate, result, flags, output);
    conclude_hooks(candidate, flags, host, output);
    entries.push_back(std::move(candidate.entry));
  }
  if (entries.empty()) {
    output.say("There is no certificate in " + host.place());
  } else if (!flags.dry_run && (!result.issued.empty() || !result.failed.empty())) {
    output.say(closing_line(result, entries.size()));
  }
  JsonObject& json = output.result();
  json.set("changed", !result.issued.empty());
  json.set("renewed", static_cast<int>(result.issued.size()));
  json.set("failed", static_cast<int>(result.failed.size()));
  json.set("certificates", entries);
  json.set("hooks_failed", hooks_failed(result));
}

/// What is still late after the run.
void tell_of_late(const std::vector<Candidate>& candidates, const std::vector<std::string>& lost, const Host& host,
                  Output& output) {
  std::vector<culmen::StoredCertificate> certificates;
  for (const Candidate& candidate : candidates) certificates.push_back(candidate.certificate);
  const LateAlarm alarm = late_alarm(host, output);
  try {
    alarm.tell(untold(alarm, host, certificates, lost));
  } catch (const Error& error) {
    output.warn(printable(error.while_doing("telling of late certificates").what(), 4000));
  }
}

int run_hooks_now(std::vector<Candidate>& candidates, const Host& host, Output& output) {
  std::vector<culmen::StoredCertificate> certificates;
  std::vector<JsonObject> entries;
  for (Candidate& candidate : candidates) {
    candidate.entry.set("result", "hooks only");
    entries.push_back(std::move(candidate.entry));
    certificates.push_back(std::move(candidate.certificate));
  }
  const KeepResult result = run_hooks_again(host, certificates, output);
  say_failures(result, certificates.size() > 1, output);
  output.result().set("changed", false);
  output.result().set("certificates", entries);
  output.result().set("hooks_failed", hooks_failed(result));
  return result.exit_code();
}

/// Finishes names that are being changed. What cannot be finished fails: returns which certificates are only there
/// twice because of that.
std::set<std::string> unfinished(const RenewFlags& flags, const Host& host, KeepResult& result, Output& output) {
  std::set<std::string> doubles;
  const auto fails = [&](const NameChange& change, const Error& error) {
    result.failed.insert_or_assign(change.from, error);
    if (change.to.empty() || !host.run(find_certificate(host.storage(), change.from))) return;
    result.failed.insert_or_assign(change.to, error);
    doubles.insert(change.to);
  };
  if (flags.dry_run) {
    for (const NameChange& change : host.begun_changes())
      fails(change, Error(Errc::io_failed, doing_text(change), "it was not finished; culmen renew does the rest"));
  } else {
    for (const auto& [change, error] : finish_begun(host, std::chrono::seconds(30), output)) fails(change, error);
  }
  return doubles;
}

int run_renew(const RenewFlags& flags, Output& output) {
  output.verbose(flags.keep.connection.verbose);
  output.quiet(flags.quiet);
  output.log_as_json(flags.keep.connection.log_format == "json");
  const Host host(flags.state, Host::Access::read, output);
  KeepResult result;
  const std::set<std::string> doubles = unfinished(flags, host, result, output);
  std::vector<Candidate> candidates = candidates_of(flags, host);
  if (flags.run_hooks) return run_hooks_now(candidates, host, output);
  std::vector<Kept> wanted;
  for (Candidate& candidate : candidates) {
    const std::string& id = candidate.certificate.id;
    if (doubles.contains(id)) continue;
    Intent intent = intent_of(host, candidate.certificate, flags.force);
    if (intent.output_error) result.not_written.insert_or_assign(id, *intent.output_error);
    if (intent.error) {
      result.failed.insert_or_assign(id, *intent.error);
    } else if (intent.kept) {
      if (intent.kept->settings.host.files_only) {
        candidate.entry.set("result", "files only");
        if (flags.force) output.warn(printable(id) + ": --force has no effect here: this host only takes its files");
      }
      wanted.push_back(std::move(*intent.kept));
    } else {
      candidate.entry.set("result", "skipped");
      if (intent.obstacle.empty()) {
        skip_unknown(candidate, flags, output);
      } else {
        candidate.entry.set("reason", intent.obstacle);
        output.say_of(id, "not_kept", printable(id) + ": not renewed: " + intent.obstacle);
      }
    }
  }
  const std::vector<std::string> lost =
      flags.names.empty() ? note_lost(host, candidates, result) : std::vector<std::string>();
  if (candidates.empty()) host.check_used();
  const bool several = candidates.size() > 1;
  if (!flags.dry_run) {
    KeepResult kept = keep_once(host, wanted, flags.keep, output);
    kept.failed.merge(result.failed);
    kept.not_written.merge(result.not_written);
    result = std::move(kept);
  }
  say_failures(result, several, output);
  finish(candidates, result, flags, host, output);
  if (!flags.dry_run) tell_of_late(candidates, lost, host, output);
  return result.exit_code();
}

}  // namespace

void define_renew(Command& command) {
  auto flags = std::make_shared<RenewFlags>();
  command.arguments("names NAME", flags->names, "Names of certificates, as culmen list shows them; none: all")
      .names_certificate();
  command.flag("--dry-run", flags->dry_run, "Report what would be done and why, and change nothing");
  command.flag("--force", flags->force, "Renew even what is not due");
  command.flag("--run-hooks", flags->run_hooks, "Run deploy hooks now, and renew nothing; with -v, show what they say")
      .excludes("--dry-run")
      .excludes("--force");
  command.flag("-q,--quiet", flags->quiet, "Say only warnings and errors, as for cron");
  command.flag("--ask-again", flags->keep.ask_again, "Ask the CAs when to renew, even if they were asked recently");
  add_account_flags(command, flags->keep.account);
  add_state_flags(command, flags->state);
  add_connection_flags(command, flags->keep.connection);
  add_log_flag(command, flags->keep.connection);
  command.set_action([flags](Output& output) { return run_renew(*flags, output); });
}

}  // namespace culmen::cli
