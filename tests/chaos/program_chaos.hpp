// The culmen program: killed at any time and at its system calls, many at once, and on a storage that fails.
#pragma once

#include <chrono>
#include <iosfwd>
#include <map>
#include <string>
#include <vector>

#include "inspector.hpp"

namespace chaos {

struct ProgramOptions {
  int kills = 20;       // at random moments, while it runs
  int every_step = 0;   // 0: none; n: also at every n-th system call of each command that changes or sends something
  int rounds = 0;       // of twenty commands at once
  int every_fault = 0;  // 0: none; n: a storage that fails from every n-th call on
  std::vector<std::string> commands;  // that are killed and have a failing storage; none: all
  unsigned seed = 1;
  std::chrono::seconds limit{0};  // 0: none; otherwise nothing begins after that time
};

/// What was done to one command.
struct CommandCounts {
  int hits = 0, late = 0, steps = 0;
  int faults = 0, survived = 0;
};

struct ProgramResult : Findings {
  int hits = 0;   // random kills of a program that ran
  int late = 0;   // random kills that came after its end
  int steps = 0;  // kills at a system call
  int rounds = 0, processes = 0, busy = 0, waiting = 0;
  int storage_faults = 0, survived = 0;  // of those: the command succeeded
  int orders = 0, certificates = 0, accounts = 0;
  int extra_accounts = 0;
  std::map<std::string, CommandCounts> of;
};

/// Throws if it cannot run at all.
ProgramResult disturb_program(const ProgramOptions& options);
std::ostream& operator<<(std::ostream& out, const ProgramResult& result);

}  // namespace chaos
