// docs/backup.md: a copy of the state folder, made while culmen works, is enough to go on elsewhere.
#include <exception>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;
using culmen::test::TemporaryFolder;

namespace {

Outcome culmen_in(const fs::path& state, std::vector<std::string> words) {
  words.insert(words.begin(), culmen_path());
  words.insert(words.end(), {"--dir", state.string()});
  return run(words);
}

/// Renews over and over until it is destroyed.
class Work {
 public:
  explicit Work(const Client& client)
      : process_({"/bin/sh", "-c", "while [ -e \"$2\" ]; do \"$0\" renew --force --dir \"$1\"; done", culmen_path(),
                  client.state().string(), flag_.path()}) {}
  ~Work() {
    fs::remove(flag_.path());
    try {
      process_.wait();
    } catch (const std::exception& error) {
      FAIL_CHECK(error.what());
    }
  }

 private:
  culmen::test::TemporaryFile flag_{""};
  Process process_;
};

void check_goes_on(const TestCaProcess& ca, const fs::path& state) {
  const std::string before = contents(state / "certificates/a.example/live/fullchain.pem");
  CHECK(contains(before, "BEGIN CERTIFICATE"));
  const int accounts = ca.logged("new-account");
  const Outcome renewed = culmen_in(state, {"renew", "--force"});
  INFO(renewed.out << renewed.err);
  CHECK(renewed.exit_code == 0);
  CHECK(contents(state / "certificates/a.example/live/fullchain.pem") != before);
  CHECK(ca.logged("new-account") == accounts);
}

}  // namespace

TEST_CASE("backup: cp -a of a state folder in use, until status finds no damage, and renewals go on elsewhere") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  const TemporaryFolder backup, elsewhere;
  {
    const Work work(client);
    const auto copied = [&] {
      fs::remove_all(backup / "state");
      // Files that vanish meanwhile make cp fail.
      return run({"cp", "-a", client.state().string(), (backup / "state").string()}).exit_code == 0 &&
             culmen_in(backup / "state", {"status"}).exit_code == 0;
    };
    for (int round = 0; round < 5; ++round) {
      CAPTURE(round);
      REQUIRE(eventually(copied));
      fs::remove_all(elsewhere / "state");
      REQUIRE(run({"cp", "-a", (backup / "state").string(), (elsewhere / "state").string()}).exit_code == 0);
    }
  }
  CHECK(ca.logged("new-order") > 4);  // it was in use
  check_goes_on(ca, elsewhere / "state");
}

TEST_CASE("backup: storage copy reads a storage in use, and with local/ it is a whole state folder") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const TemporaryFolder backup;
  {
    const Work work(client);
    const auto copied = [&] {
      fs::remove_all(backup / "state");
      return run({culmen_path(), "storage", "copy", "file:" + client.state().string(),
                  "file:" + (backup / "state").string()})
                 .exit_code == 0;
    };
    REQUIRE(eventually(copied));
  }
  REQUIRE(run({"cp", "-a", (client.state() / "local").string(), (backup / "state/local").string()}).exit_code == 0);
  check_goes_on(ca, backup / "state");
}

TEST_CASE("backup: the accounts, certificates and local folders suffice") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  REQUIRE(client.issue({"gone.example"}).exit_code == 0);
  REQUIRE(culmen_in(client.state(), {"delete", "gone.example"}).exit_code == 0);
  const TemporaryFolder backup;
  const std::string archive = (backup / "archive.tar").string();
  REQUIRE(run({"tar", "-C", client.state().string(), "-cf", archive, "accounts", "certificates", "keys", "local"})
              .exit_code == 0);
  fs::create_directory(backup / "state");
  REQUIRE(run({"tar", "-C", (backup / "state").string(), "-xpf", archive}).exit_code == 0);
  check_goes_on(ca, backup / "state");
  CHECK(culmen_in(backup / "state", {"issue", "--name", "a.example"}).exit_code == 0);
  // As cp leaves it that reads `live` before a renewal, and the folder after that.
  const fs::path live = backup / "state/certificates/a.example/live";
  fs::remove_all(live.parent_path() / fs::read_symlink(live));
  const Outcome status = culmen_in(backup / "state", {"status"});
  CHECK(status.exit_code == 1);
  CHECK(contains(status.out, "damaged"));
}
