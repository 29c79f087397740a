// culmen_manager_soak [SECONDS [files|memory [CERTIFICATES]]]: lets a manager run for long. The exit status is 1 if
// anything was wrong.
#include <malloc.h>

#include <cstdlib>
#include <exception>
#include <iostream>

#include "manager_soak.hpp"

int main(int argc, char** argv) try {
  // With an arena for each thread the resident memory also grows by what malloc keeps of each: that would hide a leak.
  mallopt(M_ARENA_MAX, 1);
  chaos::SoakOptions options;
  if (argc > 1) options.duration = std::chrono::seconds(std::atoi(argv[1]));
  if (argc > 2) options.storage = argv[2];
  if (argc > 3) options.certificates = static_cast<std::size_t>(std::atoi(argv[3]));
  options.log = &std::cout;
  const chaos::SoakResult result = chaos::soak_manager(options);
  std::cout << result << std::flush;
  return result.faults.empty() ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "culmen_manager_soak: " << error.what() << std::endl;
  return 1;
}
