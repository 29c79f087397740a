// What this host does before and after a certificate changes: what the program says of it.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "culmen/deployment.hpp"
#include "json_object.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// Throws Failure before the CA is asked, for what check_deployment() finds, a web root that does not exist, and a DNS
/// hook that cannot be run.
void check_outputs(const HostSettings& settings);
/// The same for a file that `option` names; empty: none.
void check_output(const std::string& option, const std::string& file);
/// The web root alone: without it no name can be proven.
void check_webroot(const HostSettings& settings);
/// Where the system's own deploy hooks are: every program in it runs for every certificate.
std::filesystem::path system_hooks();

/// "/usr/local/bin/reload failed (2 times since 2026-03-01T12:00:00Z): it failed with exit code 7; it said nothing"
std::string to_text(const PendingHook& hook);
std::vector<JsonObject> to_json(const std::vector<PendingHook>& hooks);

/// For a Deployment or a LateAlarm of this program. `output` must outlive it.
DeploymentOptions deployment_options(std::filesystem::path local, std::filesystem::path hooks_folder,
                                     std::chrono::seconds retry_pause, Output& output);
/// Deployment::put(), and standard output if --out names it.
void put(Deployment& deployment, const InstalledCertificate& certificate, const HostSettings& settings,
         const std::filesystem::path& live, const std::string& cause, Output& output);

}  // namespace culmen::cli
