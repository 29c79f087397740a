// Runs a manager on a Boost.Asio executor.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "culmen/manager.hpp"

namespace culmen {

/// Keeps the certificates fresh until the manager is stopped, or the coroutine is cancelled by Asio, which is the way
/// to stop it from a thread that runs the executor: Manager::stop() waits. Neither is an error. Callbacks and solvers
/// are called on a strand of the executor that it is awaited on; the sink, and what may block, on threads of their own.
/// Throws Error if the manager runs already (invalid_argument), or its transport cannot be made (see TransportOptions).
boost::asio::awaitable<void> run(Manager manager);

}  // namespace culmen
