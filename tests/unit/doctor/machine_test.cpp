#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "culmen/checkup.hpp"
#include "doctor/names.hpp"
#include "support/temporary_folder.hpp"
#include "support/zone_hook.hpp"

using namespace culmen;
using Verdict = Finding::Verdict;

TEST_CASE("doctor: a folder that is there, one that can be made, one that is a file") {
  const test::TemporaryFolder folder;
  CHECK(check_folder(folder.path().string()).verdict == Verdict::good);
  const Finding fresh = check_folder((folder.path() / "a" / "b").string());
  CHECK(fresh.verdict == Verdict::good);
  CHECK(fresh.found == "does not exist yet, and can be made");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "a"));
  std::ofstream(folder.path() / "file") << "x";
  CHECK(check_folder((folder.path() / "file").string()).verdict == Verdict::machine);
  CHECK(check_folder("/proc/culmen").verdict == Verdict::machine);
}

TEST_CASE("doctor: hooks that can be run, that cannot, and that others can change") {
  const test::TemporaryFolder folder;
  const std::string hook = test::write_script(folder.path() / "hook", "exit 0\n");
  CHECK(check_hook("--deploy-hook", hook).verdict == Verdict::good);
  CHECK(check_hook("--deploy-hook", hook + ".missing").verdict == Verdict::machine);
  REQUIRE(chmod(hook.c_str(), 0777) == 0);
  const Finding open = check_hook("--deploy-hook", hook);
  CHECK(open.verdict == Verdict::note);
  CHECK(open.found == "can be run, but everybody can write to it");
  REQUIRE(chmod(hook.c_str(), 0600) == 0);
  CHECK(check_hook("--deploy-hook", hook).verdict == Verdict::machine);
}

TEST_CASE("doctor: what weighs most") {
  const auto worst = [](std::vector<Verdict> verdicts) {
    std::vector<Finding> findings;
    for (const Verdict verdict : verdicts) findings.emplace_back(verdict, "", "", "");
    return worst_of(findings);
  };
  CHECK(worst({}) == Verdict::good);
  CHECK(worst({Verdict::good, Verdict::note}) == Verdict::note);
  CHECK(worst({Verdict::temporary, Verdict::note}) == Verdict::temporary);
  CHECK(worst({Verdict::temporary, Verdict::refused, Verdict::good}) == Verdict::refused);
  CHECK(worst({Verdict::refused, Verdict::machine, Verdict::temporary}) == Verdict::machine);
}

TEST_CASE("doctor: addresses that no CA on the internet can reach") {
  for (const char* address : {"127.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
                              "169.254.1.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1", "fd00::1", "2001:db8::1"})
    CHECK_MESSAGE(doctor::is_private(address), address);
  for (const char* address : {"8.8.8.8", "172.32.0.1", "100.128.0.1", "192.169.0.1", "2606:4700::1111", "2a00::1"})
    CHECK_MESSAGE(!doctor::is_private(address), address);
}
