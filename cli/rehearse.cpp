// culmen rehearse: what would be renewed in the time to come, and what would fail.

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "challenge_solvers.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/attempt.hpp"
#include "culmen/directory.hpp"
#include "culmen/rehearsal.hpp"
#include "deploy.hpp"
#include "files.hpp"
#include "host.hpp"
#include "interrupt.hpp"
#include "output.hpp"
#include "rehearse_hooks.hpp"
#include "rehearse_report.hpp"

namespace culmen::cli {

namespace {

using std::chrono::hours;

struct RehearseFlags {
  RehearseFlags() = default;
  StateFlags state;
  std::vector<std::string> names, outages;
  std::string length = "2y", from, hooks = "print", svg;
  int every = 12, random_outages = 0;
  std::uint64_t seed = 1;
  bool json = false, verbose = false;
};

/// A certificate that takes part.
struct Taking {
  Taking() = default;
  culmen::StoredCertificate certificate;
  Settings settings;    ///< As on this host.
  HostSettings copied;  ///< With outputs in the copy.
};

Failure usage_fault(const std::string& what, const std::string& advice) {
  return Failure(exit_usage, "invalid_argument", what, advice);
}

// ---- What was asked for ----

/// "2027-03-01", "2027-03-01T06:30" or "2027-03-01T06:30:00Z", in UTC.
planner::Time time_of(const std::string& flag, const std::string& text) {
  int year = 0, hour = 0, minute = 0, second = 0;
  unsigned month = 0, day = 0;
  int day_end = 0, minute_end = 0, end = 0;
  std::sscanf(text.c_str(), "%4d-%2u-%2u%nT%2d:%2d%n:%2dZ%n", &year, &month, &day, &day_end, &hour, &minute,
              &minute_end, &second, &end);
  const int size = static_cast<int>(text.size());
  const std::chrono::year_month_day date = std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day);
  const bool is_whole = day_end == 10 && (size == day_end || size == minute_end || size == end);
  const bool in_range = year >= 2000 && year <= 2100 && date.ok() && hour >= 0 && hour <= 23 && minute >= 0 &&
                        minute <= 59 && second >= 0 && second <= 59;
  if (!is_whole || !in_range)
    throw usage_fault(flag + ": \"" + printable(text) + "\" is not a date",
                      "Write 2027-03-01 or 2027-03-01T06:30, in UTC.");
  return std::chrono::sys_days(date) + hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second);
}

/// A whole number at the start of `text`, which is shortened by it; -1 if there is none.
int taken_number(std::string_view& text) {
  int number = -1;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc()) return -1;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

hours length_of(const std::string& text) {
  std::string_view rest = text;
  const int number = taken_number(rest);
  const int unit = rest == "h" ? 1 : rest == "d" ? 24 : rest == "w" ? 24 * 7 : rest == "y" ? 24 * 365 : 0;
  if (number < 1 || number > 50'000 || unit == 0 || number > 24 * 365 * 5 / unit)
    throw usage_fault("--for: \"" + printable(text) + "\" is not a time of one hour to five years",
                      "Write 12h, 90d, 26w or 2y.");
  return hours(unit * number);
}

/// START+HOURS[@CA]
CaOutage outage_of(const std::string& text) {
  const std::string advice = "Write START+HOURS, such as 2027-03-01T06:00+40, and @CA behind it for one CA alone.";
  const std::size_t plus = text.find('+');
  if (plus == std::string::npos) throw usage_fault("--outage: \"" + printable(text) + "\" has no \"+\"", advice);
  CaOutage outage;
  outage.from = time_of("--outage", text.substr(0, plus));
  std::string_view rest = std::string_view(text).substr(plus + 1);
  const int length = taken_number(rest);
  const bool has_ca = !rest.empty() && rest.front() == '@';
  if (length < 1 || length > 24 * 366 || (!rest.empty() && !has_ca))
    throw usage_fault("--outage: \"" + printable(text) + "\" does not say how many hours", advice);
  outage.until = outage.from + hours(length);
  if (has_ca) outage.ca = directory_url(std::string(rest.substr(1)));
  return outage;
}

RehearsalOptions options_of(const RehearseFlags& flags) {
  RehearsalOptions options;
  options.from = flags.from.empty() ? std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now())
                                    : time_of("--from", flags.from);
  options.until = options.from + length_of(flags.length);
  options.every = hours(flags.every);
  options.seed = flags.seed;
  for (const std::string& text : flags.outages) options.outages.push_back(outage_of(text));
  for (CaOutage& outage :
       random_outages(static_cast<std::size_t>(flags.random_outages), flags.seed, options.from, options.until))
    options.outages.push_back(std::move(outage));
  return options;
}

/// Why it is not rehearsed; empty: it is.
std::string reason_to_skip(const culmen::StoredCertificate& certificate, const std::optional<Settings>& settings) {
  if (!settings) return "another host renews it";
  if (!certificate.record.revoked.empty()) return "it was revoked, and is not renewed";
  if (certificate.live && certificate.live->key_pem.empty())
    return "it was made for a CSR, and is not renewed by itself";
  return {};
}

std::vector<Taking> taking_part(const RehearseFlags& flags, const Host& host, Output& output) {
  std::vector<culmen::StoredCertificate> certificates;
  if (flags.names.empty()) certificates = host.certificates();
  for (const std::string& name : flags.names) certificates.push_back(host.certificate(name));
  std::vector<Taking> all;
  for (culmen::StoredCertificate& certificate : certificates) {
    const std::string id = certificate.id;
    if (!certificate.damage.empty())
      throw Failure(exit_failed, "io_failed", printable(id) + ": " + certificate.damage.front(),
                    "Repair it, or name the others.");
    const std::optional<Settings> settings = host.settings(certificate);
    if (const std::string reason = reason_to_skip(certificate, settings); !reason.empty()) {
      output.say(printable(id) + ": left out: " + reason);
      continue;
    }
    Taking taking;
    taking.settings = *settings;
    taking.settings.spec.id = id;
    check_settings(taking.settings);
    taking.certificate = std::move(certificate);
    all.push_back(std::move(taking));
  }
  return all;
}

// ---- The rehearsal ----

class Stage {
 public:
  Stage(std::vector<Taking> all, const Host& host, const RehearseFlags& flags, RehearsalOptions options, Output& output)
      : all_(std::move(all)), options_(std::move(options)), hooks_(host, flags.hooks == "real"), output_(output) {
    for (Taking& taking : all_) {
      taking.copied = hooks_.redirected(taking.certificate.id, taking.settings.host);
      by_id_[taking.certificate.id] = &taking;
    }
    report_.hooks_ran = flags.hooks == "real";
  }

  RehearsalReport run() {
    ManagerOptions manager;
    std::vector<culmen::StoredCertificate> certificates;
    for (const Taking& taking : all_) {
      manager.specs.push_back(taking.settings.spec);
      certificates.push_back(taking.certificate);
    }
    manager.prepare = [this](Attempt& attempt) { prepare(attempt); };
    manager.installed = [this](const InstalledCertificate& certificate) {
      const auto found = by_id_.find(certificate.id);
      if (found != by_id_.end()) hooks_.installed(certificate, found->second->copied, causes_[certificate.id]);
    };
    manager.on_event = [this](const ManagerEvent& event) {
      now_ = event.at;
      if (event.kind == ManagerEvent::Kind::issuing) causes_[event.id] = event.detail;
      // Each run reads the copy; of interest is the first.
      if (event.kind == ManagerEvent::Kind::loaded && std::exchange(said_loaded_, true)) return;
      output_.log(minute_text(event.at) + " " + to_text(event));
    };
    options_.after_run = [this](planner::Time now) { after_run(now); };
    report_.certificates = rehearse(std::move(manager), certificates, options_);
    report_.from = options_.from;
    report_.until = options_.until;
    report_.every = options_.every;
    report_.outages = options_.outages;
    report_.hooks = hooks_.calls();
    return std::move(report_);
  }

 private:
  void prepare(Attempt& attempt) {
    const Taking& taking = *by_id_.at(attempt.id);
    const HostSettings& host = taking.settings.host;
    hooks_.before_order(taking.copied, now_);
    IssueRequest& request = attempt.request;
    request.ancestor_domains = ancestor_domains(host.ancestors, request.identifiers);
    if (attempt.spec.challenge == "onion-csr-01") {
      attempt.solvers = {make_challenge_solver(attempt.spec.challenge, host.challenge, attempt.directory,
                                               attempt.account, request.identifiers, output_)};
      add_onion_flags(host.challenge, attempt.directory, request);
    }
    if (const std::optional<PrivateKey> key = input_key(host)) request.key = *key;
  }

  void after_run(planner::Time now) {
    hooks_.after_run(now);
    if (interrupt_token().cancelled()) throw Error(Errc::cancelled, "rehearsing renewals", "interrupted");
  }

  std::vector<Taking> all_;
  RehearsalOptions options_;
  RehearsedHooks hooks_;
  Output& output_;
  std::map<std::string, const Taking*> by_id_;
  std::map<std::string, std::string> causes_;
  planner::Time now_;
  bool said_loaded_ = false;
  RehearsalReport report_;
};

// ---- What is said ----

/// What is known of a CA and its profile.
std::string terms_text(const std::string& ca, const std::string& profile, const RehearsalReport& report) {
  std::string line = ca_name(ca) + (profile.empty() ? "" : ", profile " + printable(profile)) + ": ";
  const CaTerms* terms = ca_terms_at(known_ca_terms(), ca, profile, report.from);
  if (!terms) return line + "certificates live as long as the present ones";
  line += "certificates live " + lifetime_text(terms->certificate_lifetime);
  for (const CaTerms& later : known_ca_terms()) {
    if (later.ca == ca && later.profile == profile && later.from > report.from && later.from < report.until)
      line += ", " + lifetime_text(later.certificate_lifetime) + " from " + day_text(later.from);
  }
  return line;
}

void say_terms(const RehearsalReport& report, Output& output) {
  std::set<std::string> lines;
  for (const RehearsedCertificate& certificate : report.certificates) {
    for (const RehearsedCertificate::Life& life : certificate.lives)
      lines.insert(terms_text(life.ca, certificate.profile, report));
  }
  for (const std::string& line : lines) output.say(line);
  for (const CaOutage& outage : report.outages)
    output.say("Outage of " + (outage.ca.empty() ? std::string("all CAs") : ca_name(outage.ca)) + ": " +
               minute_text(outage.from) + " to " + minute_text(outage.until));
}

void say_list(const char* heading, const std::vector<std::string>& lines, Output& output) {
  if (lines.empty()) return;
  output.say("");
  output.say(heading);
  for (const std::string& line : lines) output.say("  " + line);
}

void say_incidents(const std::vector<Incident>& incidents, bool harmless, const char* heading, Output& output) {
  std::vector<std::string> lines;
  for (const Incident& incident : incidents)
    if (incident.harmless == harmless) lines.push_back(minute_text(incident.at) + "  " + incident.text);
  say_list(heading, lines, output);
}

void say_report(const RehearsalReport& report, Output& output) {
  const std::string runs = report.every.count() > 0
                               ? "with a run every " + std::to_string(report.every / hours(1)) + " h"
                               : "renewing at any moment, as culmen run does";
  const bool is_short = report.until - report.from < hours(48);
  output.say("Rehearsal from " + (is_short ? minute_text(report.from) : day_text(report.from)) + " to " +
             (is_short ? minute_text(report.until) : day_text(report.until)) + ", " + runs +
             "; times are UTC. No CA is asked, and nothing real is changed.");
  output.say("Validation is assumed to succeed, and no name to be refused; culmen check looks for obstacles.");
  say_terms(report, output);
  output.say("");
  for (const std::string& line : rehearsal_table(report)) output.say(line);
  say_list("Assumed to succeed from now on:", unproven_certificates(report), output);
  say_list(report.hooks_ran ? "Hooks:" : "Hooks, not run (--hooks real runs them):", hook_table(report), output);
  const std::vector<Incident> incidents = incidents_of(report);
  say_incidents(incidents, true, "Held up, without harm:", output);
  say_incidents(incidents, false, "Would fail:", output);
}

JsonObject json_of(const RehearsedCertificate& certificate, planner::Time end) {
  JsonObject json;
  json.set("name", certificate.id);
  json.set("renewals", static_cast<int>(certificate.issued()));
  if (const auto least = certificate.least_margin(end)) {
    json.set("least_margin_seconds", static_cast<std::int64_t>(least->left.count()));
    json.set("least_margin_at", time_text(least->at));
  }
  json.set("fails", certificate.fails(end));
  json.set("never_issued", !certificate.was_there);
  json.set("failures_so_far", static_cast<int>(certificate.failures));
  if (!certificate.last_failure.empty()) json.set("last_error", printable(certificate.last_failure, 2000));
  std::vector<JsonObject> lives, troubles;
  for (std::size_t i = 0; i < certificate.lives.size(); ++i) {
    JsonObject life;
    life.set("from", time_text(certificate.lives[i].from));
    life.set("until", time_text(certificate.lives[i].until));
    life.set("server", certificate.lives[i].ca);
    life.set("present", i == 0 && certificate.was_there);
    lives.push_back(std::move(life));
  }
  for (const RehearsedCertificate::Trouble& trouble : certificate.troubles) {
    JsonObject one;
    one.set("from", time_text(trouble.from));
    if (trouble.until) one.set("until", time_text(*trouble.until));
    one.set("attempts", static_cast<int>(trouble.attempts));
    one.set("in_outage", trouble.in_outage);
    one.set("server", trouble.ca);
    one.set("why", printable(trouble.why, 1000));
    troubles.push_back(std::move(one));
  }
  json.set("certificates", lives);
  json.set("troubles", troubles);
  return json;
}

void fill_json(const RehearsalReport& report, bool fails, JsonObject& json) {
  json.set("from", time_text(report.from));
  json.set("until", time_text(report.until));
  json.set("fails", fails);
  std::vector<JsonObject> certificates, hooks, outages, incidents;
  for (const RehearsedCertificate& certificate : report.certificates)
    certificates.push_back(json_of(certificate, report.until));
  for (const HookCall& call : report.hooks) {
    JsonObject one;
    one.set("at", time_text(call.at));
    one.set("program", call.program);
    one.set("names", call.ids);
    if (!call.failed.empty()) one.set("failed", printable(call.failed, 1000));
    hooks.push_back(std::move(one));
  }
  for (const CaOutage& outage : report.outages) {
    JsonObject one;
    one.set("from", time_text(outage.from));
    one.set("until", time_text(outage.until));
    one.set("server", outage.ca);
    outages.push_back(std::move(one));
  }
  for (const Incident& incident : incidents_of(report)) {
    JsonObject one;
    one.set("at", time_text(incident.at));
    one.set("text", incident.text);
    one.set("harmless", incident.harmless);
    incidents.push_back(std::move(one));
  }
  json.set("certificates", certificates);
  json.set("hooks_ran", report.hooks_ran);
  json.set("hooks", hooks);
  json.set("outages", outages);
  json.set("incidents", incidents);
}

int run_rehearse(const RehearseFlags& flags, Output& output) {
  output.verbose(flags.verbose);
  RehearsalOptions options = options_of(flags);
  check_output("--svg", flags.svg);  // the rehearsal may take long
  const Host host(flags.state, Host::Access::read, output);
  std::vector<Taking> all = taking_part(flags, host, output);
  if (all.empty()) {
    output.say("There is no certificate to rehearse in " + host.folder().string());
    return exit_ok;
  }
  const RehearsalReport report = Stage(std::move(all), host, flags, std::move(options), output).run();
  const std::vector<Incident> incidents = incidents_of(report);
  const bool fails = std::ranges::any_of(incidents, [](const Incident& incident) { return !incident.harmless; });
  say_report(report, output);
  fill_json(report, fails, output.result());
  if (!flags.svg.empty()) {
    write_file_atomically(flags.svg, rehearsal_svg(report));
    output.say("");
    output.say("Wrote " + flags.svg);
  }
  return fails ? exit_failed : exit_ok;
}

}  // namespace

void define_rehearse(Command& command) {
  auto flags = std::make_shared<RehearseFlags>();
  command.arguments("names NAME", flags->names, "Names of certificates, as culmen list shows them; none: all")
      .names_certificate();
  command.text("--for TIME", flags->length, "How far to look ahead: 12h, 90d, 26w, 2y; five years at most");
  command.text("--from DATE", flags->from, "When to begin (default: now)").hide_default();
  command.number("--every HOURS", flags->every, "Hours between two runs of the timer; 0: culmen run, which needs none")
      .between(0, 720);
  command.text("--hooks WHAT", flags->hooks, "print: count the calls of hooks; real: run the hooks, on the copy")
      .one_of({"print", "real"});
  command.list("--outage START+HOURS[@CA]", flags->outages, "An outage of a CA, or of all, such as 2027-03-01+40");
  command.number("--outages N", flags->random_outages, "Number of random outages of 1 to 72 hours")
      .between(0, 1000)
      .hide_default();
  command.number("--seed NUMBER", flags->seed, "Seed of the random choices: the same seed gives the same result");
  command.text("--svg FILE", flags->svg, "Also draw it in this SVG file").hide_default();
  add_state_flags(command, flags->state);
  add_json_flag(command, flags->json);
  add_verbose_flag(command, flags->verbose);
  command.set_action([flags](Output& output) { return run_rehearse(*flags, output); });
}

}  // namespace culmen::cli
