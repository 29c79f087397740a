// A user's program for the DNS: what it is given, and what becomes of it.
#include <doctest/doctest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "culmen/dns_solver.hpp"
#include "culmen/driver.hpp"
#include "culmen/http01_solver.hpp"
#include "support/abandoned_call.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "support/zone_hook.hpp"

using namespace culmen;
using test::file_text;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

ChallengeContext challenge(bool wildcard = false) {
  ChallengeContext context;
  context.identifier = Identifier("dns", "example.org");
  context.wildcard = wildcard;
  context.type = "dns-01";
  context.token = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA";
  context.key_authorization = context.token + ".kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
  context.account_url = "https://ca.test/acme/acct/1";
  return context;
}
const TxtRecord record("_acme-challenge.example.org", "lAV291d372xyXVEZRY9j2FQ8g1TYpOaJr620CiahePA");

std::string failure_of(const DnsHook& hook) {
  try {
    hook.run("present", challenge(), record);
  } catch (const Error& error) {
    CHECK(error.code() == Errc::solver_failed);
    return error.what();
  }
  return "none";
}

/// Runs a flow; its waits are noted and not waited for.
Result<void> run(Flow<Result<void>> flow, std::vector<std::chrono::microseconds>* waits = nullptr) {
  Execution<Result<void>> execution(std::move(flow), [] { return Instant(); });
  while (Ask* ask = execution.next()) {
    if (ask->kind() == Ask::Kind::wait) {
      auto& wait = static_cast<WaitAsk&>(*ask);
      if (waits) waits->push_back(wait.duration);
      execution.answer(wait, Result<void>());
    } else {
      REQUIRE(ask->kind() == Ask::Kind::call);
      auto& call = static_cast<CallAsk&>(*ask);
      execution.answer(call, call_function(call));
    }
  }
  return execution.result();
}

}  // namespace

TEST_CASE("a DNS hook gets arguments and environment") {
  const test::TemporaryFolder folder;
  ::setenv("CULMEN_TOKEN", "of an outer culmen", 1);
  ::setenv("DNS_HOOK_TEST_OWN", "kept", 1);
  const DnsHook hook(test::write_script(folder.path() / "hook",
                                        "cd \"$(dirname \"$0\")\"\n"
                                        "printf '%s|' \"$@\" > arguments\n"
                                        "env | grep -E '^(CULMEN_|DNS_HOOK)' | sort > environment\n"
                                        "cat > input\n"));
  hook.run("cleanup", challenge(true), record);
  CHECK(file_text(folder.path() / "arguments") == "cleanup|" + record.name + "|" + record.value + "|");
  CHECK(file_text(folder.path() / "environment") ==
        "CULMEN_ACTION=cleanup\nCULMEN_CHALLENGE=dns-01\nCULMEN_DOMAIN=*.example.org\nCULMEN_KEY_AUTH=" +
            challenge().key_authorization + "\nCULMEN_RECORD_NAME=" + record.name + "\nCULMEN_RECORD_VALUE=" +
            record.value + "\nCULMEN_TOKEN=" + challenge().token + "\nDNS_HOOK_TEST_OWN=kept\n");
  CHECK(file_text(folder.path() / "input").empty());
  ::unsetenv("CULMEN_TOKEN");
  ::unsetenv("DNS_HOOK_TEST_OWN");
}

TEST_CASE("a DNS hook that fails is quoted, printably and not at length") {
  const test::TemporaryFolder folder;
  const auto script = [&](const std::string& text) { return test::write_script(folder.path() / "hook", text); };
  std::string said = failure_of(DnsHook(script("echo 'no such zone'; printf 'and \\033[31m so on' >&2; exit 7\n")));
  CHECK(contains(said, "exit code 7"));
  CHECK(contains(said, "no such zone and ?[31m so on"));
  CHECK(contains(said, record.name));
  said = failure_of(DnsHook(script("seq 1 200000; echo the end; exit 1\n")));
  CHECK(said.size() < 3000);
  CHECK(contains(said, "exit code 1"));
  CHECK(contains(failure_of(DnsHook(script("kill -9 $$\n"))), "signal 9; it said nothing"));
  CHECK(contains(failure_of(DnsHook((folder.path() / "none").string())), "cannot be run: No such file"));
  CHECK(contains(failure_of(DnsHook(folder.path().string())), "cannot be run"));
  CHECK(failure_of(DnsHook("true")) == "none");  // found in PATH
}

TEST_CASE("a DNS hook, and a daemon that it leaves, inherit no descriptor") {
  const test::TemporaryFolder folder;
  Http01Solver responder(0, "127.0.0.1");
  responder.start_thread();
  const int without_flag = ::socket(AF_INET, SOCK_STREAM, 0);  // as other libraries in the process make them
  const int beyond = ::fcntl(without_flag, F_DUPFD, 700);
  REQUIRE(beyond >= 700);
  const DnsHook hook(test::write_script(folder.path() / "hook",
                                        "cd \"$(dirname \"$0\")\"\n"
                                        "ls -l /proc/self/fd > descriptors\n"
                                        "(sleep 1; ls -l /proc/self/fd > left; mv left left.whole) &\n"));
  hook.run("present", challenge(), record);
  ::close(without_flag);
  ::close(beyond);
  for (int i = 0; i < 1000 && !fs::exists(folder.path() / "left.whole"); ++i) std::this_thread::sleep_for(10ms);
  for (const char* file : {"descriptors", "left.whole"}) {
    const std::string listed = file_text(folder.path() / file);
    CAPTURE(listed);
    CHECK(contains(listed, "0 -> /dev/null"));
    CHECK(contains(listed, "2 -> pipe:"));
    CHECK_FALSE(contains(listed, "socket:"));
    CHECK_FALSE(contains(listed, "anon_inode:"));
  }
}

TEST_CASE("a DNS hook that runs over is killed with all it started") {
  const test::TemporaryFolder folder;
  const std::string program = test::write_script(
      folder.path() / "hook", "echo waiting\nsleep 300 &\necho $! > \"$(dirname \"$0\")\"/child\nwait\n");
  const auto start = std::chrono::steady_clock::now();
  const std::string said = failure_of(DnsHook(program, 3s));
  CHECK(std::chrono::steady_clock::now() - start < 20s);
  CHECK(contains(said, "longer than 3 s and was killed; it said: waiting"));
  const pid_t child = std::stoi(file_text(folder.path() / "child"));
  bool gone = false;
  for (int i = 0; i < 500 && !gone; ++i) {
    // A zombie whose parent has not looked yet is gone as well.
    const std::string state = file_text("/proc/" + std::to_string(child) + "/stat");
    gone = ::kill(child, 0) != 0 || contains(state, ") Z ");
    if (!gone) std::this_thread::sleep_for(10ms);
  }
  CHECK(gone);
}

TEST_CASE("a DNS hook is not waited for when only a daemon of its holds the output open") {
  const test::TemporaryFolder folder;
  const std::string program =
      test::write_script(folder.path() / "hook", "sleep 5 &\necho $! > \"$(dirname \"$0\")\"/child\nexit 3\n");
  const auto start = std::chrono::steady_clock::now();
  CHECK(contains(failure_of(DnsHook(program)), "exit code 3"));
  CHECK(std::chrono::steady_clock::now() - start < 4s);
  ::kill(std::stoi(file_text(folder.path() / "child")), SIGKILL);
}

TEST_CASE("the hook solver: two values at one name, each taken away alone") {
  const test::TemporaryFolder folder;
  DnsHookOptions options;
  options.settle = 90s;
  DnsHookSolver solver(test::make_zone_hook(folder.path()), options);
  CHECK(solver.can_solve(Identifier("dns", "example.org"), true));
  CHECK_FALSE(solver.can_solve(Identifier("ip", "192.0.2.1"), false));
  ChallengeContext apex = challenge(), wildcard = challenge(true);
  wildcard.token = "another";
  wildcard.key_authorization = "another.thumbprint";
  std::vector<std::chrono::microseconds> waits;
  REQUIRE(run(solver.present(apex), &waits));
  REQUIRE(run(solver.present(wildcard), &waits));
  CHECK(waits.empty());
  REQUIRE(run(solver.ready({apex, wildcard}), &waits));
  CHECK(waits == std::vector<std::chrono::microseconds>{90s});  // once for both
  const fs::path file = folder.path() / "zone" / record.name;
  const std::string second = Dns01Helper::txt_value("another.thumbprint");
  CHECK(file_text(file) == record.value + "\n" + second + "\n");
  REQUIRE(run(solver.cleanup(apex)));
  CHECK(file_text(file) == second + "\n");
  REQUIRE(run(solver.cleanup(wildcard)));
  CHECK_FALSE(fs::exists(file));
}

TEST_CASE("the hook solver: a run may start after its flow and its solver are gone") {
  const test::TemporaryFolder folder;
  std::function<Result<void>()> late;
  {
    DnsHookSolver solver(test::make_zone_hook(folder.path()));
    late = test::abandoned_call(solver.present(challenge()));
  }
  REQUIRE(late());
  CHECK(file_text(folder.path() / "zone" / record.name) == record.value + "\n");
}

TEST_CASE("names that are none never reach a hook") {
  const test::TemporaryFolder folder;
  DnsHookSolver solver(test::make_zone_hook(folder.path()));
  for (const char* name : {"a/../../b", "$(reboot).example", "a b.example", "", "a\nb.example"}) {
    ChallengeContext context = challenge();
    context.identifier.value = name;
    const Result<void> presented = run(solver.present(context));
    REQUIRE_FALSE(presented);
    CHECK(presented.error().code() == Errc::invalid_argument);
  }
  CHECK_FALSE(fs::exists(folder.path() / "log"));
  DnsHookOptions options;
  options.type = "http-01";
  CHECK_THROWS_AS(DnsHookSolver("true", options), Error);
}
