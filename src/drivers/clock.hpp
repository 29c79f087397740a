// The clocks of this machine, for executions.
#pragma once

#include "culmen/asks.hpp"

namespace culmen::drivers {

/// Both clocks, read now.
Instant instant_now();

}  // namespace culmen::drivers
