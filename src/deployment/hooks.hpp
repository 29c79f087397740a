// Running hooks: one process of this host at a time.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/deployment.hpp"
#include "culmen/process_lock.hpp"

namespace culmen::deployment {

/// For this process to run hooks. After a cancellation it waits no longer than `after_cancel`; nullopt: in vain. Throws
/// Error: io_failed; held, if the process that holds it runs this process as a hook.
std::optional<ProcessLock> lock_hooks(const DeploymentOptions& options, std::chrono::seconds after_cancel);

/// Runs the program, and says so. Throws Error, also if the folder of the options was removed meanwhile.
void run_hook(const DeploymentOptions& options, const std::string& doing, ProgramRun run);

void tell_event(const DeploymentOptions& options, DeploymentEvent event);

std::string joined(const std::vector<std::string>& texts, std::string_view separator);

}  // namespace culmen::deployment
