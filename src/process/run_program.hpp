// Runs a user's program within a time limit.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace culmen::process {

/// Names and values.
using Variables = std::vector<std::pair<std::string, std::string>>;

/// Runs `words` (the program, looked up in PATH when it has no slash, and its arguments), and waits for it. It gets
/// the caller's environment without variables named CULMEN_…, and `variables` in their place; no input, and no
/// other descriptor of this process; and a process group of its own. Throws Error (solver_failed) with the end of
/// its output if it cannot be started, fails, or takes longer than `time_limit`: then it is killed, with all it
/// started. `doing` is for the error.
void run_program(const std::string& doing, std::vector<std::string> words, const Variables& variables,
                 std::chrono::seconds time_limit);

}  // namespace culmen::process
