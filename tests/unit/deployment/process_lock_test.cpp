// A lock between processes, and between threads of one.
#include "culmen/process_lock.hpp"

#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "support/errors.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
namespace fs = std::filesystem;

TEST_CASE("process lock: one holds it, and the file says which") {
  const test::TemporaryFolder folder;
  const fs::path file = folder / "lock";
  std::optional<ProcessLock> lock = ProcessLock::take(file);
  REQUIRE(lock);
  CHECK_FALSE(ProcessLock::take(file));
  CHECK(ProcessLock::holder(file) == getpid());
  CHECK(test::mode_of(file) == 0600);
  std::optional<ProcessLock> moved = std::move(lock);
  lock.reset();
  CHECK_FALSE(ProcessLock::take(file));
  moved.reset();
  CHECK(ProcessLock::take(file));
  CHECK(fs::exists(file));
}

TEST_CASE("process lock: the end of a process frees it, and a child that it left does not hold it") {
  const test::TemporaryFolder folder;
  const fs::path file = folder / "lock";
  const pid_t child = fork();
  if (child == 0) {
    const std::optional<ProcessLock> lock = ProcessLock::take(file);
    _exit(lock ? 0 : 1);  // without any destructor
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(ProcessLock::holder(file) == child);
  CHECK(ProcessLock::take(file));
}

TEST_CASE("process lock: what cannot be locked is named") {
  const test::TemporaryFolder folder;
  CHECK(contains(thrown_by([&] { return ProcessLock::take(folder / "none/lock"); }), (folder / "none").string()));
  fs::create_directory(folder / "lock");
  CHECK(contains(thrown_by([&] { return ProcessLock::take(folder / "lock"); }), (folder / "lock").string()));
  CHECK(ProcessLock::holder(folder / "other") == 0);
}
