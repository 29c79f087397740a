// culmen delete, rename and edit.
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
  // All are looked up first: with a misspelled name nothing is deleted.
  std::set<std::string> stored;
  for (const std::string& name : flags.names) {
    // Another host may have deleted it from a storage that both use.
    if (!host.keeps_files() && host.has_settings(name) && !host.run(find_certificate(host.storage(), name))) continue;
    stored.insert(host.certificate(name, Host::Guess::none).id);
  }
  std::vector<std::string> kept;
  for (const std::string& name : flags.names) {
    if (!stored.contains(name)) {
      host.drop_own(name);
      output.say("Deleted from this host: " + printable(name) + ". It was not in " + host.place() + " any more.");
      continue;
    }
    for (const std::string& key : host.run(remove_certificate(host.storage(), name, host.lease()))) {
      output.say("Its key is kept: " + host.place_of_key(key));
      kept.push_back(host.place_of_key(key));
    }
    host.drop_own(name);
    output.say("Deleted: " + printable(name) + ". It was not revoked.");
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
  (void)host.certificate(flags.from, Host::Guess::none);
  const std::string to = checked_id(flags.to);
  if (host.run(find_certificate(host.storage(), to))) {
    throw Failure(exit_usage, "conflict", "there is a certificate \"" + to + "\" already",
                  "Choose another name, or remove that one first: " + hint("delete " + to));
  }
  const std::filesystem::path before = host.live_folder(flags.from);
  host.run(rename_certificate(host.storage(), flags.from, to, host.lease()));
  host.rename_own(flags.from, to);
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

int run_edit(const EditFlags& flags, Output& output) {
  const Host host(flags.state, Host::Access::read, output);
  const culmen::StoredCertificate certificate = host.certificate(flags.name);
  if (flags.files_only && host.keeps_files())
    throw Failure(exit_usage, "invalid_argument", "--files-only is for certificates that another host renews",
                  "Here they are in files of this host: " + host.place());
  Settings before = host.settings_to_change(certificate);
  // A host that is told for the first time has not said how it proves the names.
  const bool is_new = !host.keeps_files() && !host.has_settings(flags.name);
  before.host.files_only = !flags.renew_here && (flags.files_only || is_new || before.host.files_only);
  Settings after = flags.settings.merged(before);
  after.spec.id = flags.name;
  check_outputs(after.host);
  host.keep_settings(flags.name, after.host);
  if (certificate.record.spec != after.spec) {
    host.run(change_certificate(
        host.storage(), flags.name,
        [&](CertificateRecord& record) -> Result<void> {
          record.spec = after.spec;
          return {};
        },
        host.lease()));
  }
  output.result().set("files_only", after.host.files_only);
  if (after.host.files_only) {
    output.say(printable(flags.name) +
               ": culmen renew takes its files to this host, and runs the hooks. Another host has to renew it; with "
               "--renew-here this one does, too.");
    output.result().set("name", flags.name);
    return exit_ok;
  }
  const planner::Action next =
      next_action(host.certificate(flags.name), planner::Policy(), std::chrono::system_clock::now());
  output.say(printable(flags.name) + ": " +
             (next.due ? "the next culmen renew gets a certificate with the new settings"
                       : "the new settings hold from the next renewal on"));
  output.result().set("name", flags.name);
  output.result().set("renewal_due", next.due);
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
  Command shared = command.under_heading("With a storage that several hosts share");
  shared.flag("--files-only", flags->files_only,
              "Another host renews it: take its files and run hooks (default on a host that did not issue it)");
  shared.flag("--renew-here", flags->renew_here, "This host also renews it").excludes("--files-only");
  add_state_flags(command, flags->state);
  add_json_flag(command, flags->json);
  command.set_action([flags](Output& output) { return run_edit(*flags, output); });
}

}  // namespace culmen::cli
