// culmen issue: from names to a certificate on disk.
#include <algorithm>
#include <memory>
#include <set>

#include "account_flags.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/process_lock.hpp"
#include "deploy.hpp"
#include "describe.hpp"
#include "hint.hpp"
#include "host.hpp"
#include "issue_csr.hpp"
#include "keeper.hpp"
#include "output.hpp"
#include "settings.hpp"
#include "shown_settings.hpp"

namespace culmen::cli {

namespace {

struct IssueFlags {
  IssueFlags() = default;
  StateFlags state;
  KeepOptions keep;
  SettingFlags settings;
  std::string name;
  std::string csr;
  bool force = false;
};

/// The id: what --name says, or what the first name makes.
std::string id_from(const IssueFlags& flags) {
  if (!flags.name.empty()) return checked_id(flags.name);
  CertificateSpec named(flags.settings.names());
  named.names.front() = Identifier::parse(named.names.front()).value;
  return checked_id(id_of(named));
}

void say_where(const culmen::StoredCertificate& certificate, const Host& host, Output& output) {
  const Shown seen = shown(certificate);
  const std::filesystem::path folder = host.live_folder(certificate.id);
  output.say("Valid until " + time_text(seen.leaf.not_after) + "; due for renewal on " + time_text(seen.due.at));
  output.say("  chain  " + (folder / "fullchain.pem").string());
  output.say("  key    " + (folder / "key.pem").string());
}

/// Seldom meant, and it counts twice against the limits of a CA.
void warn_of_twins(const std::string& id, const CertificateSpec& spec, const Host& host, Output& output) {
  const std::set<std::string> names(spec.names.begin(), spec.names.end());
  for (const culmen::StoredCertificate& other : host.certificates()) {
    const CertificateRecord& record = other.record;
    const bool same_names = std::set<std::string>(record.names.begin(), record.names.end()) == names;
    const bool same_key =
        std::find(spec.key_types.begin(), spec.key_types.end(), record.key_type) != spec.key_types.end();
    if (!same_names || !same_key) continue;
    output.warn("the certificate " + printable(other.id) + " has exactly these names; " + printable(id) +
                " will be a second one. For that one: culmen issue --name " + printable(other.id));
  }
}

int run_issue(const IssueFlags& flags, Output& output) {
  output.verbose(flags.keep.connection.verbose);
  if (flags.settings.names().empty() && flags.csr.empty() && flags.name.empty()) {
    throw Failure(exit_usage, "invalid_argument", "there is nothing to issue for",
                  "Give names with -d NAME, or --csr FILE and --out FILE, or --name of a certificate that is there.");
  }
  eab_of(flags.keep.account);  // bad flags show before anything is done
  contact_urls(flags.keep.account.contacts);
  if (!flags.csr.empty())
    return issue_for_csr({flags.state, flags.keep, flags.settings, flags.csr, flags.force}, output);

  const Host host(flags.state, Host::Access::write, output);
  const std::string id = id_from(flags);
  require_finished(host, id, output);
  std::optional<ProcessLock> lock = host.lock_changes(host.lease().patience);
  const std::optional<culmen::StoredCertificate> before = host.run(find_certificate(host.storage(), id));
  if (!before && flags.settings.names().empty()) (void)host.certificate(id);  // says that there is none
  Kept kept;
  kept.id = id;
  std::optional<Settings> known;
  if (before) known = host.settings_to_change(*before);
  if (known) known->host.files_only = false;  // a host that issues can prove the names
  kept.settings = flags.settings.merged(known);
  kept.settings.spec.id = id;
  if (flags.force) kept.force = "--force was given";
  if (before && before->record.live > 0 && !before->damage.empty() && kept.force.empty())
    kept.force = "the present one cannot be read: " + before->damage.front();
  if (before && kept.force.empty()) kept.force = other_key(*before, kept.settings.host);
  check_outputs(kept.settings.host);
  check_outputs_beside_others(host, id, kept.settings.host);
  const std::vector<SettingLine> changed_settings =
      known ? changed_lines(*known, kept.settings) : std::vector<SettingLine>();
  if (!changed_settings.empty()) output.say(printable(id) + ": changed settings:");
  for (const SettingLine& line : changed_settings) output.say(labelled(line));
  if (!before) warn_of_twins(id, kept.settings.spec, host, output);
  host.keep_settings(id, kept.settings.host);
  if (!before) host.want(id, kept.settings.spec);
  lock.reset();

  KeepOptions options = flags.keep;
  options.retry_now = true;
  const KeepResult result = keep_once(host, {kept}, options, output);
  say_failures(result, false, output);
  const std::optional<culmen::StoredCertificate> after = host.run(find_certificate(host.storage(), id));
  // Another program may have deleted or renamed it in between, and its settings with it.
  if (after && !host.has_settings(id)) host.keep_settings(id, kept.settings.host);
  const bool changed = !result.issued.empty();
  if (!after && result.exit_code() == exit_ok)
    throw Failure(exit_temporary, "conflict", "another culmen deleted or renamed " + printable(id) + " meanwhile",
                  hint("list") + " shows what there is.");
  if (after && after->live) {
    describe(*after, host, output.result());
    if (result.exit_code() == exit_ok) {
      if (!changed) output.say("Nothing to do: the certificate is not due (--force issues a new one now)");
      say_where(*after, host, output);
    }
  }
  output.result().set("changed", changed);
  if (known && after && after->record.spec == known->spec && known->spec != kept.settings.spec) {
    output.warn(printable(id) +
                ": nothing was issued, so its names, CA, key type, profile and chain stay as they were. " +
                "To change them without a certificate: " + hint("edit " + printable(id)) + " …");
  }
  if (!before && !changed && result.exit_code() != exit_ok) {
    output.warn("It is kept: culmen renew tries again. To change it: " + hint("edit " + id) +
                " …; to remove it: " + hint("delete " + id));
  }
  return result.exit_code();
}

}  // namespace

void define_issue(Command& command) {
  auto flags = std::make_shared<IssueFlags>();
  flags->settings.add_to(command);
  add_account_flags(command, flags->keep.account);
  command.text("--name NAME", flags->name, "What to call the certificate (default: its first name)")
      .names_certificate();
  command.text("--csr FILE", flags->csr, "Use the names and the key of this CSR, PEM or DER; the chain goes to --out")
      .excludes("--name");
  command.flag("--force", flags->force, "Issue even if the present certificate is not due");
  add_state_flags(command, flags->state);
  add_connection_flags(command, flags->keep.connection);
  command.set_action([flags](Output& output) { return run_issue(*flags, output); });
}

}  // namespace culmen::cli
