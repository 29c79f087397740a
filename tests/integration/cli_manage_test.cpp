// What is kept, shown, changed, renamed and deleted; and that settings last.
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "support/culmen_program.hpp"
#include "support/file_server.hpp"
#include "support/text.hpp"

using namespace cli_test;
namespace json = boost::json;

namespace {

/// `culmen <words> --dir …`, without a CA.
Outcome offline(const Client& client, std::vector<std::string> words,
                const std::vector<std::string>& environment = {}) {
  words.insert(words.begin(), culmen_path());
  words.insert(words.end(), {"--dir", client.state().string()});
  return run(words, environment);
}

json::object status_of(const Client& client, const std::string& name) {
  const Outcome outcome = offline(client, {"status", name, "--json"});
  INFO(outcome.out << outcome.err);
  return outcome.json().at("certificates").as_array().at(0).as_object();
}

}  // namespace

TEST_CASE("list and status: without a CA, the exit code is for monitoring (E6)") {
  TestCaProcess ca;
  const Client client(ca);
  const Outcome nothing = offline(client, {"list"});
  CHECK(nothing.exit_code == 1);  // a folder that is not there may not be mounted (A3)
  CHECK(contains(nothing.err, "there is no state folder"));
  CHECK(contains(nothing.err, "culmen issue -d NAME"));
  REQUIRE(client.issue({"a.example", "b.example"}).exit_code == 0);
  REQUIRE(client.issue({"c.example"}, {"--cert-key-type", "ec:P-384"}).exit_code == 0);
  ca.process().signal(SIGKILL);
  ca.process().wait();

  const Outcome list = offline(client, {"list"});
  CHECK(list.exit_code == 0);
  CHECK(contains(list.out, "a.example  valid"));
  CHECK(contains(list.out, "a.example, b.example"));
  const Outcome fine = offline(client, {"status"});
  CHECK(fine.exit_code == 0);
  CHECK(contains(fine.out, "serial"));
  const json::object entry = status_of(client, "c.example");
  CHECK(entry.at("status") == "valid");
  CHECK(entry.at("key_type") == "ec:P-384");
  CHECK(text(entry.at("server")) == ca.url());
  CHECK(fs::exists(text(entry.at("files").at("key"))));
  const Outcome warned = offline(client, {"status", "c.example", "--warn-days", "365"});
  CHECK(warned.exit_code == 1);
  CHECK(contains(warned.out, "c.example: late (it expires within --warn-days)"));
  // The time of the renewal, once, and not that of the next question to the CA.
  CHECK(contains(warned.out, "renewal       it is due on " + text(entry.at("due"))));
  CHECK(offline(client, {"status", "a.exmple"}).exit_code == 2);
  CHECK(contains(offline(client, {"status", "a.exmple"}).err, "Did you mean \"a.example\"?"));
  // Nothing is suggested to who would destroy it: the names are shown.
  for (const char* command : {"delete", "revoke"}) {
    const Outcome refused = offline(client, {command, "a.exmple"});
    CHECK(refused.exit_code == 2);
    CHECK_FALSE(contains(refused.err, "Did you mean"));
    CHECK(contains(refused.err, "There are: a.example, c.example."));
  }

  // Damage is named, and does not hide the others (E1).
  std::ofstream(client.certificate("a.example") / "record.json") << "oops";
  const Outcome damaged = offline(client, {"status"});
  CHECK(damaged.exit_code == 1);
  CHECK(contains(damaged.out, "a.example: damaged"));
  CHECK(contains(damaged.out, "record.json"));
  CHECK(contains(damaged.out, "Replace it with: culmen issue --name a.example --dir "));
  CHECK(contains(damaged.out, "c.example: valid"));
}

TEST_CASE("delete: the key is kept, what was never issued goes too, and a misspelled name deletes nothing (E6)") {
  const TestCaProcess ca({"--block", "bad.example"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const Outcome bad = client.issue({"bad.example"});
  CHECK(bad.exit_code == 4);
  CHECK(contains(bad.err, "to remove it: culmen delete bad.example --dir " + client.state().string()));
  CHECK(contains(offline(client, {"list"}).out, "bad.example  not issued"));
  // What is to be typed has the folder that was given.
  CHECK(contains(offline(client, {"status", "bad.example"}).out,
                 "culmen delete bad.example --dir " + client.state().string()));
  const std::string key = contents(client.certificate("a.example") / "live/key.pem");

  CHECK(offline(client, {"delete", "a.example", "nothing.example"}).exit_code == 2);
  CHECK(fs::exists(client.certificate("a.example") / "live/key.pem"));
  const Outcome gone = offline(client, {"delete", "a.example", "bad.example", "--json"});
  CHECK_MESSAGE(gone.exit_code == 0, gone.err);
  CHECK_FALSE(fs::exists(client.certificate("a.example")));
  CHECK_FALSE(fs::exists(client.certificate("bad.example")));
  REQUIRE(gone.json().at("keys").as_array().size() == 1);
  CHECK(contains(contents(text(gone.json().at("keys").as_array()[0])), key));
  CHECK(contains(offline(client, {"list"}).out, "There is no certificate"));
}

TEST_CASE("rename: files, settings and record go along, an existing name is refused") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder elsewhere;
  REQUIRE(client.issue({"a.example"}, {"--out", elsewhere / "chain.pem"}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  const std::string key = contents(client.certificate("a.example") / "live/key.pem");
  CHECK(offline(client, {"rename", "a.example", "b.example"}).exit_code == 2);
  CHECK(offline(client, {"rename", "a.example", "../web"}).exit_code == 2);
  REQUIRE(offline(client, {"rename", "a.example", "web"}).exit_code == 0);
  CHECK_FALSE(fs::exists(client.certificate("a.example")));
  CHECK(contents(client.certificate("web") / "live/key.pem") == key);
  // It is renewed as before, and its copy is still written.
  const Outcome renewed = offline(client, {"renew", "--force", "web"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(contents(elsewhere / "chain.pem") == contents(client.certificate("web") / "live/fullchain.pem"));
}

TEST_CASE("settings last: a command without flags keeps them, and edit changes them (F8)") {
  const TestCaProcess ca;
  const TestCaProcess other;
  const Client client(ca);
  const culmen::test::TemporaryFolder root;
  const FileServer server(static_cast<std::uint16_t>(std::stoi(ca.http_port())), root.path());
  REQUIRE(
      client.run({"issue", "--agree-tos", "-d", "a.example", "--webroot", root.path(), "--cert-key-type", "ec:P-384"})
          .exit_code == 0);
  // Neither CA, nor roots, nor web root, nor key type is said again.
  const Outcome again = offline(client, {"issue", "-d", "a.example", "--force"});
  CHECK_MESSAGE(again.exit_code == 0, again.err);
  CHECK(status_of(client, "a.example").at("key_type") == "ec:P-384");
  CHECK(text(status_of(client, "a.example").at("server")) == ca.url());

  REQUIRE(offline(client, {"edit", "a.example", "--cert-key-type", "rsa:2048"}).exit_code == 0);
  const Outcome renewed = offline(client, {"issue", "--name", "a.example"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(contains(renewed.out, "what is wanted has changed"));
  CHECK(status_of(client, "a.example").at("key_type") == "rsa:2048");
  CHECK(offline(client, {"edit", "a.example", "--challenge", "dns-01"}).exit_code == 2);  // without a hook
  CHECK(offline(client, {"edit", "a.example", "--no-such-flag"}).exit_code == 2);
}

TEST_CASE("issue: what was begun and never finished is finished by renew (D2)") {
  const TestCaProcess ca({"--skip-validation", "--pending-polls", "100000", "--retry-after", "1"});
  const Client client(ca);
  {
    Process process(client.command(client.issue_words({"a.example"})));
    REQUIRE(eventually([&] { return ca.logged("new-order") > 0; }));
    process.signal(SIGKILL);
    process.wait();
  }
  CHECK(contains(offline(client, {"list"}).out, "a.example  not issued"));
  const Outcome dry = offline(client, {"renew", "--dry-run"});
  CHECK(dry.exit_code == 0);
  CHECK(contains(dry.out, "a.example: would be renewed: it was never issued"));
}

TEST_CASE("test: a whole issuance of which nothing is kept, with the settings of a certificate that is there") {
  const TestCaProcess ca({"--tos", "https://ca.test/terms", "--block", "bad.example"});
  const Client client(ca);
  const culmen::test::TemporaryFolder elsewhere;
  const std::vector<std::string> flags = {"--http-port", ca.http_port(), "--http-address", "127.0.0.1"};
  std::vector<std::string> words = {"test", "-d", "a.example", "--agree-tos", "--out", elsewhere / "chain.pem"};
  words.insert(words.end(), flags.begin(), flags.end());
  const Outcome good = client.run(words);
  CHECK_MESSAGE(good.exit_code == 0, good.err);
  CHECK(contains(good.out, "It works: a.example"));
  CHECK_FALSE(fs::exists(client.state()));
  CHECK_FALSE(fs::exists(elsewhere / "chain.pem"));

  words[2] = "bad.example";
  const Outcome refused = client.run(words);
  CHECK(refused.exit_code == 4);
  CHECK(contains(refused.err, "bad.example"));
  CHECK(client.run({"test", "-d", "a.example"}).exit_code == 2);  // without --agree-tos
  CHECK(client.run({"test"}).exit_code == 2);

  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const std::string before = contents(client.certificate("a.example") / "record.json");
  const Outcome again = offline(client, {"test", "--name", "a.example", "--agree-tos"});
  CHECK_MESSAGE(again.exit_code == 0, again.err);
  CHECK(contents(client.certificate("a.example") / "record.json") == before);
}
