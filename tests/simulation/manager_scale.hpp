// What a manager of many certificates costs while none of them is due.
#pragma once

#include <cstddef>
#include <memory>

#include "culmen/storage.hpp"

namespace culmen::simulation {

/// A plain value.
struct Scale {
  Scale() = default;
  std::size_t certificates = 0;
  double start_seconds = 0;      ///< Real time from making the manager until all are read and planned.
  double start_cpu_seconds = 0;  ///< CPU time of this process for that.
  double hour_cpu_seconds = 0;   ///< CPU time for an hour of virtual time, the mean of a day.
  double octets = 0;             ///< Of memory for each certificate, beside what is stored.
};

/// With 90-day certificates that were issued before, which it writes into the empty storage, and a CA that offers no
/// renewal information. Throws Error if storage fails.
Scale measure_scale(std::size_t certificates, const std::shared_ptr<Storage>& storage);

}  // namespace culmen::simulation
