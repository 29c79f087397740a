// culmen_manager_kills [KILLS [EVERY_STEP [SEED]]]: kills managers, and prints what came of it. EVERY_STEP 1: also at
// each system call that changes a file or sends something; n: at every n-th. The exit status is 1 if anything was
// wrong.
#include <cstdlib>
#include <exception>
#include <iostream>

#include "manager_kills.hpp"

int main(int argc, char** argv) try {
  chaos::KillOptions options;
  options.kills = argc > 1 ? std::atoi(argv[1]) : 1000;
  options.every_step = argc > 2 ? std::atoi(argv[2]) : 1;
  options.seed = argc > 3 ? static_cast<unsigned>(std::atoi(argv[3])) : 1;
  options.verbose = true;
  const chaos::KillResult result = chaos::kill_managers(options);
  std::cout << result << std::flush;
  return result.faults.empty() ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "culmen_manager_kills: " << error.what() << std::endl;
  return 1;
}
