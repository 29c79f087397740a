#include "drivers/clock.hpp"

namespace culmen::drivers {

Instant instant_now() { return Instant(std::chrono::system_clock::now(), std::chrono::steady_clock::now()); }

}  // namespace culmen::drivers
