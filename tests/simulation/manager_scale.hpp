// What a manager of many certificates costs while none of them is due.
#pragma once

#include <cstddef>

namespace culmen::simulation {

/// A plain value.
struct Scale {
  Scale() = default;
  std::size_t certificates = 0;
  double start_seconds = 0;     ///< CPU time from making the manager until all are read and planned.
  double hour_cpu_seconds = 0;  ///< CPU time for an hour of virtual time, the mean of a day.
  double octets = 0;            ///< Of memory for each certificate, beside what is stored.
};

/// On MemoryStorage, with 90-day certificates that were issued before, and a CA that offers no renewal information.
Scale measure_scale(std::size_t certificates);

}  // namespace culmen::simulation
