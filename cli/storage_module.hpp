// A storage that is a package of its own, for which nobody pays who does not use it.
#pragma once

#include <memory>
#include <string>

#include "culmen/flow.hpp"
#include "culmen/storage.hpp"

namespace culmen::cli {

/// What a module offers. Its code uses the program's copy of the library: both have to be of the same build.
struct StorageModule {
  const char* version;  ///< CULMEN_VERSION, to be compared before anything else.
  /// Does not connect. Throws Error (invalid_argument).
  std::shared_ptr<Storage> (*open)(const std::string& url);
  /// Makes what has to be there, such as tables, or brings it up to date.
  Flow<Result<void>> (*init)(const std::string& url);
};

/// The only symbol that a module exports, with C linkage: its address is a function of this type.
using StorageModuleEntry = const StorageModule* (*)();
constexpr const char* storage_module_entry = "culmen_storage_module";

}  // namespace culmen::cli
