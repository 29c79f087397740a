// Certificates kept by the library's manager, as the program shows it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "client_options.hpp"
#include "culmen/manager.hpp"
#include "host.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// A certificate to be kept.
struct Kept {
  Kept() = default;
  std::string id;
  Settings settings;
};

struct KeepOptions {
  KeepOptions() = default;
  ConnectionFlags connection;  ///< Proxy, --allow-http, time limits.
  AccountFlags account;        ///< For accounts that have to be made.
  /// Issue at once, even if it is not due; the text says why. Empty: when it is due.
  std::string force;
  /// Try at once although the last attempt failed a short time ago.
  bool retry_now = false;
  bool ask_again = false;  ///< Ask the CA when to renew, whatever it said of the next question.
};

/// What came of it. A plain value.
struct KeepResult {
  KeepResult() = default;
  std::vector<std::string> issued, not_due, held_elsewhere;
  std::map<std::string, Error> failed;
  std::map<std::string, std::string> hooks_failed;  ///< By program.
};

/// Brings the certificates up to date and the outputs of this host, runs hooks, and says what it does. Those with the
/// same roots and account key share a manager. Throws Error (cancelled, and those of storage).
KeepResult keep_once(const Host& host, const std::vector<Kept>& certificates, const KeepOptions& options,
                     Output& output);
/// The same until SIGTERM or SIGINT: `culmen run`. SIGHUP reads the settings again.
int keep_running(const Host& host, const KeepOptions& options, Output& output);

/// The exit code, and the closing line.
int report(const KeepResult& result, Output& output);

}  // namespace culmen::cli
