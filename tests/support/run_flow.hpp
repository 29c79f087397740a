// Drives a flow on the calling thread.
#pragma once

#include <type_traits>
#include <utility>

#include "culmen/driver.hpp"
#include "culmen/flow.hpp"
#include "culmen/options.hpp"
#include "drivers/blocking_driver.hpp"
#include "drivers/clock.hpp"

namespace culmen::test {

/// Thread-safe. `cancel` cancels it.
template <class T>
T run_flow(Flow<T> flow, CancelToken cancel = CancelToken::never()) {
  static drivers::BlockingDriver driver(TransportOptions(), nullptr);
  Execution<T> execution(std::move(flow), &drivers::instant_now);
  driver.drive(execution, {cancel});
  return execution.result();
}

}  // namespace culmen::test
