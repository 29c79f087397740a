// A storage whose engine may throw.
#pragma once

#include <memory>

#include "culmen/storage.hpp"

namespace culmen::manager {

/// The same storage; what it throws is an error. An exception would end the flows that have to go on for as long as the
/// manager runs.
std::shared_ptr<Storage> guarded_storage(std::shared_ptr<Storage> storage);

}  // namespace culmen::manager
