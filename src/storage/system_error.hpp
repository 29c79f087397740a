// Failed system calls as errors, and what to do about them.
#pragma once

#include <string>

namespace culmen::storage {

inline constexpr const char* make_or_mount = "make it, or mount it";

/// Throws Error (io_failed) with errno; `step` is what failed of what was being done. `if_missing` is the advice if
/// something does not exist (ENOENT); the other advice depends on errno alone.
[[noreturn]] void throw_errno(const std::string& doing, const std::string& step, const std::string& if_missing = {});

}  // namespace culmen::storage
