// A module for storage as an older culmen would have it: only its version may be used.
#include "cli/storage_module.hpp"

extern "C" const culmen::cli::StorageModule* culmen_storage_module() {
  static const culmen::cli::StorageModule module = {"0.0.9", nullptr, nullptr};
  return &module;
}
