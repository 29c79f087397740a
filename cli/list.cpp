// culmen list and culmen status: what is kept here, without asking a CA.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/stored_accounts.hpp"
#include "deploy.hpp"
#include "describe.hpp"
#include "files.hpp"
#include "hint.hpp"
#include "host.hpp"
#include "intent.hpp"
#include "output.hpp"
#include "rehearse_report.hpp"
#include "shown_settings.hpp"

namespace culmen::cli {

namespace {

using Clock = std::chrono::system_clock;

struct ListFlags {
  ListFlags() = default;
  StateFlags state;
  std::vector<std::string> names;
  int warn_days = -1;
  bool names_only = false;
  bool json = false;
};

/// How a certificate is, in the order of severity.
enum class Health { fine, not_issued, hooks_pending, outputs_pending, late, failing, revoked, expired, damaged, lost };

std::string_view to_string(Health health) {
  switch (health) {
    case Health::fine: return "valid";
    case Health::not_issued: return "not issued";
    case Health::hooks_pending: return "hooks pending";
    case Health::outputs_pending: return "outputs pending";
    case Health::late: return "late";
    case Health::failing: return "failing";
    case Health::revoked: return "revoked";
    case Health::expired: return "expired";
    case Health::damaged: return "damaged";
    case Health::lost: return "lost";
  }
  return "unknown";
}

/// A certificate, and what to say of it.
struct Line {
  Line() = default;
  culmen::StoredCertificate certificate;
  planner::Action next;
  Health health = Health::fine;
  std::vector<std::string> problems;  ///< Why the next renewal fails, or its outputs.
  bool warned = false;                ///< It is late only for --warn-days.
  std::optional<Clock::time_point> not_after;
  std::optional<Settings> settings;  ///< nullopt: this host was never told.
  std::vector<PendingHook> hooks;
  std::vector<std::string> outputs;  ///< That are missing, or of another certificate.
};

/// One that is gone, with settings that are still there.
Line lost_line(const std::string& id, const Host& host) {
  Line line;
  line.health = Health::lost;
  line.certificate.id = id;
  line.certificate.damage.push_back(host.lost_text(id));
  return line;
}

/// What this host remembers: settings, and hooks that have to run.
void add_own(Line& line, const culmen::StoredCertificate& certificate, const Host& host) {
  if (!certificate.damage.empty()) return;
  try {
    line.settings = host.settings(certificate);
    if (!line.settings || !certificate.live) return;
    line.hooks = pending_hooks(host.local_folder(), system_hooks(), line.settings->host, certificate.id,
                               shown(certificate).serial);
    HostSettings files = line.settings->host;
    if (is_standard_output(files.out)) files.out.clear();
    line.outputs = outdated_outputs(installed_from(certificate), files);
  } catch (const Error&) {
    // find_problems() says it.
  }
}

Line line_of(culmen::StoredCertificate certificate, const Host& host, Clock::time_point now, int warn_days) {
  Line line;
  add_own(line, certificate, host);
  line.next = next_action(certificate, planner::Policy(), now);
  line.not_after = certificate.record.not_after;
  const bool warned = warn_days >= 0 && line.not_after && *line.not_after - now < std::chrono::hours(24) * warn_days;
  if (!certificate.damage.empty()) {
    line.health = Health::damaged;
  } else if (!certificate.live) {
    line.health = Health::not_issued;
  } else if (!certificate.record.revoked.empty()) {
    line.health = Health::revoked;
  } else if (line.not_after && *line.not_after <= now) {
    line.health = Health::expired;
  } else if (line.next.late || warned) {
    line.health = Health::late;
    line.warned = !line.next.late;
  } else if (!line.outputs.empty()) {
    line.health = Health::outputs_pending;
  } else if (!line.hooks.empty()) {
    line.health = Health::hooks_pending;
  }
  line.certificate = std::move(certificate);
  return line;
}

/// What can be seen without a CA: settings, outputs, hooks and accounts that cannot be used.
void find_problems(Line& line, const Host& host, const std::vector<StoredAccount>& accounts) {
  if (!line.certificate.damage.empty()) return;
  const Intent intent = intent_of(host, line.certificate, false);
  if (intent.error) line.problems.push_back(printable(intent.error->what(), 2000));
  if (intent.output_error) line.problems.push_back(printable(intent.output_error->what(), 2000));
  if (intent.kept && !intent.kept->settings.host.files_only && intent.kept->settings.host.account_key.empty()) {
    for (const std::string& directory : intent.kept->settings.spec.cas) {
      for (const StoredAccount& account : accounts) {
        if (!account.damage.empty() && account.server == server_slug(directory))
          line.problems.push_back("its account cannot be used: " + printable(account.damage, 2000));
      }
    }
  }
  if (!line.problems.empty() && line.health < Health::failing) line.health = Health::failing;
}

/// Whether the next renewal is known: the certificate can be read, and is not due.
bool has_due_date(const Line& line) {
  return line.certificate.damage.empty() && line.certificate.live && !line.next.due;
}

/// Whether the next `culmen renew` orders.
bool is_tried_at_once(const Line& line) { return line.next.due && line.next.kind == planner::Action::Kind::issue; }

/// When it is renewed or tried again.
Clock::time_point next_time(const Line& line, Clock::time_point now) {
  if (has_due_date(line)) return shown(line.certificate).due.at;
  return is_tried_at_once(line) ? now : line.next.not_before.value_or(line.next.wake_at);
}

void say_next(const Line& line, Clock::time_point now, const std::function<void(std::string, std::string)>& say) {
  const std::string reason = printable(line.next.reason, 1000);
  if (line.health == Health::damaged || line.health == Health::revoked) return;  // culmen renew leaves it alone
  if (is_tried_at_once(line)) return say("next try", "at the next culmen renew: " + reason);
  const std::string time = time_text(next_time(line, now));
  const bool has_time = reason.find(time) != std::string::npos;
  say(line.next.due ? "next try" : "renewal", has_time ? reason : time + ": " + reason);
}

std::string names_of(const culmen::StoredCertificate& certificate) {
  const std::vector<std::string>& names = certificate.record.names.empty() && certificate.record.spec
                                              ? certificate.record.spec->names
                                              : certificate.record.names;
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + printable(name);
  return text;
}

std::string in_words(Clock::time_point time, Clock::time_point now) {
  const auto distance = std::chrono::duration_cast<std::chrono::seconds>(time - now);
  return distance.count() >= 0 ? "in " + duration_text(distance) : duration_text(-distance) + " ago";
}

JsonObject entry_of(const Line& line, const Host& host, Clock::time_point now) {
  const culmen::StoredCertificate& certificate = line.certificate;
  JsonObject entry;
  if (certificate.damage.empty()) {
    describe(certificate, host, entry);
  } else {
    entry.set("name", certificate.id);
    std::vector<std::string> damage;
    for (const std::string& text : certificate.damage) damage.push_back(printable(text, 2000));
    entry.set("damage", damage);
  }
  entry.set("status", to_string(line.health));
  if (!line.problems.empty()) entry.set("problems", line.problems);
  if (certificate.damage.empty()) {
    entry.set("renewal_due", line.next.due);
    entry.set("next", time_text(next_time(line, now)));
    entry.set("reason", printable(line.next.reason, 1000));
  }
  if (!certificate.record.revoked.empty()) entry.set("revoked", certificate.record.revoked);
  if (!certificate.record.last_error.empty()) entry.set("last_error", printable(certificate.record.last_error, 2000));
  unsigned failures = 0;
  for (const auto& [ca, attempts] : certificate.record.attempts) failures = std::max(failures, attempts.in_a_row);
  entry.set("failures", static_cast<int>(failures));
  entry.set("hooks_pending", to_json(line.hooks));
  if (!line.outputs.empty()) entry.set("outputs_pending", line.outputs);
  if (line.settings) entry.set("settings", settings_object(*line.settings));
  return entry;
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size(), width), ' ');
  return text + "  ";
}

/// "letsencrypt", or the host of the CA.
std::string short_name_of_ca(const culmen::StoredCertificate& certificate) {
  std::string url = certificate.record.server;
  if (url.empty() && certificate.record.spec && !certificate.record.spec->cas.empty())
    url = certificate.record.spec->cas.front();
  return ca_name(url);
}

std::string names_or_damage(const Line& line) {
  const std::vector<std::string>& damage = line.certificate.damage;
  if (!damage.empty()) return printable(damage.front(), 2000);
  std::string missing;
  for (const auto& left_out : missing_names(line.certificate))
    missing += (missing.empty() ? "; missing: " : ", ") + printable(left_out.first);
  return names_of(line.certificate) + missing;
}

/// A table: its first line names the columns, on a terminal only.
void say_table(const std::vector<Line>& lines, Clock::time_point now, bool has_header, Output& output) {
  std::size_t width = 4;
  for (const Line& line : lines) width = std::max(width, line.certificate.id.size());
  if (has_header && !lines.empty()) {
    output.say(padded("NAME", width) + padded("STATUS", 13) + padded("EXPIRES", 20) + padded("RENEWAL", 20) +
               padded("CA", 11) + "NAMES");
  }
  for (const Line& line : lines) {
    const std::string expires = line.not_after ? time_text(*line.not_after) : "-";
    const std::string renewal = has_due_date(line) ? time_text(next_time(line, now)) : "-";
    output.say(padded(printable(line.certificate.id), width) + padded(std::string(to_string(line.health)), 13) +
               padded(expires, 20) + padded(renewal, 20) + padded(short_name_of_ca(line.certificate), 11) +
               names_or_damage(line));
    for (const std::string& problem : line.problems) output.say("  " + problem);
  }
}

void say_remedy(const Line& line, Output& output) {
  const std::string id = printable(line.certificate.id);
  const std::string issue = hint("issue --name " + id), remove = hint("delete " + id);
  if (line.health == Health::not_issued) output.say("  Finish it with: " + issue + "; or remove it with: " + remove);
  if (line.health == Health::damaged) {
    const CertificateRecord& record = line.certificate.record;
    const bool is_known = record.spec || !record.names.empty();
    output.say(is_known
                   ? "  Replace it with: " + issue
                   : "  Mend that, restore it from a backup, or begin again: " + remove + "; " + hint("issue -d …"));
  }
  if (line.health == Health::revoked)
    output.say("  It is not renewed. Replace it with: " + issue + "; or remove it with: " + remove);
}

void say_block(const Line& line, const Host& host, Clock::time_point now, Output& output) {
  const auto say = [&output](std::string label, const std::string& text) {
    if (text.empty()) return;
    label.resize(14, ' ');
    output.say("  " + label + text);
  };
  const culmen::StoredCertificate& certificate = line.certificate;
  output.say(printable(certificate.id) + ": " + std::string(to_string(line.health)) +
             (line.warned ? " (it expires within --warn-days)" : ""));
  for (const std::string& damage : certificate.damage) say("damage", printable(damage, 2000));
  for (const std::string& problem : line.problems) say("problem", problem);
  say("names", names_of(certificate));
  for (const auto& [name, left_out] : missing_names(certificate)) {
    say("missing", printable(name) + " since " + time_text(left_out.since) + ": " + printable(left_out.why, 1000) +
                       "; next try after " + time_text(left_out.next_try));
  }
  say("CA", printable(certificate.record.server));
  if (certificate.live && certificate.damage.empty()) {
    const Shown seen = shown(certificate);
    say("valid", time_text(seen.leaf.not_before) + " to " + time_text(seen.leaf.not_after) + " (" +
                     in_words(seen.leaf.not_after, now) + ")");
    say("key type", printable(certificate.record.key_type));
    say("serial", seen.serial);
    say("issuer", printable(seen.leaf.issuer_common_name));
    say("files", host.live_folder(certificate.id).string());
  }
  if (certificate.damage.empty()) say_next(line, now, say);
  for (const std::string& file : line.outputs)
    say("outputs", printable(file) + " is missing, or is not of this certificate; the next culmen renew writes it");
  for (const PendingHook& hook : line.hooks) say("hooks", "pending: " + to_text(hook));
  if (!line.hooks.empty()) say("", "The next culmen renew runs them.");
  say("revoked", printable(certificate.record.revoked));
  say("last failure", printable(certificate.record.last_error, 2000));
  if (line.settings) {
    output.say("  Remembered settings:");
    say_settings(*line.settings, output);
  }
  say_remedy(line, output);
}

/// Two certificates with the same names are seldom wanted, and count twice against a CA's limits.
void note_twins(const std::vector<Line>& lines, Output& output) {
  std::map<std::pair<std::set<std::string>, std::string>, std::vector<std::string>> by_names;
  for (const Line& line : lines) {
    const CertificateRecord& record = line.certificate.record;
    if (record.names.empty()) continue;
    by_names[{std::set<std::string>(record.names.begin(), record.names.end()), record.key_type}].push_back(
        line.certificate.id);
  }
  for (const auto& [names, ids] : by_names) {
    if (ids.size() < 2) continue;
    std::string text;
    for (const std::string& id : ids) text += (text.empty() ? "" : ", ") + printable(id);
    output.say("note: these have the same names: " + text);
  }
}

int run_list(const ListFlags& flags, bool details, Output& output) {
  const Host host(flags.state, Host::Access::read, output);
  if (flags.names_only) {
    for (const culmen::StoredCertificate& certificate : host.certificates()) output.say(printable(certificate.id));
    return exit_ok;
  }
  const Clock::time_point now = Clock::now();
  std::vector<Line> lines;
  if (flags.names.empty()) {
    std::vector<culmen::StoredCertificate> certificates = host.certificates();
    const std::vector<std::string> lost = host.lost_ids(certificates);
    for (culmen::StoredCertificate& certificate : certificates)
      lines.push_back(line_of(std::move(certificate), host, now, flags.warn_days));
    for (const std::string& id : lost) lines.push_back(lost_line(id, host));
  } else {
    for (const std::string& name : flags.names)
      lines.push_back(line_of(host.certificate(name), host, now, flags.warn_days));
  }
  const std::vector<StoredAccount> accounts = host.run(list_accounts(host.storage()));
  for (Line& line : lines) find_problems(line, host, accounts);
  if (!details) say_table(lines, now, isatty(STDOUT_FILENO) == 1, output);
  std::vector<JsonObject> entries;
  int bad = 0, unreadable = 0;
  std::string reasons;
  for (const Line& line : lines) {
    if (details) say_block(line, host, now, output);
    if (line.health != Health::fine) {
      ++bad;
      reasons +=
          (reasons.empty() ? "" : ", ") + printable(line.certificate.id) + ": " + std::string(to_string(line.health));
    }
    if (!line.certificate.damage.empty() || !line.problems.empty()) ++unreadable;
    entries.push_back(entry_of(line, host, now));
  }
  if (lines.empty()) host.check_used();
  for (const NameChange& change : host.begun_changes()) {
    output.warn(doing_text(change) + " was begun and not finished; culmen renew does the rest");
    ++bad;
  }
  if (lines.empty()) output.say("There is no certificate in " + host.place());
  note_twins(lines, output);
  output.result().set("certificates", entries);
  output.result().set("not_fine", bad);
  // For monitoring. `list` only shows, but what is damaged or cannot be renewed is its failure, too.
  const bool failed = (details && bad > 0) || unreadable > 0;
  if (failed) output.reason("not_fine", reasons);
  return failed ? exit_failed : exit_ok;
}

void add_flags(Command& command, ListFlags& flags) {
  add_state_flags(command, flags.state);
  add_json_flag(command, flags.json);
}

}  // namespace

void define_list(Command& command) {
  auto flags = std::make_shared<ListFlags>();
  add_flags(command, *flags);
  command.flag("--names", flags->names_only, "Print only the names, one per line").excludes("--json");
  command.set_action([flags](Output& output) { return run_list(*flags, false, output); });
}

void define_status(Command& command) {
  auto flags = std::make_shared<ListFlags>();
  command.arguments("names NAME", flags->names, "Names of certificates, as culmen list shows them; none: all")
      .names_certificate();
  command
      .number("--warn-days DAYS", flags->warn_days, "Report a certificate as late if it expires within this many days")
      .between(0, 3650)
      .hide_default();
  add_flags(command, *flags);
  command.set_action([flags](Output& output) { return run_list(*flags, true, output); });
}

}  // namespace culmen::cli
