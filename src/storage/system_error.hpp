// Reports errors of system calls.
#pragma once

#include <string>

namespace culmen::storage {

/// Throws Error (io_failed) with errno; `step` is what failed of what was being done.
[[noreturn]] void throw_errno(const std::string& doing, const std::string& step);

}  // namespace culmen::storage
