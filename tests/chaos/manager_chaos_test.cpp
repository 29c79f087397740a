// A small part of `make chaos-manager` and of `make soak`.
#include <doctest/doctest.h>

#include <sstream>

#include "manager_kills.hpp"
#include "manager_soak.hpp"

using std::chrono::seconds;

namespace {
template <class T>
std::string text_of(const T& result) {
  std::ostringstream text;
  text << result;
  return text.str();
}
}  // namespace

TEST_CASE("a manager that is killed loses no key, leaves nothing half done, and orders once more at most") {
  chaos::KillOptions options;
  options.kills = 15;
  options.limit = seconds(20);
  const chaos::KillResult result = chaos::kill_managers(options);
  INFO(text_of(result));
  for (const std::string& fault : result.faults) FAIL_CHECK(fault);
  CHECK(result.kills > 0);
}

TEST_CASE("a manager that is killed at a system call, the same") {
  chaos::KillOptions options;
  options.kills = 0;
  options.every_step = 97;
  options.limit = seconds(20);
  const chaos::KillResult result = chaos::kill_managers(options);
  INFO(text_of(result));
  for (const std::string& fault : result.faults) FAIL_CHECK(fault);
}

TEST_CASE("a manager with few descriptors and bad CAs: nothing expires, and it stops while storage hangs") {
  for (const char* storage : {"files", "memory"}) {
    chaos::SoakOptions options;
    options.storage = storage;
    options.duration = seconds(10);
    options.certificates = 30;
    options.lifetimes = {seconds(60), seconds(120)};
    options.renew_early = true;
    options.is_long = false;
    options.stop_limit = seconds(10);  // of a machine that does other things, too; hung calls last a minute
    const chaos::SoakResult result = chaos::soak_manager(options);
    INFO(text_of(result));
    for (const std::string& fault : result.faults) FAIL_CHECK(fault);
    CHECK(result.issued > 0);
    CHECK(result.most_descriptors <= 128);
  }
}
