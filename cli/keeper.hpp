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
  std::string force;  ///< Issue at once, even if it is not due: why. Empty: when it is due.
};

/// For the whole run. A plain value.
struct KeepOptions {
  KeepOptions() = default;
  ConnectionFlags connection;
  AccountFlags account;  ///< For accounts that have to be made.
  /// Try at once although the last attempt failed a short time ago.
  bool retry_now = false;
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

/// Brings the certificates and the outputs of this host up to date, runs hooks, and says what it does. Those with the
/// same roots and account key share a manager. Throws Error (cancelled, and those of storage).
KeepResult keep_once(const Host& host, const std::vector<Kept>& certificates, const KeepOptions& options,
                     Output& output);

/// Why a certificate has to be replaced because of the key that --cert-key names; empty: it has not.
std::string other_key(const culmen::StoredCertificate& certificate, const HostSettings& settings);

/// Says what failed, and with whom. `several`: with the id in front.
void say_failures(const KeepResult& result, bool several, Output& output);

}  // namespace culmen::cli
