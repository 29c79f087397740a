// Telling the operator of certificates that are late, or cannot be renewed: DeploymentSettings::failure_hooks.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "culmen/deployment.hpp"
#include "culmen/planner.hpp"
#include "culmen/stored_certificates.hpp"

namespace culmen {

/// A certificate that is late: less than half of the time between its renewal being due and its end is left; or one
/// that is lost from storage. A plain value.
struct LateCertificate {
  LateCertificate() = default;
  std::string id;
  std::string error;               ///< What failed the last time; may be empty.
  std::vector<std::string> names;  ///< Empty if they are not known.
  std::optional<planner::Time> not_after;
  planner::Time since;  ///< When its renewal was due, or when it was first seen to be lost.
  std::vector<std::string> programs;
  int time_limit = 120;  ///< Of one run of a program, in seconds.
};

/// What was told is recorded in `local`/late/ of the options. For one thread at a time; functions block.
class LateAlarm {
 public:
  explicit LateAlarm(DeploymentOptions options);

  /// The settings of the certificate `id` on this host; nullopt: it has none.
  using SettingsOf = std::function<std::optional<DeploymentSettings>(const std::string& id)>;
  /// Those that are late and have programs that were not told within a day, at the time `now`. `lost`: why, of those
  /// that this host has settings for and that are not in storage, by id. Of the certificates that are not late any more
  /// the record is removed. Throws Error (io_failed).
  std::vector<LateCertificate> untold(const std::vector<StoredCertificate>& certificates,
                                      const std::map<std::string, std::string>& lost, const SettingsOf& settings_of,
                                      planner::Time now = std::chrono::system_clock::now()) const;
  /// Runs each program once, for all its certificates, unless another process did it meanwhile. What fails is an event,
  /// and not recorded as told. Throws Error: io_failed, held as Deployment::before_order().
  void tell(std::vector<LateCertificate> late, planner::Time now = std::chrono::system_clock::now()) const;

 private:
  DeploymentOptions options_;
};

}  // namespace culmen
