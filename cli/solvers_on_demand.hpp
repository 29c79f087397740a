// Challenge servers that listen only once a challenge is there to be answered.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include "culmen/solver.hpp"
#include "settings.hpp"

namespace culmen::cli {

class Output;

/// The solvers of this process for http-01 and tls-alpn-01. Certificates with the same port and address share a server.
/// A port is bound while there are challenges to be answered. When another certificate of this process, or another
/// culmen, has it, present() waits for a while, and fails with Errc::held. Thread-safe.
class ServerSolvers {
 public:
  explicit ServerSolvers(Output& output) : output_(output) {}
  /// Throws Failure (exit_usage) for another type of challenge.
  std::shared_ptr<ChallengeSolver> at(const std::string& challenge, const HostSettings& settings);
  /// Closes the ports of servers that no order uses. Whether none is left.
  bool close_unused();

 private:
  Output& output_;
  std::mutex mutex_;
  std::map<std::tuple<std::string, int, std::string>, std::shared_ptr<ChallengeSolver>> servers_;
};

}  // namespace culmen::cli
