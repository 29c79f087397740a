// Starting what reports later.
#pragma once

#include <functional>

#include "culmen/driver.hpp"

namespace culmen::drivers {

/// Calls the ask's `start`. `report` is called exactly once, from any thread, maybe before this returns: with the first
/// report, with what `start` threw, or with an error when the last copy of Done is dropped without a report.
void start_await(const AwaitAsk& ask, std::function<void(Result<void>)> report);

}  // namespace culmen::drivers
