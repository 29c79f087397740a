#include "culmen/virtual_driver.hpp"

namespace culmen {

VirtualClock::VirtualClock(TimePoint start) : start_(start), elapsed_(std::make_shared<std::atomic<std::int64_t>>(0)) {}

VirtualClock::TimePoint VirtualClock::now() const noexcept {
  return start_ + std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(elapsed_->load()));
}

Instant VirtualClock::instant() const noexcept {
  const std::chrono::nanoseconds elapsed(elapsed_->load());
  return Instant(start_ + std::chrono::duration_cast<TimePoint::duration>(elapsed),
                 std::chrono::steady_clock::time_point(elapsed));
}

void VirtualClock::advance(std::chrono::nanoseconds by) noexcept {
  if (by.count() > 0) *elapsed_ += by.count();
}

}  // namespace culmen
