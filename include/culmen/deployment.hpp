// What this host does before and after a certificate changes: copies, modes and hooks.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "culmen/manager_options.hpp"
#include "culmen/program.hpp"
#include "json_object.hpp"
#include "process_lock.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// Throws Failure before the CA is asked: an output whose folder cannot be written to, that is a pipe or a folder, or
/// the same file as another output or as what the certificate needs; a group that does not exist, or that this user
/// cannot give files to; a hook that cannot be run; a web root that is not there.
void check_outputs(const HostSettings& settings);
/// The last of these alone: without it no name can be proven.
void check_webroot(const HostSettings& settings);
/// Files with the key that were for a group, or had a mode of their own, and are not to have it any more: as new ones.
void withdraw_access(const HostSettings& before, const HostSettings& after, const std::filesystem::path& live);
/// Where the system's own deploy hooks are: every program in it runs for every certificate.
std::filesystem::path system_hooks();

/// A deploy hook that has to run for the present certificate, by what is remembered. A plain value.
struct PendingHook {
  PendingHook() = default;
  std::string program;
  std::string error;  ///< How it failed the last time; empty: it has not run for this certificate.
  int tries = 0;
  std::optional<std::chrono::system_clock::time_point> since;  ///< Of the first failure.
};
/// Those of the certificate with that serial number. `local`: as for Deployment. Throws Error (io_failed).
std::vector<PendingHook> pending_hooks(const std::filesystem::path& local, const std::filesystem::path& hooks_folder,
                                       const HostSettings& settings, const std::string& id, const std::string& serial);
/// "/usr/local/bin/reload failed (2 times since 2026-03-01T12:00:00Z): it failed with exit code 7; it said nothing"
std::string to_text(const PendingHook& hook);
/// Those that run after the certificate has changed: its own, and the system's.
std::vector<std::string> deploy_programs(const HostSettings& settings, const std::filesystem::path& hooks_folder);
std::vector<JsonObject> to_json(const std::vector<PendingHook>& hooks);

/// For this process to run hooks; `local` as for Deployment. After a cancellation it waits no longer than
/// `after_cancel`; nullopt: in vain. Throws Error: io_failed; held, if the one that holds it runs this process as a
/// hook.
std::optional<ProcessLock> lock_hooks(const std::filesystem::path& local, std::chrono::seconds after_cancel,
                                      Output& output);

/// In place of run_program().
using ProgramRunner = std::function<void(const std::string& doing, const ProgramRun& run)>;

/// Thread-safe.
class Deployment {
 public:
  /// What was done is remembered in `local`/deployed/, so that a copy that was lost is written again, and a hook that
  /// failed runs again, without a new certificate: at the next run, but not before `retry_pause` has passed. Hooks run
  /// under a lock on a file in `local`: those of two processes run one after the other, and each certificate's deploy
  /// hooks run in one of them. All references must outlive this.
  Deployment(std::filesystem::path local, std::filesystem::path hooks_folder, std::chrono::seconds retry_pause,
             Output& output, ProgramRunner runner = {});

  enum class Hooks { if_changed, again };
  /// Runs pre-hooks, each program once until after_orders(). Throws Error.
  void before_order(const HostSettings& settings);
  /// Writes the outputs that differ from the certificate, and sets mode and group of them and of the files in `live`,
  /// if the settings name them. A file that is replaced keeps its mode, owner, group and ACL otherwise. If the
  /// certificate is another one than when hooks ran the last time, or with `again`, they run again. Throws Error, with
  /// the name of the file.
  void put(const InstalledCertificate& certificate, const HostSettings& settings, const std::filesystem::path& live,
           const std::string& cause, Hooks hooks = Hooks::if_changed);
  /// Whether after_orders() has something to do. Does not wait for hooks.
  bool has_orders() const;
  /// When deploy hooks should run: a few seconds after the last change, at most a minute after the first. nullopt:
  /// there was none.
  std::optional<std::chrono::steady_clock::time_point> hooks_at() const;
  /// Runs post-hooks, also when the program is about to end. Returns what failed, by program.
  std::map<std::string, std::string> after_orders();
  /// Runs each deploy hook once with all its certificates, unless another process did it meanwhile. Returns what
  /// failed, by program.
  std::map<std::string, std::string> run_hooks();

 private:
  /// A certificate whose hooks have to run.
  struct Change {
    Change() = default;
    std::string id, serial, cause;
    Hooks hooks = Hooks::if_changed;
    std::string record;  ///< What was remembered at that time.
    std::vector<std::string> names;
    std::filesystem::path live;
    HostSettings settings;
  };
  using Batches = std::map<std::string, std::vector<const Change*>>;
  bool is_done(const Change& change) const;
  bool was_done_meanwhile(const Change& change, std::map<std::string, std::string>& failed) const;
  void remember(const Change& change, const std::map<std::string, std::string>& failed) const;
  Batches batches(const std::map<std::string, Change>& changes) const;
  void run_batch(const std::string& program, const std::vector<const Change*>& changes) const;

  const std::filesystem::path local_, hooks_folder_;
  const std::chrono::seconds retry_pause_;
  Output& output_;
  ProgramRunner run_;
  mutable std::mutex orders_mutex_;  ///< An order waits while pre-hooks and post-hooks run.
  std::set<std::string> pre_done_, post_wanted_;
  int post_timeout_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, Change> changes_;       ///< By id.
  std::map<std::string, std::string> running_;  ///< Hooks run for these: serial numbers by id.
  std::chrono::steady_clock::time_point first_change_, last_change_;
};

}  // namespace culmen::cli
