// The server that a solver uses to answer challenges on a port. Implemented in src/listen.
#pragma once

#include <cstdint>
#include <string>

namespace culmen::solvers {

/// Every function may be called from any thread.
class ChallengeServer {
 public:
  virtual ~ChallengeServer() = default;

  /// Binds, and serves on its own thread. Empty `address`: all addresses. Throws Error (io_failed,
  /// invalid_argument), also when it is running already.
  virtual void start_thread(std::uint16_t port, const std::string& address) = 0;
  /// The bound port; 0 while the server is not running.
  virtual std::uint16_t port() const noexcept = 0;
  /// The port is free when it returns.
  virtual void stop() noexcept = 0;
};

}  // namespace culmen::solvers
