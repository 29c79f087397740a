// The outputs and hooks of a rehearsal: as on this host, but in a folder of their own.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "deploy.hpp"
#include "files.hpp"
#include "host.hpp"
#include "rehearse_report.hpp"

namespace culmen::cli {

class RehearsedHooks {
 public:
  /// `runs`: hooks are run, with CULMEN_REHEARSAL=1; otherwise calls are only noted.
  RehearsedHooks(const Host& host, bool runs);

  /// The settings with outputs in the copy. Files that are only read stay.
  HostSettings redirected(const std::string& id, HostSettings settings) const;

  // As in Deployment. `settings` have to be redirected.
  void before_order(const HostSettings& settings, planner::Time now);
  void installed(const InstalledCertificate& certificate, const HostSettings& settings, const std::string& cause);
  /// Writes outputs and runs hooks. What failed is tried again after the next run.
  void after_run(planner::Time now);

  const std::vector<HookCall>& calls() const noexcept { return calls_; }

 private:
  struct Waiting {
    Waiting() = default;
    InstalledCertificate certificate;
    HostSettings settings;
    std::string cause;
  };
  void run(const std::string& doing, ProgramRun run);
  std::filesystem::path live_folder(const std::string& id) const {
    return state_.path() / "certificates" / id / "live";
  }

  const bool runs_;
  PassingFolder state_;
  Deployment deployment_;
  planner::Time now_;
  std::map<std::string, Waiting> waiting_;  ///< By id.
  std::vector<HookCall> calls_;
};

}  // namespace culmen::cli
