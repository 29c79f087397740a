// culmen test: a whole issuance at a CA for tests, of which nothing is kept.
#include <memory>

#include "account_flags.hpp"
#include "client_options.hpp"
#include "command.hpp"
#include "command_line.hpp"
#include "culmen/certificate.hpp"
#include "culmen/directory.hpp"
#include "deploy.hpp"
#include "files.hpp"
#include "host.hpp"
#include "keeper.hpp"
#include "output.hpp"
#include "settings.hpp"
#include "tried_settings.hpp"

namespace culmen::cli {

namespace {

struct TrialFlags {
  TrialFlags() = default;
  StateFlags state;
  KeepOptions keep;
  SettingFlags settings;
  std::string name;
};

/// The directory of that CA for tests. Throws Failure (exit_usage) if it has none that culmen knows.
std::string directory_for_tests(const std::string& directory) {
  for (const KnownCa& ca : known_cas()) {
    if (ca.directory_url != directory) continue;
    if (ca.name.ends_with("-staging")) return directory;
    const std::string staging = std::string(ca.name) + "-staging";
    for (const KnownCa& other : known_cas())
      if (other.name == staging) return std::string(other.directory_url);
    throw Failure(exit_usage, "invalid_argument",
                  std::string(ca.name) + " has no directory for tests that culmen knows",
                  "Name one with --server, such as letsencrypt-staging.");
  }
  return directory;  // one that was named by its URL
}

int run_trial(const TrialFlags& flags, Output& output) {
  output.verbose(flags.keep.connection.verbose);
  if (flags.settings.names().empty() && flags.name.empty()) {
    throw Failure(exit_usage, "invalid_argument", "there is nothing to test",
                  "Give names with -d NAME, or the name of a certificate that is there.");
  }
  Kept kept;
  kept.settings = settings_to_try(Host(flags.state, Host::Access::if_there, output), flags.settings, flags.name);
  const std::string directory = directory_for_tests(kept.settings.spec.cas.front());
  kept.settings.spec.cas = {directory};
  kept.settings.spec.id.clear();
  kept.id = id_of(kept.settings.spec);
  // Nothing of this host is touched but what an order needs.
  HostSettings& host_settings = kept.settings.host;
  host_settings.out.clear();
  host_settings.combined.clear();
  if (!host_settings.cert_key_is_input) host_settings.cert_key.clear();
  host_settings.key_mode.clear();
  host_settings.key_group.clear();
  host_settings.deploy_hooks.clear();
  host_settings.failure_hooks.clear();
  host_settings.account_key.clear();
  check_webroot(host_settings);

  const PassingFolder folder("culmen-test");
  StateFlags state;
  state.dir = folder.path().string();
  state.storage = "file:" + state.dir;
  const Host host(state, Host::Access::write, output);
  output.say("Testing at " + printable(directory));
  KeepOptions options = flags.keep;
  options.system_hooks = false;
  host.want(kept.id, kept.settings.spec);
  const KeepResult result = keep_once(host, {kept}, options, output);
  say_failures(result, false, output);
  output.result().set("server", directory);
  output.result().set("names", kept.settings.spec.names);
  if (result.exit_code() != exit_ok) return result.exit_code();
  const std::optional<culmen::StoredCertificate> issued = host.run(find_certificate(host.storage(), kept.id));
  const Certificate leaf = Certificate::from_pem(issued.value().live.value().chain_pem);
  output.say("It works: " + names_text(leaf.identifiers) + " would be issued. Nothing was kept.");
  output.result().set("issuer", leaf.issuer_common_name);
  return exit_ok;
}

}  // namespace

void define_test(Command& command) {
  auto flags = std::make_shared<TrialFlags>();
  command.argument("certificate NAME", flags->name, "Test with the settings of this certificate").names_certificate();
  flags->settings.add_to(command);
  add_account_flags(command, flags->keep.account);
  command.text("--name NAME", flags->name, "The same as NAME without an option").excludes("certificate");
  add_state_flags(command, flags->state);
  add_connection_flags(command, flags->keep.connection);
  command.set_action([flags](Output& output) { return run_trial(*flags, output); });
}

}  // namespace culmen::cli
