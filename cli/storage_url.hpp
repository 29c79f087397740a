// The storage that --storage names.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "culmen/storage.hpp"
#include "secrets.hpp"

namespace culmen::cli {

/// "file:/path" or "postgresql://…" (also "postgres://…"), which is a module that is loaded on first use. `make`: makes
/// what is missing of a folder. Does no I/O apart from loading the module. Throws Failure (exit_usage) for a URL of
/// another kind, or a module that is not installed.
std::shared_ptr<Storage> open_storage(const std::string& url, bool make,
                                      std::function<void(const std::string&)> on_warning);
/// Makes or updates the tables of a database; does nothing for files. Throws as open_storage(), and Error.
void init_storage(const std::string& url);
/// The folder of a "file:" URL; empty for others.
std::filesystem::path folder_of(const std::string& url);

}  // namespace culmen::cli
