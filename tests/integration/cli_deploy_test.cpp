// What happens after a certificate changed: copies, modes and hooks.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <boost/json.hpp>

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

TEST_CASE("outputs: no file that is needed for something else is overwritten") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string key = folder / "a.key", hook = folder / "hook";
  REQUIRE(client.issue({"a.test"}, {"--cert-key", key}).exit_code == 0);
  const std::string key_pem = contents(key), account = (client.account() / "account.key").string();
  const std::string account_pem = contents(account);
  std::ofstream(hook) << "#!/bin/sh\n";
  fs::permissions(hook, fs::perms::owner_all);
  fs::create_directory(folder / "real");
  fs::create_directory_symlink(folder / "real", folder / "link");
  fs::create_symlink("b.pem", folder / "b-link.pem");
  const auto refuses = [&](std::vector<std::string> more) {
    more.push_back("--agree-tos");
    const Outcome outcome = client.issue({"b.test"}, more);
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 2);
    CHECK_FALSE(fs::exists(client.certificate("b.test")));
  };
  refuses({"--out", key});
  refuses({"--out", account});
  refuses({"--combined", (client.state() / "any.pem").string()});
  refuses({"--account-key", folder / "acc.key", "--out", folder / "acc.key"});
  refuses({"--deploy-hook", hook, "--out", hook});
  refuses({"--out", folder / "b.pem", "--combined", folder / "b-link.pem"});
  refuses({"--out", folder / "real/c.pem", "--cert-key", folder / "link/c.pem"});
  refuses({"--out", ca.root_file()});
  CHECK(contents(key) == key_pem);
  CHECK(contents(account) == account_pem);
  CHECK(ca.logged("new-order") == 1);
}

TEST_CASE("outputs: access that was given to a group is taken back at once") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string key = folder / "a.key";
  REQUIRE(client.issue({"a.test"}, {"--cert-key", key, "--key-mode", "0640"}).exit_code == 0);
  const fs::path live = client.certificate("a.test") / "live/key.pem";
  CHECK(mode_of(key) == 0640);
  CHECK(mode_of(live) == 0640);
  REQUIRE(run({culmen_path(), "edit", "a.test", "--key-mode", "", "--dir", client.state().string()}).exit_code == 0);
  CHECK(mode_of(key) == 0600);
  CHECK(mode_of(live) == 0600);
}

TEST_CASE("outputs: what is missing is named before the certificate is due, and a foreign file is kept") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string other = folder.write("other", "something else");
  const Outcome refused = client.issue({"a.test"}, {"--out", other});
  CHECK(refused.exit_code == 2);
  CHECK(contents(other) == "something else");
  const std::string hook = folder.write("hook", "#!/bin/sh\n");
  fs::permissions(hook, fs::perms::owner_all);
  REQUIRE(client.issue({"a.test"}, {"--deploy-hook", hook}).exit_code == 0);
  fs::remove(hook);
  const Outcome renewed = run({culmen_path(), "renew", "--dir", client.state().string()});
  CHECK(renewed.exit_code == 1);
  CHECK_MESSAGE(contains(renewed.err, hook), renewed.err);
  const Outcome arguments = client.issue({"a.test"}, {"--deploy-hook", "true now"});
  CHECK_MESSAGE(contains(arguments.err, "without arguments"), arguments.err);
}

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

TEST_CASE("deploy hooks: one that removes the folder with their records is named, and runs again") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const fs::path local = client.state() / "local";
  const Hook hook(folder, "hook", "rm -rf '" + local.string() + "'");
  const Outcome issued = client.issue({"a.example"}, {"--deploy-hook", hook.path()});
  CHECK(issued.exit_code == 1);
  CHECK_MESSAGE(contains(issued.err, "the hook " + hook.path() + " failed: the folder " + local.string() +
                                         " was removed or emptied while it ran"),
                issued.err);
  CHECK(contains(contents(local / "deployed/a.example.json"), hook.path()));
  CHECK(fs::exists(client.certificate("a.example") / "live/key.pem"));
}

TEST_CASE("on-failure: a certificate that is lost from storage is told of, once a day") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const Hook hook(folder, "hook", "echo \"$CULMEN_ERROR\" >> \"$0.log\"");
  REQUIRE(client.issue({"a.example"}, {"--on-failure", hook.path()}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}, {"--on-failure", hook.path()}).exit_code == 0);
  fs::remove_all(client.certificate("a.example"));
  CHECK(renew(client).exit_code == 1);
  CHECK(hook.runs() == 1);
  CHECK(contains(hook.log(), "run a.example||"));
  CHECK(contains(hook.log(), "Restore it from a backup"));
  CHECK(renew(client).exit_code == 1);
  CHECK(hook.runs() == 1);
}

TEST_CASE("deploy hooks: one that failed is seen by status, list, dry runs and programs") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const Hook hook(folder, "hook", "[ -e \"$0.good\" ] || { echo 'no such server'; exit 7; }");
  const auto offline = [&](std::vector<std::string> words) {
    words.insert(words.begin(), culmen_path());
    words.insert(words.end(), {"--dir", client.state().string()});
    return run(words);
  };
  REQUIRE(client.issue({"a.example"}, {"--deploy-hook", hook.path()}).exit_code == 1);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  const Outcome status = offline({"status"});
  CHECK(status.exit_code == 1);
  CHECK(contains(status.out, "a.example: hooks pending"));
  CHECK(contains(status.out, "hooks         pending: " + hook.path() + " failed (once, on 20"));
  CHECK(contains(status.out, "it said: no such server"));
  CHECK(contains(offline({"list"}).out, "a.example  hooks pending"));
  CHECK(offline({"status", "b.example"}).exit_code == 0);
  const Outcome dry = offline({"renew", "--dry-run"});
  CHECK(dry.exit_code == 0);
  CHECK(contains(dry.out, "a.example: the hook would run again: " + hook.path() + " failed (once, on 20"));
  CHECK(hook.runs() == 1);

  // ok:false has a reason, and the hook is found at its certificate.
  const auto renewed = offline({"renew", "--json"}).json();
  CHECK(renewed.at("ok") == false);
  CHECK(renewed.at("error").at("code") == "hook_failed");
  CHECK(contains(text(renewed.at("error").at("message")), hook.path()));
  CHECK(text(renewed.at("hooks_failed").at(0).at("program")) == hook.path());
  const auto of_a = renewed.at("certificates").at(0);
  CHECK(of_a.at("result") == "not due");
  CHECK(of_a.at("hooks_pending").at(0).at("tries") == 2);
  CHECK(renewed.at("certificates").at(1).at("hooks_pending").as_array().empty());
  const auto object = offline({"status", "--json"}).json();
  CHECK(object.at("error").at("code") == "not_fine");
  CHECK(object.at("error").at("message") == "a.example: hooks pending");
  CHECK(text(object.at("certificates").at(0).at("hooks_pending").at(0).at("program")) == hook.path());

  // Under another name it is still to be run, and then it is not.
  REQUIRE(offline({"rename", "a.example", "web"}).exit_code == 0);
  CHECK(contains(offline({"status", "web"}).out, "failed (2 times since 20"));
  std::ofstream(hook.path() + ".good") << "";
  CHECK(renew(client).exit_code == 0);
  CHECK(hook.runs() == 3);
  CHECK(offline({"status"}).exit_code == 0);
  REQUIRE(offline({"rename", "web", "a.example"}).exit_code == 0);
  CHECK(renew(client).exit_code == 0);
  CHECK(hook.runs() == 3);

  // A certificate whose hooks have not run at all, as after a crash.
  fs::remove(client.state() / "local/deployed/a.example.json");
  CHECK(contains(offline({"status"}).out, "pending: " + hook.path() + " has not run for this certificate"));
  CHECK(contains(offline({"renew", "--dry-run"}).out, "a.example: the hook would run: " + hook.path()));
}

TEST_CASE("deploy hooks: of two processes at once, one runs them") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const Hook hook(
      folder, "hook",
      "[ -e \"$0.slow\" ] || exit 1; for i in $(seq 300); do [ -e \"$0.go\" ] && exit 0; sleep 0.1; done; exit 2");
  REQUIRE(client.issue({"a.example"}, {"--deploy-hook", hook.path(), "--out", folder / "chain.pem"}).exit_code == 1);
  std::ofstream(hook.path() + ".slow") << "";
  const std::vector<std::string> words = {culmen_path(), "renew", "--dir", client.state().string()};
  Process first(words);
  REQUIRE(eventually([&] { return hook.runs() == 2; }));
  fs::remove(folder / "chain.pem");
  Process second(words);
  // It comes to its hooks after that.
  REQUIRE(eventually([&] { return fs::exists(folder / "chain.pem"); }));
  for (int i = 0; i < 25; ++i) sleep_a_little();
  CHECK(second.running());
  CHECK(hook.runs() == 2);
  std::ofstream(hook.path() + ".go") << "";
  CHECK(first.wait() == 0);
  CHECK(second.wait() == 0);
  CHECK(contains(first.out(), "Ran " + hook.path()));
  CHECK_FALSE(contains(second.out(), "Ran " + hook.path()));
  CHECK(hook.runs() == 2);
}

TEST_CASE("deploy hooks: a culmen that a hook starts does not wait for that hook") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string again = culmen_path() + " renew --run-hooks --dir " + client.state().string() + " 2>&1";
  const Hook hook(folder, "hook", again + " || exit 5");
  const Outcome outcome = client.issue({"a.example"}, {"--deploy-hook", hook.path()});
  CHECK(outcome.exit_code == 1);
  CHECK(contains(outcome.err, "this culmen was started by a hook"));
  CHECK(hook.runs() == 1);
}

TEST_CASE("renew --run-hooks: runs deploy hooks now, and orders nothing") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const Hook hook(folder, "hook", "echo 'reloaded the server'; [ ! -e \"$0.bad\" ]");
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  REQUIRE(run({culmen_path(), "edit", "a.example", "--deploy-hook", hook.path(), "--dir", client.state().string()})
              .exit_code == 0);
  CHECK(renew(client).exit_code == 0);
  CHECK(hook.runs() == 0);
  const Outcome ran = renew(client, {"a.example", "--run-hooks", "-v"});
  CHECK_MESSAGE(ran.exit_code == 0, ran.err);
  CHECK(contains(ran.out, "Ran " + hook.path()));
  CHECK(contains(ran.err, "reloaded the server"));
  CHECK(contains(hook.log(), "run a.example|a.example|--run-hooks was given|"));
  const Outcome quiet = renew(client, {"--run-hooks"});
  CHECK(quiet.exit_code == 0);
  CHECK_FALSE(contains(quiet.err, "reloaded the server"));
  CHECK(contains(quiet.out, "b.example: it has no deploy hooks on this host"));
  CHECK(hook.runs() == 2);
  std::ofstream(hook.path() + ".bad") << "";
  const auto failed = renew(client, {"--run-hooks", "--json"});
  CHECK(failed.exit_code == 1);
  CHECK(failed.json().at("error").at("code") == "hook_failed");
  CHECK(renew(client, {"--run-hooks", "--dry-run"}).exit_code == 2);
  CHECK(ca.logged("new-order") == 2);
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
  const auto status = [&] { return run({culmen_path(), "status", "--dir", client.state()}); };
  CHECK(status().exit_code == 0);
  fs::remove(folder / "both.pem");
  std::ofstream(folder / "chain.pem") << "overwritten";
  CHECK(status().exit_code == 1);
  for (const char* file : {"both.pem", "chain.pem"})
    CHECK(contains(status().out, (folder / file).string() + " is missing, or is not of this certificate"));
  fs::remove(folder / "chain.pem");
  CHECK(renew(client).exit_code == 0);  // nothing is due
  check();
  CHECK(status().exit_code == 0);
  // What an operator has set stays, where nothing else was asked for.
  fs::permissions(folder / "chain.pem", static_cast<fs::perms>(0604));
  CHECK(renew(client, {"--force"}).exit_code == 0);
  CHECK(mode_of(folder / "chain.pem") == 0604);
  CHECK(ca.logged("new-order") == 3);
}
