// Several processes count under one lease, and are killed and stopped while they do.
#pragma once

#include <chrono>
#include <iosfwd>
#include <string>
#include <vector>

namespace chaos {

struct ChaosOptions {
  std::string engine;  // "postgres" or "files"
  std::string place;   // see open_engine()
  unsigned seed = 1;
  int workers = 3;
  int events = 8;                    // at least that many
  std::chrono::seconds duration{0};  // at least that long
};

struct ChaosResult {
  int kills = 0;
  int stops = 0;        // for longer than the lease lasts
  int late_writes = 0;  // by a process that was stopped while it held the lease, after it was taken over
  int accepted = 0;     // writes whose success was reported
  int refused = 0;
  int unanswered = 0;  // killed in the middle, or an error whose outcome is unknown
  int unanswered_made = 0;
  int counter = 0;  // what is stored at the end
  int tokens = 0;   // leases that were given out
  std::vector<std::string> faults;
};

/// Throws if it cannot run at all.
ChaosResult run_chaos(const ChaosOptions& options);
std::ostream& operator<<(std::ostream& out, const ChaosResult& result);

}  // namespace chaos
