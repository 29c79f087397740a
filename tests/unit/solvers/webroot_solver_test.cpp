// http-01 by files.
#include <doctest/doctest.h>

#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "culmen/atomic_file.hpp"
#include "culmen/driver.hpp"
#include "culmen/http01_solver.hpp"
#include "support/abandoned_call.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using test::file_text;
namespace fs = std::filesystem;

namespace {

/// Runs a flow that asks for nothing but calls.
Result<void> run_calls(Flow<Result<void>> flow) {
  Execution<Result<void>> execution(std::move(flow), [] { return Instant(); });
  while (Ask* ask = execution.next()) {
    REQUIRE(ask->kind() == Ask::Kind::call);
    auto& call = static_cast<CallAsk&>(*ask);
    execution.answer(call, call_function(call));
  }
  REQUIRE(execution.done());
  return execution.result();
}

ChallengeContext http_challenge(const std::string& token) {
  ChallengeContext context;
  context.token = token;
  context.key_authorization = token + ".thumbprint";
  return context;
}

std::size_t files_under(const fs::path& folder) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) count += entry.is_regular_file() ? 1 : 0;
  return count;
}

}  // namespace

TEST_CASE("webroot: a file is written to the byte, readable for all, and removed") {
  const test::TemporaryFolder folder;
  WebrootSolver solver(folder.path());
  CHECK(solver.type() == "http-01");
  CHECK(solver.can_solve(Identifier::dns("example.com"), false));
  CHECK_FALSE(solver.can_solve(Identifier::dns("example.com"), true));

  const mode_t kept = ::umask(077);
  const auto presented = run_calls(solver.present(http_challenge("to-ken_1")));
  ::umask(kept);
  REQUIRE(presented);
  const fs::path file = folder.path() / ".well-known" / "acme-challenge" / "to-ken_1";
  CHECK(file_text(file) == "to-ken_1.thumbprint");
  CHECK((fs::status(file).permissions() & fs::perms::others_read) != fs::perms::none);
  CHECK((fs::status(file.parent_path()).permissions() & fs::perms::others_exec) != fs::perms::none);
  CHECK((fs::status(file.parent_path().parent_path()).permissions() & fs::perms::others_exec) != fs::perms::none);
  CHECK(files_under(folder.path()) == 1);

  CHECK(run_calls(solver.present(http_challenge("two"))));
  CHECK(run_calls(solver.cleanup(http_challenge("to-ken_1"))));
  CHECK_FALSE(fs::exists(file));
  CHECK(fs::exists(file.parent_path() / "two"));
  CHECK(run_calls(solver.cleanup(http_challenge("to-ken_1"))));  // twice does no harm
}

TEST_CASE("webroot: a token cannot lead out of the folder") {
  const test::TemporaryFolder folder;
  const std::string outside = folder.write("outside", "precious");
  fs::create_directory(folder.path() / "root");
  WebrootSolver solver(folder.path() / "root");
  for (const std::string& bad :
       {std::string(""), std::string("."), std::string(".."), std::string("../../../outside"), outside,
        std::string("a/b"), std::string("a\\b"), std::string("a\0b", 3), std::string("a\n")}) {
    CAPTURE(bad);
    const auto presented = run_calls(solver.present(http_challenge(bad)));
    REQUIRE_FALSE(presented);
    CHECK(presented.error().code() == Errc::invalid_argument);
    CHECK(run_calls(solver.cleanup(http_challenge(bad))));
  }
  CHECK(file_text(outside) == "precious");
  CHECK(files_under(folder.path()) == 1);
}

TEST_CASE("webroot: a root that is not there is not made") {
  const test::TemporaryFolder folder;
  WebrootSolver solver(folder.path() / "misspelt");
  const auto presented = run_calls(solver.present(http_challenge("t")));
  REQUIRE_FALSE(presented);
  CHECK(presented.error().code() == Errc::io_failed);
  CHECK(std::string(presented.error().what()).find("misspelt") != std::string::npos);
  CHECK_FALSE(fs::exists(folder.path() / "misspelt"));
}

TEST_CASE("webroot: what is in the way is named") {
  const test::TemporaryFolder folder;
  folder.write(".well-known", "a file");
  WebrootSolver solver(folder.path());
  const auto presented = run_calls(solver.present(http_challenge("t")));
  REQUIRE_FALSE(presented);
  CHECK(presented.error().code() == Errc::io_failed);
  CHECK(std::string(presented.error().what()).find(".well-known") != std::string::npos);
}

TEST_CASE("webroot: a call may run on after its flow and its solver are gone") {
  const test::TemporaryFolder folder;
  std::vector<std::function<Result<void>()>> calls;
  {
    WebrootSolver solver(folder.path());
    calls.push_back(test::abandoned_call(solver.present(http_challenge("late"))));
    calls.push_back(test::abandoned_call(solver.cleanup(http_challenge("late"))));
  }
  CHECK(calls.at(0)());
  CHECK(file_text(folder.path() / ".well-known" / "acme-challenge" / "late") == "late.thumbprint");
  CHECK(calls.at(1)());
  CHECK(files_under(folder.path()) == 0);
}

TEST_CASE("webroot: what a killed program left is removed, once it is old, and nothing else is") {
  const test::TemporaryFolder folder;
  const fs::path place = folder.path() / ".well-known" / "acme-challenge";
  fs::create_directories(place);
  const auto old = fs::file_time_type::clock::now() - std::chrono::minutes(11);
  const auto put = [&](const std::string& name, bool is_old) {
    write_file_atomically(place / name, "x");
    if (is_old) fs::last_write_time(place / name, old);
  };
  const std::vector<std::string> kept = {".culmen-1-3.tmp.txt", ".culmen-1.tmp",     ".culmen--.tmp", ".culmen-1-x.tmp",
                                         "culmen-1-1.tmp",      ".culmen-1-1-1.tmp", ".culmen-.tmp",  "to-ken"};
  for (const std::string& name : kept) put(name, true);
  put(".culmen-1-2.tmp", false);
  put(".culmen-17-42.tmp", true);
  put("target", true);
  fs::create_symlink("target", place / ".culmen-1-7.tmp");
  const timespec long_ago[2] = {{0, 0}, {0, 0}};
  REQUIRE(::utimensat(AT_FDCWD, (place / ".culmen-1-7.tmp").c_str(), long_ago, AT_SYMLINK_NOFOLLOW) == 0);
  put(".culmen-1-9.tmp", true);
  const bool is_root = ::geteuid() == 0;  // only root can give a file away
  if (is_root) REQUIRE(::chown((place / ".culmen-1-9.tmp").c_str(), 65534, 65534) == 0);
  fs::create_directory(place / ".culmen-1-8.tmp");
  fs::last_write_time(place / ".culmen-1-8.tmp", old);

  WebrootSolver solver(folder.path());
  CHECK(run_calls(solver.present(http_challenge("new"))));
  CHECK_FALSE(fs::exists(place / ".culmen-17-42.tmp"));
  for (const std::string& name : kept) CHECK_MESSAGE(fs::exists(place / name), name);
  CHECK(fs::exists(place / ".culmen-1-2.tmp"));
  CHECK(fs::is_symlink(place / ".culmen-1-7.tmp"));
  CHECK(fs::exists(place / "target"));
  CHECK(fs::exists(place / ".culmen-1-9.tmp") == is_root);
  CHECK(fs::is_directory(place / ".culmen-1-8.tmp"));
}
