// The roots that the system trusts, as curl knows of them: one file with all of them, and a folder where OpenSSL finds
// one by the hash of its name.
#pragma once

#include <filesystem>

namespace culmen::http {

/// Whether the folder has as many certificates as the file, so that the file need not be read: looking one up is
/// quicker than reading some 150 for each connection. No file: false.
bool folder_suffices(const std::filesystem::path& file, const std::filesystem::path& folder);

/// The same, determined once per process for each pair of paths. Thread-safe.
bool folder_is_known_to_suffice(const std::filesystem::path& file, const std::filesystem::path& folder);

}  // namespace culmen::http
