// culmen_program_chaos [KILLS [EVERY_STEP [ROUNDS [EVERY_FAULT [SEED [SECONDS [COMMAND…]]]]]]]: kills the program KILLS
// times at random moments while it runs, and at every EVERY_STEP-th system call of each command that changes or sends
// something; runs ROUNDS rounds of twenty commands at once; and lets the storage fail from every EVERY_FAULT-th call
// on. 0: none of these. Nothing begins after SECONDS; 0: no limit. COMMAND: only these are killed and have a failing
// storage (first, issue, force, renew, rollover, revoke, delete, rename, import). Prints what came of it. The exit
// status is 1 if anything was wrong.
#include <cstdlib>
#include <exception>
#include <iostream>

#include "program_chaos.hpp"

int main(int argc, char** argv) try {
  chaos::ProgramOptions options;
  options.kills = argc > 1 ? std::atoi(argv[1]) : 1000;
  options.every_step = argc > 2 ? std::atoi(argv[2]) : 1;
  options.rounds = argc > 3 ? std::atoi(argv[3]) : 200;
  options.every_fault = argc > 4 ? std::atoi(argv[4]) : 1;
  options.seed = argc > 5 ? static_cast<unsigned>(std::atoi(argv[5])) : 1;
  options.limit = std::chrono::seconds(argc > 6 ? std::atoi(argv[6]) : 0);
  for (int i = 7; i < argc; ++i) options.commands.emplace_back(argv[i]);
  const chaos::ProgramResult result = chaos::disturb_program(options);
  std::cout << result << std::flush;
  return result.faults.empty() ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "culmen_program_chaos: " << error.what() << std::endl;
  return 1;
}
