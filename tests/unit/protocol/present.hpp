// When the tests of this folder take place: 2027-01-15T08:00:00Z.
#pragma once

#include <chrono>

inline constexpr std::chrono::system_clock::time_point present{std::chrono::seconds(1'800'000'000)};
