// A small part of `make chaos-program`.
#include "program_chaos.hpp"

#include <doctest/doctest.h>

#include <sstream>

using std::chrono::seconds;

namespace {

chaos::ProgramResult check(const chaos::ProgramOptions& options) {
  chaos::ProgramResult result = chaos::disturb_program(options);
  std::ostringstream text;
  text << result;
  INFO(text.str());
  for (const std::string& fault : result.faults) FAIL_CHECK(fault);
  CHECK(result.extra_accounts == 0);
  return result;
}

chaos::ProgramOptions nothing() {
  chaos::ProgramOptions options;
  options.kills = 0;
  return options;
}

}  // namespace

TEST_CASE("the program is killed at random moments: no key is lost, nothing is half done, the next run succeeds") {
  chaos::ProgramOptions options = nothing();
  options.kills = 30;
  options.limit = seconds(60);
  CHECK(check(options).hits > 0);
}

TEST_CASE("the program is killed at a system call: the same") {
  chaos::ProgramOptions options = nothing();
  options.every_step = 25;
  options.seed = 7;
  options.limit = seconds(60);
  check(options);
}

TEST_CASE("twenty programs at once on one state folder: done, or to be tried again") {
  chaos::ProgramOptions options = nothing();
  options.rounds = 3;
  options.limit = seconds(60);
  CHECK(check(options).rounds > 0);
}

TEST_CASE("the storage is full, read-only or lost at a step: an error that names the file, and the next run succeeds") {
  chaos::ProgramOptions options = nothing();
  options.every_fault = 250;
  options.seed = 7;
  options.limit = seconds(60);
  check(options);
}
