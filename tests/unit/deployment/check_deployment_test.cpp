// What is wrong with outputs and hooks is seen before a CA is asked.
#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "culmen/atomic_file.hpp"
#include "culmen/deployment.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "support/zone_hook.hpp"

using namespace culmen;
namespace fs = std::filesystem;

namespace {

/// "code: text" of the only problem.
std::string problem_of(const DeploymentSettings& settings, const std::vector<std::string>& needed = {}) {
  const auto problems = check_deployment(settings, needed);
  if (problems.empty()) return "(none)";
  CHECK(problems.size() == 1);
  return std::string(to_string(problems.front().code)) + ": " + problems.front().text;
}

std::string problem_of_out(const std::string& path) {
  DeploymentSettings settings;
  settings.out = path;
  return problem_of(settings);
}

}  // namespace

TEST_CASE("checked outputs: folders, pipes, and folders that are not there") {
  const test::TemporaryFolder folder;
  CHECK(problem_of_out(folder / "chain.pem") == "(none)");
  CHECK(problem_of_out(folder.write("there.pem", "x")) == "(none)");
  CHECK(problem_of_out(folder.path()) == "invalid_argument: out: " + folder.path().string() + " is a folder");
  const std::string pipe = folder / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(problem_of_out(pipe) == "invalid_argument: out: " + pipe + " is not a regular file");
  CHECK(problem_of_out(folder / "none/chain.pem") ==
        "not_found: out: there is no folder " + (folder / "none").string());
  if (geteuid() != 0) {
    fs::permissions(folder.path(), fs::perms::owner_read | fs::perms::owner_exec);
    CHECK(contains(problem_of_out(folder / "chain.pem"), "this user cannot write to the folder"));
  }
}

TEST_CASE("checked outputs: no two are the same file, nor one that is needed, also behind links") {
  const test::TemporaryFolder folder;
  fs::create_directory(folder / "real");
  fs::create_directory_symlink(folder / "real", folder / "link");
  fs::create_symlink("b.pem", folder / "b-link.pem");
  DeploymentSettings settings;
  settings.out = folder / "real/a.pem";
  settings.combined = folder / "link/a.pem";
  CHECK(problem_of(settings) ==
        "invalid_argument: out and combined name the same file, " + (folder / "real/a.pem").string());
  settings.combined = folder / "b-link.pem";
  CHECK(problem_of(settings) == "(none)");
  CHECK(problem_of(settings, {folder / "b.pem"}) == "invalid_argument: " + settings.combined +
                                                        " would be overwritten, and the same certificate needs it as " +
                                                        (folder / "b.pem").string());
  // A key that is only read is no output, but it is not written over.
  settings.cert_key = settings.out;
  settings.cert_key_is_input = true;
  CHECK(contains(problem_of(settings), "out and cert_key name the same file"));
  CHECK(output_files(settings) == std::vector<std::string>{settings.out, settings.combined});
}

TEST_CASE("checked outputs: groups, hooks, and how the caller calls them") {
  const test::TemporaryFolder folder;
  DeploymentSettings settings;
  settings.key_group = std::to_string(getegid());
  settings.pre_hooks = {test::write_script(folder / "hook", "exit 0\n")};
  CHECK(problem_of(settings) == "(none)");
  settings.key_group = "no-such-group-here";
  CHECK(problem_of(settings) == "not_found: key_group: there is no group \"no-such-group-here\" on this machine");
  settings.key_group.clear();
  settings.failure_hooks = {"true now", folder / "missing"};
  const auto problems =
      check_deployment(settings, {}, [](std::string_view member) { return "[" + std::string(member) + "]"; });
  REQUIRE(problems.size() == 2);
  CHECK(contains(problems.front().text, "[failure_hooks]: true now cannot be run: "));
  CHECK(contains(problems.front().advice, "without arguments"));
  CHECK(contains(problems.back().text, (folder / "missing").string()));
  CHECK(problems.back().code == Errc::not_found);
}

TEST_CASE("the file that is replaced: links are followed, also to what is not there") {
  const test::TemporaryFolder folder;
  fs::create_symlink("none/x.pem", folder / "a");
  fs::create_symlink(folder / "a", folder / "b");
  CHECK(replaced_file(folder / "b") == fs::canonical(folder.path()) / "none/x.pem");
  CHECK(replaced_file(folder / "c/../d") == fs::canonical(folder.path()) / "d");
  fs::create_symlink("loop", folder / "loop");
  CHECK(replaced_file(folder / "loop") == fs::canonical(folder.path()) / "loop");
}
