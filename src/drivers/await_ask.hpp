// Starts operations that report their result later.
#pragma once

#include <functional>

#include "culmen/driver.hpp"

namespace culmen::drivers {

/// Calls the ask's `start`. `report` is called exactly once, from any thread, possibly before this returns: with the
/// first result reported, with the exception that `start` threw, or with an error (solver_failed) when the last copy of
/// Done is destroyed without a report.
void start_await(const AwaitAsk& ask, std::function<void(Result<void>)> report);

}  // namespace culmen::drivers
