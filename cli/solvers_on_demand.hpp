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

/// The solvers of this process for http-01 and tls-alpn-01. Certificates with the same port and address share a server.
/// A port is bound when the first challenge is presented, not before: an order whose names are all proven needs none.
/// Thread-safe.
class ServerSolvers {
 public:
  /// Throws Failure (exit_usage) for another type of challenge.
  std::shared_ptr<ChallengeSolver> at(const std::string& challenge, const HostSettings& settings);
  /// Closes the ports of servers that no order uses. Whether none is left.
  bool close_unused();

 private:
  std::mutex mutex_;
  std::map<std::tuple<std::string, int, std::string>, std::shared_ptr<ChallengeSolver>> servers_;
};

}  // namespace culmen::cli
