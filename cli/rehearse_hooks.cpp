#include "rehearse_hooks.hpp"

#include <sstream>
#include <system_error>
#include <utility>

#include "culmen/atomic_file.hpp"
#include "interrupt.hpp"

namespace culmen::cli {

namespace fs = std::filesystem;

namespace {

std::string first_block(const std::string& pem) {
  constexpr std::string_view end = "-----END CERTIFICATE-----\n";
  const std::size_t found = pem.find(end);
  return found == std::string::npos ? pem : pem.substr(0, found + end.size());
}

}  // namespace

RehearsedHooks::RehearsedHooks(const Host& host, bool runs)
    : runs_(runs),
      // There are keys in it, and syncing a disk a thousand times takes long.
      state_("culmen-rehearsal", PassingFolder::Place::memory),
      deployment_({.local = state_.path() / "local",
                   .hooks_folder = system_hooks(),
                   .cancel = interrupt_token(),
                   .run = [this](const std::string& doing, const ProgramRun& wanted) { run(doing, wanted); }}) {
  // Hooks that ran for the present certificates do not run again.
  const fs::path deployed = host.local_folder() / "deployed";
  std::error_code failed;
  if (!fs::is_directory(deployed, failed)) return;
  fs::create_directories(state_.path() / "local");
  fs::copy(deployed, state_.path() / "local" / "deployed", fs::copy_options::recursive, failed);
  if (failed) throw Error(Errc::io_failed, "copying " + deployed.string(), failed.message()).with_system_code(failed);
}

HostSettings RehearsedHooks::redirected(const std::string& id, HostSettings settings) const {
  const fs::path folder = state_.path() / "outputs" / id;
  const auto move = [&folder](std::string& path, const char* name) {
    if (path.empty()) return;
    fs::create_directories(folder);
    path = (folder / name).string();
  };
  move(settings.out, "fullchain.pem");
  if (!settings.cert_key_is_input) move(settings.cert_key, "key.pem");
  move(settings.combined, "combined.pem");
  settings.key_group.clear();
  return settings;
}

void RehearsedHooks::before_order(const HostSettings& settings, planner::Time now) {
  now_ = now;
  deployment_.before_order(settings);
}

void RehearsedHooks::installed(const InstalledCertificate& certificate, const HostSettings& settings,
                               const std::string& cause) {
  const fs::path live = live_folder(certificate.id);
  fs::create_directories(live);
  const std::string leaf = first_block(certificate.chain_pem);
  write_file_atomically(live / "fullchain.pem", certificate.chain_pem, 0644);
  write_file_atomically(live / "cert.pem", leaf, 0644);
  write_file_atomically(live / "chain.pem", certificate.chain_pem.substr(leaf.size()), 0644);
  write_file_atomically(live / "key.pem", certificate.key_pem, 0600);
  Waiting waiting;
  waiting.certificate = certificate;
  waiting.settings = settings;
  waiting.cause = cause;
  waiting_.insert_or_assign(certificate.id, std::move(waiting));
}

void RehearsedHooks::after_run(planner::Time now) {
  now_ = now;
  for (const auto& [id, waiting] : waiting_)
    deployment_.put(waiting.certificate, waiting.settings, live_folder(id), waiting.cause);
  (void)deployment_.after_orders();
  if (deployment_.run_hooks().empty()) waiting_.clear();
}

void RehearsedHooks::run(const std::string& doing, ProgramRun run) {
  HookCall call;
  call.at = now_;
  call.program = run.words.front();
  std::istringstream lines(run.input);
  for (std::string line; std::getline(lines, line);)
    call.ids += (call.ids.empty() ? "" : " ") + line.substr(0, line.find(' '));
  calls_.push_back(std::move(call));
  if (!runs_) return;
  run.variables.emplace_back("CULMEN_REHEARSAL", "1");
  try {
    run_program(doing, run, interrupt_token());
  } catch (const Error& error) {
    calls_.back().failed = error.detail();
    throw;
  }
}

}  // namespace culmen::cli
