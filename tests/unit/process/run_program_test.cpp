// Programs of the user: what they are given, how they are ended, and what keeps them from running.
#include "culmen/program.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "culmen/error.hpp"
#include "support/temporary_folder.hpp"
#include "support/zone_hook.hpp"

using namespace culmen;
using test::file_text;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

Errc code_of(const ProgramRun& run, const CancelToken& cancel) {
  try {
    run_program("running a program", run, cancel);
  } catch (const Error& error) {
    return error.code();
  }
  return Errc::unknown_acme_error;  // it did not fail
}

ProgramRun run_of(const std::string& program) {
  ProgramRun run;
  run.words = {program};
  return run;
}

/// Cancels once the file is there.
std::thread canceller(const fs::path& file, const CancelToken& token) {
  return std::thread([file, token] {
    while (!fs::exists(file)) std::this_thread::sleep_for(5ms);
    token.cancel();
  });
}

}  // namespace

TEST_CASE("a program gets its input whole, and need not read it") {
  const test::TemporaryFolder folder;
  ProgramRun run = run_of(test::write_script(folder.path() / "reads", "cat > \"$(dirname \"$0\")/read\"\n"));
  run.input = std::string(300'000, 'x') + "\nend\n";
  run_program("running a program", run);
  CHECK(file_text(folder.path() / "read") == run.input);
  run.words = {test::write_script(folder.path() / "ignores", "echo out; echo err >&2\n")};
  CHECK(run_program("running a program", run) == "out\nerr\n");
}

TEST_CASE("a program that is cancelled ends soon, with what it started") {
  const test::TemporaryFolder folder;
  const CancelToken token;
  ProgramRun run;
  SUBCASE("it obeys SIGTERM") {
    run = run_of(test::write_script(folder.path() / "program",
                                    "cd \"$(dirname \"$0\")\"\ntrap 'touch obeyed; exit 0' TERM\ntouch began\n"
                                    "while :; do sleep 0.05; done\n"));
  }
  SUBCASE("it does not") {
    run = run_of(test::write_script(folder.path() / "program",
                                    "cd \"$(dirname \"$0\")\"\ntrap '' TERM\ntouch began obeyed\nsleep 1000\n"));
  }
  std::thread other = canceller(folder.path() / "began", token);
  const auto start = std::chrono::steady_clock::now();
  CHECK(code_of(run, token) == Errc::cancelled);
  CHECK(std::chrono::steady_clock::now() - start < 60s);  // its own time limit is 120 s
  other.join();
  CHECK(fs::exists(folder.path() / "obeyed"));
  CHECK(code_of(run, token) == Errc::cancelled);  // and is not started again
}

TEST_CASE("a program that cleans up may go on after a cancellation, and begin after it") {
  const test::TemporaryFolder folder;
  const CancelToken token;
  ProgramRun run = run_of(test::write_script(
      folder.path() / "program", "cd \"$(dirname \"$0\")\"\ntouch began\nsleep 0.3\necho done >> cleaned\n"));
  run.after_cancel = 60s;
  std::thread other = canceller(folder.path() / "began", token);
  run_program("cleaning up", run, token);
  other.join();
  run_program("cleaning up", run, token);
  CHECK(file_text(folder.path() / "cleaned") == "done\ndone\n");
}

TEST_CASE("what keeps a program from running is known without running it") {
  const test::TemporaryFolder folder;
  const auto obstacle = [&](const std::string& name, const std::string& text, bool executable) {
    const fs::path path = folder.path() / name;
    std::ofstream(path, std::ios::binary) << text;
    if (executable) fs::permissions(path, fs::perms::owner_all);
    return obstacle_of_program(path.string());
  };
  CHECK(obstacle("good", "#!/bin/sh\nexit 0\n", true).empty());
  CHECK(obstacle("with-arguments", "#! /usr/bin/env sh\nexit 0\n", true).empty());
  CHECK(obstacle("crlf", "#!/bin/sh\r\nexit 0\r\n", true).find("CR and LF") != std::string::npos);
  CHECK(obstacle("no-interpreter", "#!/no/such/sh\n", true).find("/no/such/sh") != std::string::npos);
  CHECK(obstacle("no-first-line", "echo\n", true).find("#!/bin/sh") != std::string::npos);
  CHECK(obstacle("not-executable", "#!/bin/sh\n", false).find("chmod +x") != std::string::npos);
  CHECK(obstacle_of_program(folder.path().string()) == "it is a folder");
  CHECK(obstacle_of_program((folder.path() / "none").string()).find("No such file") != std::string::npos);
  CHECK(obstacle_of_program("sh").empty());  // in PATH
  CHECK(obstacle_of_program("no-such-program-here").find("PATH") != std::string::npos);
  CHECK_FALSE(obstacle_of_program("").empty());
}
