// A manager that is killed wherever that could hurt, and what is on disk and at the CA afterwards.
#pragma once

#include <chrono>
#include <iosfwd>
#include <string>
#include <vector>

#include "inspector.hpp"

namespace chaos {

struct KillOptions {
  int kills = 20;      // at random moments
  int every_step = 0;  // 0: none; n: also at every n-th step of what changes files or sends something
  unsigned seed = 1;
  std::chrono::seconds limit{0};  // 0: none; otherwise no run begins after that time
  bool verbose = false;
};

struct KillResult : Findings {
  int kills = 0;
  int in_recovery = 0;  // of those: before the first success after the kill before
  int steps = 0;        // where a traced one was killed
  int settled = 0;      // runs that came to an end, and were looked at
  int orders = 0, certificates = 0, accounts = 0, rollovers = 0;
  int failed_attempts = 0;
  int extra_orders = 0;  // more than certificates
  int most_extra = 0;    // after one kill
};

/// Throws if it cannot run at all.
KillResult kill_managers(const KillOptions& options);
std::ostream& operator<<(std::ostream& out, const KillResult& result);

}  // namespace chaos
