// A call of a flow that is destroyed before the call has run.
#pragma once

#include <functional>

#include <doctest/doctest.h>

#include "culmen/driver.hpp"

namespace culmen::test {

/// The function of the call that the flow asks for first. The flow is destroyed, as when an event loop is stopped while
/// another thread is about to run the call.
inline std::function<Result<void>()> abandoned_call(Flow<Result<void>> flow) {
  Execution<Result<void>> execution(std::move(flow), [] { return Instant(); });
  Ask* ask = execution.next();
  REQUIRE(ask);
  REQUIRE(ask->kind() == Ask::Kind::call);
  return static_cast<CallAsk&>(*ask).function;
}

}  // namespace culmen::test
