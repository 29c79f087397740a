// What this host does after a certificate has changed: copies, modes and hooks.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "culmen/manager_options.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// Throws Failure (exit_usage) before the CA is asked: an output whose folder cannot be written to, that is a pipe or a
/// folder, or the same file as another output; a group that does not exist; a hook that cannot be run.
void check_outputs(const HostSettings& settings);

/// Brings outputs and hooks of this host up to date. What was done is remembered in local/deployed/<id>, so that a copy
/// that was lost is written again, and a hook that failed runs again at the next run, without a new certificate.
class Deployment {
 public:
  /// `folder`: local/ of the state folder, and `deploy.d` of the system's configuration.
  Deployment(std::filesystem::path folder, std::filesystem::path hooks_folder, Output& output);

  /// Writes the outputs that differ from the certificate, and sets modes and group of them and of the files in `live`.
  /// A file that exists keeps its mode, owner and group unless the settings name others. Notes that hooks have to run,
  /// if the certificate is another one than the last time. Throws Error, with the name of the file.
  void put(const InstalledCertificate& certificate, const std::vector<std::string>& names, const std::string& cause,
           const HostSettings& settings, const std::filesystem::path& live);
  /// Runs the hooks that have to run: each distinct program once, with all its certificates. Returns what failed: text
  /// by program. Ends within two seconds after `cancelled`.
  std::map<std::string, std::string> run_hooks(const std::function<bool()>& cancelled);

 private:
  struct Batch;
  std::filesystem::path folder_, hooks_folder_;
  Output& output_;
  std::map<std::string, std::vector<std::string>> batches_;
};

}  // namespace culmen::cli
