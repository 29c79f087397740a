// culmen delete, rename and edit.
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
#include "output.hpp"
#include "settings.hpp"
#include "shown_settings.hpp"

namespace culmen::cli {

namespace {

struct DeleteFlags {
  DeleteFlags() = default;
  StateFlags state;
  std::vector<std::string> names;
  bool json = false;
};

int run_delete(const DeleteFlags& flags, Output& output) {
  const Host host(flags.state, Host::Access::read, output);
  for (const auto& [change, error] : finish_begun(host, std::chrono::seconds(30), output, flags.names))
    output.warn(printable(error.what(), 4000));
  std::set<std::string> begun;
  for (const NameChange& change : host.begun_changes()) begun.insert(change.from);
  // All are looked up first: with a misspelled name nothing is deleted.
  std::set<std::string> stored, revoked;
  for (const std::string& name : flags.names) {
    // Another host may have deleted it from a storage that both use, or the storage may have lost it.
    const bool is_own = host.has_settings(name) || begun.contains(name);
    if (is_own && !host.run(find_certificate(host.storage(), name))) continue;
    const culmen::StoredCertificate certificate = host.certificate(name, Host::Guess::none);
    stored.insert(name);
    if (!certificate.record.revoked.empty()) revoked.insert(name);
  }
  std::vector<std::string> kept;
  for (const std::string& name : flags.names) {
    if (!stored.contains(name)) {
      (void)host.remove(name);
      output.say("Deleted from this host: " + printable(name) + ". It was not in " + host.place() + " any more.");
      continue;
    }
    for (const std::string& key : host.remove(name)) {
      output.say("Its key is kept: " + host.place_of_key(key));
      kept.push_back(host.place_of_key(key));
    }
    output.say("Deleted: " + printable(name) + (revoked.contains(name) ? "." : ". It was not revoked."));
  }
  output.result().set("deleted", flags.names);
  output.result().set("keys", kept);
  return exit_ok;
}

struct RenameFlags {
  RenameFlags() = default;
  StateFlags state;
  std::string from, to;
  bool json = false;
};

int run_rename(const RenameFlags& flags, Output& output) {
  const Host host(flags.state, Host::Access::read, output);
  const std::string to = checked_id(flags.to);
  const std::vector<NameChange> begun = host.begun_changes();
  const bool is_begun = std::any_of(begun.begin(), begun.end(), [&](const NameChange& change) {
    return change.from == flags.from && change.to == to;
  });
  require_finished(host, flags.from, output);
  const bool is_done = is_begun && host.run(find_certificate(host.storage(), to)) &&
                       !host.run(find_certificate(host.storage(), flags.from));
  if (flags.from == to)
    throw Failure(exit_usage, "invalid_argument", "the certificate is called \"" + printable(to) + "\" already");
  if (!is_done) {
    (void)host.certificate(flags.from, Host::Guess::none);
    const Failure is_taken(exit_usage, "conflict", "there is a certificate \"" + to + "\" already",
                           "Choose another name. " + hint("list") + " shows those that there are.");
    if (host.run(find_certificate(host.storage(), to)) || host.has_settings(to)) throw is_taken;
    try {
      host.rename(flags.from, to);
    } catch (const Error& error) {
      if (error.code() == Errc::conflict && host.run(find_certificate(host.storage(), to))) throw is_taken;
      throw;
    }
  }
  const std::filesystem::path before = host.live_folder(flags.from);
  output.say("Renamed: " + flags.from + " is now " + to);
  output.say("Servers that read " + before.string() + " have to read " + host.live_folder(to).string() + " now.");
  output.result().set("name", to);
  return exit_ok;
}

struct EditFlags {
  EditFlags() = default;
  StateFlags state;
  SettingFlags settings;
  std::string name;
  bool files_only = false, renew_here = false;
  bool json = false;
};

/// A certificate that was issued a moment ago is left alone for a while, unless somebody wants another one.
void forget_rest(CertificateRecord& record) {
  std::erase_if(record.attempts, [](const auto& entry) {
    return entry.second.in_a_row == 0 && entry.second.last == planner::Failure::none;
  });
}

std::string labels_of(const std::vector<SettingLine>& lines, Takes takes) {
  std::string text;
  for (const SettingLine& line : lines) {
    if (line.takes == takes) text += (text.empty() ? "" : ", ") + line.label;
  }
  return text;
}

std::string when_new(const planner::Action& next) {
  if (next.kind == planner::Action::Kind::issue)
    return "with a new certificate, which the next culmen renew gets; a culmen run does so within a minute";
  return "with a new certificate, but not yet: " + printable(next.reason);
}

/// When what has changed counts.
void say_when(const std::vector<SettingLine>& changed, const culmen::StoredCertificate& certificate, bool has_hooks,
              Output& output) {
  const planner::Action next = next_action(certificate, planner::Policy(), std::chrono::system_clock::now());
  const auto has = [&changed](Takes takes) {
    return std::any_of(changed.begin(), changed.end(), [=](const SettingLine& line) { return line.takes == takes; });
  };
  if (!certificate.live) {
    output.say("It was not issued yet; the next culmen renew tries it.");
    return;
  }
  // Names that are only in another order need no other certificate, and how one was asked for may not be known.
  const std::string with_next =
      ": with the next renewal" + (next.due ? "" : ", due on " + time_text(shown(certificate).due.at));
  if (has(Takes::new_certificate))
    output.say(labels_of(changed, Takes::new_certificate) + (next.due ? ": " + when_new(next) : with_next));
  if (has(Takes::next_run)) {
    output.say(labels_of(changed, Takes::next_run) +
               ": by the next culmen renew, whether the certificate is due or not; by a culmen run within a minute");
  }
  if (has(Takes::next_change) && has_hooks) {
    output.say("deploy hook: when the certificate changes; to run it now: " +
               hint("renew " + printable(certificate.id) + " --run-hooks"));
  }
  if (has(Takes::next_renewal)) output.say(labels_of(changed, Takes::next_renewal) + with_next);
}

void say_present(const std::string& name, const Settings& settings, Output& output) {
  output.say(printable(name) + ": nothing was changed. Its settings:");
  say_settings(settings, output);
  output.result().set("name", name);
  output.result().set("changed", false);
  output.result().set("settings", settings_object(settings));
}

int run_edit(const EditFlags& flags, Output& output) {
  const Host host(flags.state, Host::Access::read, output);
  require_finished(host, flags.name, output);
  const bool has_changes = flags.settings.given() || flags.files_only || flags.renew_here;
  std::optional<ProcessLock> lock;
  if (has_changes) lock = host.lock_changes(host.lease().patience);
  const culmen::StoredCertificate certificate = host.certificate(flags.name);
  if (flags.files_only && host.keeps_files())
    throw Failure(exit_usage, "invalid_argument", "--files-only is for certificates that another host renews",
                  "Here they are in files of this host: " + host.place());
  Settings before = host.settings_to_change(certificate);
  // A host that is told for the first time has not said how it proves the names.
  const bool is_new = !host.keeps_files() && !host.has_settings(flags.name);
  if (!is_new && !has_changes) {
    say_present(flags.name, before, output);
    return exit_ok;
  }
  Settings wanted = before;
  wanted.host.files_only = !flags.renew_here && (flags.files_only || is_new || before.host.files_only);
  Settings after = flags.settings.merged(std::move(wanted));
  flags.settings.check_ports(after);
  after.spec.id = flags.name;
  check_outputs(after.host);
  check_outputs_beside_others(host, flags.name, after.host);
  const std::vector<SettingLine> changed = changed_lines(before, after);
  if (changed.empty() && !is_new) {
    say_present(flags.name, after, output);
    return exit_ok;
  }
  withdraw_access(before.host, after.host, host.live_folder(flags.name));
  host.keep_settings(flags.name, after.host);
  if (certificate.record.spec != after.spec) {
    host.run(change_certificate(
        host.storage(), flags.name,
        [&](CertificateRecord& record) -> Result<void> {
          record.spec = after.spec;
          forget_rest(record);
          return {};
        },
        host.lease()));
  }
  output.say(printable(flags.name) + ": changed");
  for (const SettingLine& line : changed) output.say(labelled(line));
  JsonObject& json = output.result();
  json.set("name", flags.name);
  json.set("changed", true);
  json.set("files_only", after.host.files_only);
  json.set("settings", settings_object(after));
  if (after.host.files_only) {
    output.say(printable(flags.name) +
               ": culmen renew takes its files to this host, and runs the hooks. Another host has to renew it; with "
               "--renew-here this one does, too.");
    return exit_ok;
  }
  const culmen::StoredCertificate edited = host.certificate(flags.name);
  say_when(changed, edited, !after.host.deploy_hooks.empty(), output);
  const bool mode_ended = !before.host.key_mode.empty() && after.host.key_mode.empty();
  const bool group_ended = !before.host.key_group.empty() && after.host.key_group.empty();
  if (mode_ended || group_ended) output.say("Files with the key that are there have lost that access already.");
  json.set("renewal_due", next_action(edited, planner::Policy(), std::chrono::system_clock::now()).due);
  return exit_ok;
}

}  // namespace

void define_delete(Command& command) {
  auto flags = std::make_shared<DeleteFlags>();
  command.arguments("names NAME", flags->names, "Names of certificates, as culmen list shows them")
      .required()
      .names_certificate();
  add_state_flags(command, flags->state);
  add_json_flag(command, flags->json);
  command.set_action([flags](Output& output) { return run_delete(*flags, output); });
}

void define_rename(Command& command) {
  auto flags = std::make_shared<RenameFlags>();
  command.argument("old OLD", flags->from, "The certificate's name now").required().names_certificate();
  command.argument("new NEW", flags->to, "Its new name").required();
  add_state_flags(command, flags->state);
  add_json_flag(command, flags->json);
  command.set_action([flags](Output& output) { return run_rename(*flags, output); });
}

void define_edit(Command& command) {
  auto flags = std::make_shared<EditFlags>();
  command.argument("name NAME", flags->name, "The certificate's name, as culmen list shows it")
      .required()
      .names_certificate();
  flags->settings.add_to(command);
  flags->settings.hide_defaults();
  command.describe(
      "Change settings of a certificate; what is not given stays. '' unsets a text or a list, --no-... a flag. Without "
      "options: show them");
  Command shared = command.under_heading("With a storage that several hosts share");
  shared.flag("--files-only", flags->files_only,
              "Another host renews it: take its files and run hooks (default on a host that did not issue it)");
  shared.flag("--renew-here", flags->renew_here, "This host also renews it").excludes("--files-only");
  add_state_flags(command, flags->state);
  add_json_flag(command, flags->json);
  command.set_action([flags](Output& output) { return run_edit(*flags, output); });
}

}  // namespace culmen::cli
