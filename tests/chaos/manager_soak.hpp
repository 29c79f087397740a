// A manager that runs for long: many certificates with short lives, CAs with faults, few descriptors.
#pragma once

#include <chrono>
#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

namespace chaos {

struct SoakOptions {
  std::chrono::seconds duration{600};
  std::size_t certificates = 300;
  std::vector<std::chrono::seconds> lifetimes;  // empty: a minute to an hour
  std::string storage = "files";                // or "memory"
  int fault_percent = 3;                        // of each kind
  unsigned descriptors = 128;
  std::chrono::milliseconds stop_limit{2000};
  /// The rules for a long run: all issued in the end, and no growth.
  bool is_long = true;
  /// Renewed after a tenth of the lifetime, so that a short run has renewals, and time for them.
  bool renew_early = false;
  std::ostream* log = nullptr;  // a line every 10 s
};

struct SoakResult {
  int issued = 0, failed = 0, expired = 0, late = 0;
  int most_descriptors = 0;
  long early_kib = 0, final_kib = 0;  // resident memory after a fifth of the time, and at the end
  std::chrono::milliseconds stop{0}, stop_while_waiting{0}, stop_while_blocked{0};
  std::string requests;
  std::vector<std::string> faults;
};

/// Limits the descriptors of this process. Throws if it cannot run at all.
SoakResult soak_manager(const SoakOptions& options);
std::ostream& operator<<(std::ostream& out, const SoakResult& result);

}  // namespace chaos
