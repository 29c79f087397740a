// Certificates kept by the library's manager, as the program shows it.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client_options.hpp"
#include "culmen/manager.hpp"
#include "host.hpp"
#include "intent.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// For the whole run. A plain value.
struct KeepOptions {
  KeepOptions() = default;
  ConnectionFlags connection;
  AccountFlags account;  ///< For accounts that have to be made.
  /// Try at once although the last attempt failed a short time ago.
  bool retry_now = false;
  /// Run /etc/culmen/deploy.d/* as well: not for a certificate that nobody keeps.
  bool system_hooks = true;
  /// Ask the CAs when to renew, whatever they said of the next question.
  bool ask_again = false;
};

/// What came of it. A plain value.
struct KeepResult {
  KeepResult() = default;
  std::vector<std::string> issued, held_elsewhere;
  std::map<std::string, std::string> waiting;       ///< Due, but not to be ordered now: why, by id.
  std::map<std::string, Error> failed;              ///< By id.
  std::map<std::string, Error> not_written;         ///< Outputs of this host, by id.
  std::map<std::string, std::string> hooks_failed;  ///< By program.

  /// The worst: 0 if nothing failed. What passes by itself weighs less than what does not.
  int exit_code() const;
};

/// Brings certificates, whose records are in storage, and the outputs of this host up to date, runs hooks, and says
/// what it does. Those with the same roots and account key share a manager. Throws Error (cancelled, and those of
/// storage).
KeepResult keep_once(const Host& host, const std::vector<Kept>& certificates, const KeepOptions& options,
                     Output& output);

/// Writes the outputs of this host, and runs the deploy hooks although nothing has changed. No CA is asked.
KeepResult run_hooks_again(const Host& host, const std::vector<culmen::StoredCertificate>& certificates,
                           Output& output);

/// Keeps certificates until it is stopped, on threads of its own. For one thread. All references must outlive it.
class RunningKeeper {
 public:
  /// `on_change` is called on any thread: it is time to look at what follows.
  RunningKeeper(const Host& host, const KeepOptions& options, Output& output, std::function<void()> on_change);
  ~RunningKeeper();
  RunningKeeper(const RunningKeeper&) = delete;
  RunningKeeper& operator=(const RunningKeeper&) = delete;

  /// From now on these, as they are here. Managers are started, told, and stopped.
  void keep(std::vector<Kept> certificates);
  /// Writes the outputs of this host if they differ from what is stored, and has hooks run then.
  void write_outputs(const culmen::StoredCertificate& certificate);
  /// Does what is due: hooks, and ports that are not needed any more. Hooks run meanwhile, on another thread.
  void tick();
  /// When tick() has something to do, or that it may have soon; nullopt: after the next change.
  std::optional<std::chrono::steady_clock::time_point> next_tick() const;
  /// Ends orders, cleans up challenges, and runs post-hooks.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Says what failed, and with whom. `several`: with the id in front.
void say_failures(const KeepResult& result, bool several, Output& output);

}  // namespace culmen::cli
