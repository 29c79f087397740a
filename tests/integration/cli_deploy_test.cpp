// What happens after a certificate changed: copies, modes and hooks.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/text.hpp"

using namespace cli_test;

namespace {

/// A program that writes a line about each of its runs into a file beside it.
class Hook {
 public:
  Hook(const culmen::test::TemporaryFolder& folder, const std::string& name, const std::string& more = "")
      : path_(folder / name) {
    std::ofstream(path_)
        << "#!/bin/sh\n"
           "{ echo \"run $CULMEN_ID|$CULMEN_NAMES|$CULMEN_CAUSE|$CULMEN_FULLCHAIN|$CULMEN_KEY\"; cat; } "
           ">> \"$0.log\"\n"
        << more << "\n";
    fs::permissions(path_, fs::perms::owner_all);
  }
  const std::string& path() const noexcept { return path_; }
  std::string log() const { return fs::exists(path_ + ".log") ? contents(path_ + ".log") : std::string(); }
  int runs() const {
    int count = 0;
    const std::string all = log();
    for (auto found = all.find("run "); found != std::string::npos; found = all.find("\nrun ", found + 1)) ++count;
    return count;
  }

 private:
  std::string path_;
};

Outcome renew(const Client& client, std::vector<std::string> words = {}) {
  words.insert(words.begin(), {culmen_path(), "renew", "--dir", client.state().string()});
  return run(words);
}

unsigned group_of(const fs::path& path) {
  struct stat found {};
  REQUIRE(stat(path.c_str(), &found) == 0);
  return found.st_gid;
}

}  // namespace

TEST_CASE("deploy hooks: once a batch, with what changed, and not when nothing did (E8)") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const Hook hook(folder, "hook"), other(folder, "other");
  const Outcome first = client.issue({"a.example", "www.a.example"}, {"--deploy-hook", hook.path()});
  REQUIRE_MESSAGE(first.exit_code == 0, first.err);
  REQUIRE(hook.runs() == 1);
  const std::string live = (client.certificate("a.example") / "live").string();
  CHECK(contains(hook.log(), "run a.example|a.example www.a.example|it was never issued|" + live + "/fullchain.pem|" +
                                 live + "/key.pem\n"));
  CHECK(contains(hook.log(), "a.example a.example,www.a.example " + live + "/fullchain.pem " + live + "/key.pem\n"));
  REQUIRE(client.issue({"b.example"}, {"--deploy-hook", hook.path(), "--deploy-hook", other.path()}).exit_code == 0);
  CHECK(hook.runs() == 2);
  CHECK(client.issue({"a.example", "www.a.example"}).exit_code == 0);
  CHECK(renew(client).exit_code == 0);
  CHECK(hook.runs() == 2);
  // Both at once: one run each.
  const Outcome both = renew(client, {"--force"});
  CHECK_MESSAGE(both.exit_code == 0, both.err);
  CHECK(hook.runs() == 3);
  CHECK(other.runs() == 2);
  CHECK(contains(hook.log(), "run a.example b.example|"));
}

TEST_CASE("deploy hooks: one that fails is a failure of the run, and runs again without a new certificate") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const Hook hook(folder, "hook", "[ -e \"$0.good\" ]");
  const Outcome first = client.issue({"a.example"}, {"--deploy-hook", hook.path()});
  CHECK(first.exit_code == 1);
  CHECK(contains(first.err, hook.path()));
  CHECK(fs::exists(client.certificate("a.example") / "live/key.pem"));
  CHECK(renew(client).exit_code == 1);
  std::ofstream(hook.path() + ".good") << "";
  CHECK(renew(client).exit_code == 0);
  CHECK(hook.runs() == 3);
  CHECK(renew(client).exit_code == 0);
  CHECK(hook.runs() == 3);
  CHECK(ca.logged("new-order") == 1);
}

TEST_CASE("pre- and post-hooks run around orders, whatever comes of them") {
  const TestCaProcess ca({"--block", "bad.example"});
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const Hook before(folder, "before"), after(folder, "after"), refuses(folder, "refuses", "exit 3");
  const std::vector<std::string> hooks = {"--pre-hook", before.path(), "--post-hook", after.path()};
  CHECK(client.issue({"bad.example"}, hooks).exit_code == 4);
  CHECK(before.runs() == 1);
  CHECK(after.runs() == 1);
  CHECK(client.issue({"a.example"}, hooks).exit_code == 0);
  CHECK(client.issue({"a.example"}).exit_code == 0);  // nothing to do: no hook
  CHECK(before.runs() == 2);
  CHECK(after.runs() == 2);
  const Outcome kept_back = client.issue({"c.example"}, {"--pre-hook", refuses.path()});
  CHECK(kept_back.exit_code == 1);
  CHECK(contains(kept_back.err, refuses.path()));
  CHECK(ca.logged("new-order") == 2);
}

TEST_CASE("outputs: checked before the CA is asked (E3)") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const Hook hook(folder, "hook");
  fs::permissions(hook.path(), fs::perms::owner_read);
  const std::vector<std::vector<std::string>> wrong = {
      {"--out", folder / "none/chain.pem"},  {"--out", folder.path().string()},
      {"--combined", folder / "pipe"},       {"--out", folder / "one.pem", "--cert-key", folder / "one.pem"},
      {"--key-group", "no-such-group-here"}, {"--key-mode", "0644"},
      {"--deploy-hook", hook.path()},        {"--pre-hook", folder / "nothing"},
  };
  for (const std::vector<std::string>& flags : wrong) {
    const Outcome refused = client.issue({"a.example"}, flags);
    CAPTURE(flags.front());
    CAPTURE(flags.back());
    // What is missing here is not wrong on the command line.
    const bool is_missing = contains(refused.err, "there is no ") || contains(refused.err, "cannot be run");
    CHECK(refused.exit_code == (is_missing ? 1 : 2));
    CHECK(contains(refused.err, flags.front()));
  }
  CHECK(ca.logged("directory") == 0);
  CHECK(fs::is_fifo(folder / "pipe"));
}

TEST_CASE("outputs: combined file, mode and group last over renewals, a copy that was lost comes back (D5, F7, F8)") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const bool root = geteuid() == 0;
  const std::string group = std::to_string(root ? 12345 : getegid());
  const Outcome issued = client.issue({"a.example"}, {"--combined", folder / "both.pem", "--out", folder / "chain.pem",
                                                      "--key-mode", "0640", "--key-group", group});
  REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
  const fs::path live = client.certificate("a.example") / "live";
  const auto check = [&] {
    CHECK(contents(folder / "both.pem") == contents(live / "key.pem") + contents(live / "fullchain.pem"));
    CHECK(contents(folder / "chain.pem") == contents(live / "fullchain.pem"));
    CHECK(mode_of(folder / "both.pem") == 0640);
    CHECK(mode_of(live / "key.pem") == 0640);
    CHECK(std::to_string(group_of(live / "key.pem")) == group);
    CHECK(std::to_string(group_of(folder / "both.pem")) == group);
  };
  check();
  CHECK(renew(client, {"--force"}).exit_code == 0);
  CHECK(fs::read_symlink(live) == "2");
  check();
  fs::remove(folder / "both.pem");
  fs::remove(folder / "chain.pem");
  CHECK(renew(client).exit_code == 0);  // nothing is due
  check();
  // What an operator has set stays, where nothing else was asked for.
  fs::permissions(folder / "chain.pem", static_cast<fs::perms>(0604));
  CHECK(renew(client, {"--force"}).exit_code == 0);
  CHECK(mode_of(folder / "chain.pem") == 0604);
  CHECK(ca.logged("new-order") == 3);
}
