// Running a user's program: hooks.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "culmen/cancel_token.hpp"

namespace culmen {

/// A program to run. A plain value.
struct ProgramRun {
  ProgramRun() = default;
  /// The program, looked up in PATH if it has no slash, and its arguments.
  std::vector<std::string> words;
  /// Names and values. The program gets the caller's environment without variables named CULMEN_…, and these.
  std::vector<std::pair<std::string, std::string>> variables;
  std::string input;                     ///< For its standard input.
  std::chrono::seconds time_limit{120};  ///< At least one second.
  /// How much longer it may go on after `cancel`: more than zero for what cleans up.
  std::chrono::seconds after_cancel{0};
};

/// Runs the program in a process group of its own, without any other descriptor of this process, and blocks until it
/// exits. After the time limit it is killed, with all it has started. `cancel` ends it after `after_cancel` by SIGTERM,
/// and a second later by SIGKILL; without `after_cancel` it is not even started then. `doing` is for the error.
///
/// Returns the end of its output. Throws Error: solver_failed with the end of its output if it cannot be started, fails
/// or takes too long; cancelled if it was ended because of that; invalid_argument if a word is empty or has a NUL.
std::string run_program(const std::string& doing, const ProgramRun& run, CancelToken cancel = CancelToken::never());

/// Why the program could not be run, without running it; empty if it could: it does not exist, may not be executed, or
/// its first line names an interpreter that does not exist.
std::string obstacle_of_program(const std::string& program);

}  // namespace culmen
