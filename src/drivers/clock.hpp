// The clocks of this machine, for executions.
#pragma once

#include <chrono>

#include "culmen/asks.hpp"

namespace culmen::drivers {

/// No timer is set further ahead: clocks and poll() overflow.
constexpr std::chrono::milliseconds longest_wait = std::chrono::hours(24 * 365);

/// Both clocks, read now.
Instant instant_now();

}  // namespace culmen::drivers
