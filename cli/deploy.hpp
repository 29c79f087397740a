// What this host does before and after a certificate changes: copies, modes and hooks.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "culmen/manager_options.hpp"
#include "culmen/program.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// Throws Failure (exit_usage) before the CA is asked: an output whose folder cannot be written to, that is a pipe or a
/// folder, or the same file as another output; a group that does not exist; a hook that cannot be run.
void check_outputs(const HostSettings& settings);
/// Where the system's own deploy hooks are: every program in it runs for every certificate.
std::filesystem::path system_hooks();

/// In place of run_program().
using ProgramRunner = std::function<void(const std::string& doing, const ProgramRun& run)>;

/// Thread-safe.
class Deployment {
 public:
  /// What was done is remembered in `local`/deployed/, so that a copy that was lost is written again, and a hook that
  /// failed runs again at the next run, without a new certificate. All references must outlive this.
  Deployment(std::filesystem::path local, std::filesystem::path hooks_folder, Output& output,
             ProgramRunner runner = {});

  /// Runs pre-hooks, each program once in this run. Throws Error.
  void before_order(const HostSettings& settings);
  /// Writes the outputs that differ from the certificate, and sets mode and group of them and of the files in `live`,
  /// if the settings name them. A file that is replaced keeps its mode, owner, group and ACL otherwise. If the
  /// certificate is another one than when hooks ran the last time, they run again. Throws Error, with the name of the
  /// file.
  void put(const InstalledCertificate& certificate, const HostSettings& settings, const std::filesystem::path& live,
           const std::string& cause);
  /// Runs post-hooks, and each deploy hook once with all its certificates. Returns what failed, by program.
  std::map<std::string, std::string> run_hooks();

 private:
  /// A certificate whose hooks have to run.
  struct Change {
    Change() = default;
    std::string id, serial, cause;
    std::vector<std::string> names;
    std::filesystem::path live;
    HostSettings settings;
  };
  std::filesystem::path record_of(const std::string& id) const;
  std::map<std::string, std::vector<const Change*>> batches() const;
  void run_batch(const std::string& program, const std::vector<const Change*>& changes) const;

  std::filesystem::path local_, hooks_folder_;
  Output& output_;
  ProgramRunner run_;
  mutable std::mutex mutex_;
  std::vector<Change> changes_;
  std::set<std::string> pre_done_, post_wanted_;
  int post_timeout_ = 0;
};

}  // namespace culmen::cli
