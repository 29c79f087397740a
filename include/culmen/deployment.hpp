// What a host does before and after a certificate changes: copies, modes and groups, hooks.
//
// What a host does with a certificate is its own: keep DeploymentSettings on the host, never in a storage that others
// write to, because whoever can change them can run programs and write files here.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/cancel_token.hpp"
#include "culmen/error.hpp"
#include "culmen/manager_options.hpp"
#include "culmen/program.hpp"

namespace culmen {

/// Where this host writes a certificate, and which programs it runs. A plain value.
struct DeploymentSettings {
  DeploymentSettings() = default;
  bool operator==(const DeploymentSettings&) const = default;

  // Outputs, absolute paths; empty: none.
  std::string out;                 ///< The chain.
  std::string cert_key;            ///< The key.
  bool cert_key_is_input = false;  ///< It was there before: it is read, and never written.
  std::string combined;            ///< Key and chain in one file.
  std::string key_mode;            ///< Octal, such as "0640"; empty: 0600, or what the file has.
  std::string key_group;           ///< Name or number of a group; empty: none.

  // Programs, without arguments.
  std::vector<std::string> deploy_hooks;   ///< After a certificate has changed.
  std::vector<std::string> pre_hooks;      ///< Before an order.
  std::vector<std::string> post_hooks;     ///< After it, whatever came of it.
  std::vector<std::string> failure_hooks;  ///< When a certificate becomes late, and daily after that: LateAlarm.
  int hook_timeout = 120;                  ///< Of one run of a program, in seconds.
};

/// The files that are written for the certificate, apart from those in storage.
std::vector<std::string> output_files(const DeploymentSettings& settings);

/// Those of them that are missing, or have other contents than put() writes for this certificate. One that this user
/// may not read is taken for right. Blocks. Throws Error (io_failed) with the name of the file.
std::vector<std::string> outdated_outputs(const InstalledCertificate& certificate, const DeploymentSettings& settings);

/// What is wrong with settings, or missing on this machine. A plain value.
struct DeploymentProblem {
  DeploymentProblem() = default;
  Errc code = Errc::invalid_argument;  ///< Or not_found, io_failed: of this machine, not of the settings.
  std::string text;                    ///< A sentence without its full stop. Printable.
  std::string advice;                  ///< One sentence or more; empty: nothing to add.
};
/// How messages call a member of the settings, as "--key-group" for "key_group".
using SettingNames = std::function<std::string(std::string_view member)>;
/// Looks before a CA is asked: an output whose folder cannot be written to, that is a pipe or a folder, or the same
/// file as another output or as one of `needed`; a group that does not exist, or that this user cannot give files to; a
/// hook that cannot be run. Changes nothing. `needed`: files that are read or run for the same certificate. `names`:
/// empty: by the members' own names. Blocks.
std::vector<DeploymentProblem> check_deployment(const DeploymentSettings& settings,
                                                const std::vector<std::string>& needed = {},
                                                const SettingNames& names = {});

/// Whether a hook can be run; nullopt: it can, as far as can be seen without running it. `name`: of the setting, for
/// the text. Blocks.
std::optional<DeploymentProblem> check_program(const std::string& name, const std::string& program);

/// Takes mode and group back from files with the key that have them by `before` and not by `after`. `live`: the folder
/// with the files of the certificate that counts. Blocks. Throws Error (io_failed) with the name of the file.
void withdraw_access(const DeploymentSettings& before, const DeploymentSettings& after,
                     const std::filesystem::path& live);

/// Those that run after the certificate has changed: its own, and every program in `hooks_folder`, which may be empty
/// or not exist.
std::vector<std::string> deploy_programs(const DeploymentSettings& settings, const std::filesystem::path& hooks_folder);

/// A deploy hook that has to run for the present certificate, by what is recorded. A plain value.
struct PendingHook {
  PendingHook() = default;
  std::string program;
  std::string error;  ///< How it failed the last time; empty: it has not run for this certificate.
  int tries = 0;
  std::optional<std::chrono::system_clock::time_point> since;  ///< Of the first failure.
};
/// Those of the certificate `id` with that serial number in hexadecimal digits, as Certificate has it without an octet
/// 0 in front. `local` and `hooks_folder`: as in DeploymentOptions. Throws Error (io_failed) if the record cannot be
/// read.
std::vector<PendingHook> pending_hooks(const std::filesystem::path& local, const std::filesystem::path& hooks_folder,
                                       const DeploymentSettings& settings, const std::string& id,
                                       const std::string& serial);

/// For a certificate that gets another name, or is removed: what is recorded of its hooks and of telling that it is
/// late. No error if nothing is. Throws Error (io_failed).
void rename_hook_records(const std::filesystem::path& local, const std::string& from, const std::string& to);
void remove_hook_records(const std::filesystem::path& local, const std::string& id);

/// Something that was done. A plain value.
struct DeploymentEvent {
  enum class Kind {
    output_written,  ///< A file was written.
    hook_started,
    hook_said,    ///< A line of the program's output, after it ended well.
    hook_ended,   ///< Whatever came of it.
    hook_ran,     ///< A hook ended well; not said of pre-hooks and post-hooks.
    hook_failed,  ///< A program for late certificates failed. What other hooks did is returned or thrown.
    waiting,      ///< Another process runs hooks: `process`.
    waiting_ended,
    warning,
  };
  Kind kind = Kind::warning;
  std::string id;       ///< Of the certificate, if it is about one.
  std::string program;  ///< Of hook_…; as it is in the settings.
  std::string text;     ///< A line for a log, printable; empty: nothing that is worth one.
  int process = 0;      ///< Of `waiting`; 0: it is not known.
};

/// In place of run_program(). Throws Error.
using ProgramRunner = std::function<void(const std::string& doing, const ProgramRun& run)>;

/// An aggregate, for designated initialisers.
struct DeploymentOptions {
  /// A folder of this host alone, made if it is missing. What was done is recorded in its deployed/ and late/, and
  /// hooks run under a lock on its hooks.lock.
  std::filesystem::path local{};
  std::filesystem::path hooks_folder{};  ///< Each program in it is a deploy hook of every certificate; empty: none.
  std::chrono::seconds retry_pause{0};   ///< Until a deploy hook that failed is run again.
  CancelToken cancel = CancelToken::never();  ///< Ends waits and hooks, see run_program().
  ProgramRunner run{};
  /// Called on the calling threads, also on several at the same time; must not throw. May be empty.
  std::function<void(const DeploymentEvent&)> on_event{};
};

/// Writes copies of certificates, and runs hooks. What was done is recorded, so that a copy that was lost is written
/// again, and a hook that failed runs again, without a new certificate. Hooks of two processes with the same folder run
/// one after the other, and each certificate's deploy hooks run in one of them. Thread-safe; functions block.
class Deployment {
 public:
  explicit Deployment(DeploymentOptions options);
  ~Deployment();
  Deployment(const Deployment&) = delete;
  Deployment& operator=(const Deployment&) = delete;

  /// Runs pre-hooks, each program once until after_orders(). Throws Error: of the program that failed; io_failed; held,
  /// if a hook of the process that holds the lock started this process.
  void before_order(const DeploymentSettings& settings);

  enum class Hooks { if_changed, again };
  /// Writes the outputs that differ from the certificate, and sets mode and group of them and of the files in `live`,
  /// if the settings name them. A file that is replaced keeps its mode, owner, group and ACL otherwise. If the
  /// certificate is another one than when hooks ran the last time, or with `again`, run_hooks() runs its hooks.
  /// `live`: the folder with its files, in certificates/<id>/ of a file storage; `cause`: why it was issued, for hooks.
  /// Throws Error, with the name of the file.
  void put(const InstalledCertificate& certificate, const DeploymentSettings& settings,
           const std::filesystem::path& live, const std::string& cause, Hooks hooks = Hooks::if_changed);

  /// Whether after_orders() has something to do. Does not wait for hooks.
  bool has_orders() const;
  /// When deploy hooks should run: a few seconds after the last change, at most a minute after the first. nullopt:
  /// there was none.
  std::optional<std::chrono::steady_clock::time_point> hooks_at() const;
  /// Runs post-hooks, also after a cancellation: for up to 30 s more. Returns what failed, by program.
  std::map<std::string, std::string> after_orders();
  /// Runs each deploy hook once with all its certificates, unless another process did it meanwhile. Returns what
  /// failed, by program. Throws Error (held) as before_order() does; the hooks stay to be run.
  std::map<std::string, std::string> run_hooks();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culmen
