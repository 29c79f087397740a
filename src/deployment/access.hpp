// Modes and groups of files with a key, as settings name them.
#pragma once

#include <filesystem>

#include "culmen/atomic_file.hpp"
#include "culmen/deployment.hpp"

namespace culmen::deployment {

inline constexpr unsigned chain_mode = 0644, key_mode = 0600;

/// How files with the key are to be, as far as the settings say. Throws Error (io_failed) if there is no such group.
FileAccess access_of(const DeploymentSettings& settings);
/// For the folder of a certificate's files, which is in certificates/<id>/ of a storage.
void set_live_access(const std::filesystem::path& live, const FileAccess& access);

}  // namespace culmen::deployment
