// culmen delete, rename and edit.
#include <memory>

#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "deploy.hpp"
#include "describe.hpp"
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
  for (const std::string& name : flags.names) (void)host.certificate(name);
  std::vector<std::string> kept;
  for (const std::string& name : flags.names) {
    for (const std::string& key : host.run(remove_certificate(host.storage(), name, host.lease()))) {
      output.say("Its key is kept: " + host.place_of_key(key));
      kept.push_back(host.place_of_key(key));
    }
    host.drop_settings(name);
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
  (void)host.certificate(flags.from);
  const std::string to = checked_id(flags.to);
  if (host.run(find_certificate(host.storage(), to))) {
    throw Failure(exit_usage, "conflict", "there is a certificate \"" + to + "\" already",
                  "Choose another name, or delete that one first.");
  }
  const std::filesystem::path before = host.live_folder(flags.from);
  host.run(rename_certificate(host.storage(), flags.from, to, host.lease()));
  host.rename_settings(flags.from, to);
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
  bool json = false;
};

int run_edit(const EditFlags& flags, Output& output) {
  const Host host(flags.state, Host::Access::read, output);
  const culmen::StoredCertificate certificate = host.certificate(flags.name);
  const std::optional<Settings> before = host.settings(certificate);
  Settings after = flags.settings.merged(before);
  after.spec.id = flags.name;
  check_outputs(after.host);
  host.keep_settings(flags.name, after.host);
  host.run(change_certificate(
      host.storage(), flags.name,
      [&](CertificateRecord& record) -> Result<void> {
        record.spec = after.spec;
        return {};
      },
      host.lease()));
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
  command.arguments("names NAME", flags->names, "Certificates by their names here").required().names_certificate();
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
  command.argument("name NAME", flags->name, "The certificate's name here").required().names_certificate();
  flags->settings.add_to(command);
  add_state_flags(command, flags->state);
  add_json_flag(command, flags->json);
  command.set_action([flags](Output& output) { return run_edit(*flags, output); });
}

}  // namespace culmen::cli
