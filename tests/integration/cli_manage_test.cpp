// What is kept, shown, changed, renamed and deleted; and that settings last.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "support/culmen_program.hpp"
#include "support/file_server.hpp"
#include "support/killed_program.hpp"
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
  CHECK(contains(damaged.out, "Mend that, restore it from a backup, or begin again: culmen delete a.example --dir "));
  const Outcome listed = offline(client, {"list", "--json"});
  CHECK(listed.exit_code == 1);
  CHECK(contains(text(listed.json().at("error").at("message")), "a.example: damaged"));
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
  const Outcome taken = offline(client, {"rename", "a.example", "b.example"});
  CHECK(taken.exit_code == 2);
  CHECK_FALSE(contains(taken.err, "culmen delete"));
  CHECK(contains(offline(client, {"rename", "a.example", "a.example"}).err, "is called \"a.example\" already"));
  CHECK(offline(client, {"rename", "a.example", "../web"}).exit_code == 2);
  REQUIRE(offline(client, {"rename", "a.example", "web"}).exit_code == 0);
  CHECK_FALSE(fs::exists(client.certificate("a.example")));
  CHECK(contents(client.certificate("web") / "live/key.pem") == key);
  // It is renewed as before, and its copy is still written.
  const Outcome renewed = offline(client, {"renew", "--force", "web"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(contents(elsewhere / "chain.pem") == contents(client.certificate("web") / "live/fullchain.pem"));
}

TEST_CASE("rename and delete: killed at any moment, the next command finishes it, and status names it") {
  using culmen::test::KillOutcome;
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string out = folder / "chain.pem";
  REQUIRE(client.issue({"a.example"}, {"--out", out, "--deploy-hook", "/bin/true"}).exit_code == 0);
  const std::vector<std::vector<std::string>> changes = {{"rename", "a.example", "web"}, {"delete", "a.example"}};
  for (const std::vector<std::string>& change : changes) {
    int unfinished = 0;
    for (int n = 1; n < 100; ++n) {
      const fs::path state = folder.path() / (change.front() + std::to_string(n));
      fs::copy_file(client.certificate("a.example") / "live/fullchain.pem", out, fs::copy_options::overwrite_existing);
      fs::copy(client.state(), state, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
      const auto culmen = [&](std::vector<std::string> words) {
        words.insert(words.begin(), culmen_path());
        words.insert(words.end(), {"--dir", state.string()});
        return words;
      };
      const KillOutcome outcome = culmen::test::run_killed_at(culmen(change), n);
      INFO(change.front() << ", killed at change " << n);
      REQUIRE(outcome != KillOutcome::untraceable);
      REQUIRE(outcome != KillOutcome::ended_badly);
      const bool is_begun = fs::exists(state / "local/begun/a.example.json");
      CHECK(!(is_begun && outcome == KillOutcome::ended_well));
      const Outcome status = run(culmen({"status"}));
      CHECK_MESSAGE(status.exit_code == (is_begun ? 1 : 0), status.out, status.err);
      CHECK(contains(status.err, "was begun and not finished") == is_begun);
      if (is_begun) {
        const Outcome next = run(culmen(n % 2 == 0 ? change : std::vector<std::string>{"renew"}));
        CHECK_MESSAGE(next.exit_code == 0, next.out, next.err);
        ++unfinished;
      }
      std::string names = run(culmen({"list", "--names"})).out;
      if (change.front() == "delete" && (is_begun || outcome == KillOutcome::ended_well)) {
        CHECK(names.empty());
        CHECK(fs::is_empty(state / "local/deploy"));
      } else {
        CHECK((names == "a.example\n" || (change.front() == "rename" && names == "web\n")));
        names.pop_back();
        const json::object settings = read_object(state / "local/deploy" / (names + ".json"));
        CHECK(text(settings.at("out")) == out);
        CHECK(settings.at("deploy_hooks").as_array().size() == 1);
        CHECK(std::distance(fs::directory_iterator(state / "local/deploy"), {}) == 1);
        const Outcome renewed = run(culmen({"renew", "--force"}));
        CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
        CHECK(contains(renewed.out, "Ran /bin/true"));
      }
      fs::remove_all(state);
      if (outcome == KillOutcome::ended_well) break;
    }
    CHECK(unfinished > 5);
  }
}

TEST_CASE("what is lost is an error: no certificates, an empty folder, a disk that is not mounted") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  const auto at = [](const std::string& command, const fs::path& state) {
    return run({culmen_path(), command, "--dir", state.string()});
  };
  const auto all_fail = [&](const fs::path& state, const std::string& text) {
    for (const char* command : {"renew", "status", "list"}) {
      const Outcome outcome = at(command, state);
      INFO(command << " " << state);
      CHECK(outcome.exit_code == 1);
      CHECK_MESSAGE(contains(outcome.out + outcome.err, text), outcome.out, outcome.err);
    }
  };
  const auto copy = [&](const std::string& name) {
    fs::copy(client.state(), folder / name, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    return folder.path() / name;
  };
  const fs::path gone = copy("gone");
  fs::remove_all(gone / "certificates");
  all_fail(gone, "culmen delete a.example forgets it");
  const fs::path emptied = copy("emptied");
  fs::remove_all(emptied / "certificates/b.example");
  fs::create_directory(emptied / "certificates/b.example");
  all_fail(emptied, "culmen delete b.example forgets it");
  CHECK(contains(at("status", emptied).out, "a.example: valid"));
  CHECK(contains(at("status", emptied).out, "b.example: lost"));
  CHECK(run({culmen_path(), "status", "b.example", "--dir", emptied.string()}).exit_code == 1);
  CHECK(run({culmen_path(), "delete", "b.example", "--dir", emptied.string()}).exit_code == 0);
  CHECK(at("renew", emptied).exit_code == 0);

  const fs::path empty = folder.path() / "empty";
  fs::create_directory(empty);
  all_fail(empty, "culmen has stored nothing in " + empty.string());
  CHECK(fs::is_empty(empty));

  // A storage beside the state folder: it is marked, so that also issue sees that it is not there.
  const fs::path host = folder.path() / "host", disk = folder.path() / "disk/store";
  fs::create_directory(disk.parent_path());
  REQUIRE(run({culmen_path(), "storage", "init", "file:" + disk.string(), "--dir", host.string()}).exit_code == 0);
  for (const char* command : {"renew", "status", "list"}) CHECK(at(command, host).exit_code == 0);
  std::vector<std::string> issue = client.issue_words({"c.example"});
  for (std::string& word : issue = client.command(issue)) {
    if (word == client.state().string()) word = host.string();
  }
  REQUIRE(run(issue).exit_code == 0);
  fs::rename(disk, folder.path() / "elsewhere");
  fs::create_directory(disk);
  all_fail(host, "see whether its disk is mounted");
  CHECK(run(issue).exit_code == 1);
  CHECK(fs::is_empty(disk));
}

TEST_CASE("storage copy: a damaged key or another certificate's is named, and nowhere copied into itself") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  const std::string from = "file:" + client.state().string();
  const fs::path key = client.certificate("a.example") / "live/key.pem";
  const std::string other = contents(client.certificate("b.example") / "live/key.pem");
  int number = 0;
  for (const std::string& damage : {std::string("garbage\n"), contents(key).substr(0, 100), other}) {
    std::ofstream(key) << damage;
    const std::string to = "file:" + (folder.path() / ("copy" + std::to_string(++number))).string();
    const Outcome copied = run({culmen_path(), "storage", "copy", from, to, "--json"});
    INFO(damage << copied.out);
    CHECK(copied.exit_code == 1);
    REQUIRE(copied.json().at("not_copied").as_array().size() == 1);
    CHECK(contains(text(copied.json().at("not_copied").as_array()[0]), "certificates/a.example: "));
    CHECK(copied.json().at("copied").at("certificates") == 1);
    CHECK(offline(client, {"list"}).exit_code == 1);
  }
  for (const std::string& to : {from + "/", from + "/sub", from + "/../" + client.state().filename().string()}) {
    const Outcome copied = run({culmen_path(), "storage", "copy", from, to});
    CHECK_MESSAGE(copied.exit_code == 2, to);
  }
  CHECK_FALSE(fs::exists(client.state() / "sub"));
}

TEST_CASE("status: what makes the next renewal fail is said before it fails") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string out = folder / "chain.pem";
  REQUIRE(client.issue({"a.example"}, {"--out", out, "--deploy-hook", "/bin/true"}).exit_code == 0);
  CHECK(offline(client, {"status"}).exit_code == 0);
  const fs::path settings = client.state() / "local/deploy/a.example.json";
  const auto fails = [&](const std::string& why) {
    for (const char* command : {"status", "list"}) {
      const Outcome outcome = offline(client, {command});
      INFO(command << ": " << outcome.out << outcome.err);
      CHECK(outcome.exit_code == 1);
      CHECK(contains(outcome.out, "failing"));
      CHECK(contains(outcome.out, why));
    }
  };
  const auto with = [&](const fs::path& file, const std::string& damage, const std::string& why) {
    const std::string before = contents(file);
    std::ofstream(file) << damage;
    fails(why);
    std::ofstream(file) << before;
  };
  const auto changed = [&](const std::string& name, const json::value& value) {
    json::object object = read_object(settings);
    object[name] = value;
    return json::serialize(object);
  };
  with(settings, "{", "is not a JSON object");
  with(settings, changed("deploy_hooks", json::array({"/nonexistent/hook"})), "/nonexistent/hook");
  with(client.account() / "account.json", "{", "its account cannot be used");
  with(client.account() / "account.key", "x", "its account cannot be used");
  // Values that no option takes: the file and the member are named.
  const std::string file = settings.filename().string();
  with(settings, changed("format", 99), file + ": its format is 99");
  with(settings, changed("hook_timeout", -5), file + ": hook_timeout");
  with(settings, changed("key_mode", "07777"), file + ": key_mode");
  with(settings, changed("key_mode", "0644"), file + ": key_mode");
  with(settings, changed("deploy_hooks", "/bin/true"), file + ": deploy_hooks");
  with(settings, changed("challenge", json::object({{"http_port", 99999999999}})), file + ": http_port");
  with(settings, changed("challenge", json::object({{"http_port", -1}})), file + ": http_port");
  with(settings, changed("challenge", json::object({{"type", "no-such"}})), file + ": \"no-such\"");
  const fs::path record = client.certificate("a.example") / "record.json";
  json::object empty = read_object(record);
  empty.at("spec").as_object()["names"] = json::array();
  with(record, json::serialize(empty), "no names");
  fs::remove(out);
  fs::create_directory(out);
  fails("is a folder");
  fs::remove(out);
  CHECK(contains(offline(client, {"status"}).out, "a.example: outputs pending"));
  CHECK(offline(client, {"renew"}).exit_code == 0);
  CHECK(offline(client, {"status"}).exit_code == 0);
  for (const char* mode : {"0000", "0200", "0040"})
    CHECK(offline(client, {"edit", "a.example", "--key-mode", mode}).exit_code == 2);
  CHECK(offline(client, {"edit", "a.example", "--key-mode", "0440"}).exit_code == 0);
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

TEST_CASE("edit: shows what is remembered, what differs, and when it counts") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string hook = folder / "hook";
  std::ofstream(hook) << "#!/bin/sh\n";
  fs::permissions(hook, fs::perms::owner_all);
  REQUIRE(client.issue({"a.example", "b.example"}, {"--deploy-hook", hook, "--key-mode", "0640"}).exit_code == 0);
  const fs::path record = client.certificate("a.example") / "record.json";
  const std::string before = contents(record);

  const auto settings = status_of(client, "a.example").at("settings").as_object();
  CHECK(text(settings.at("challenge").at("type")) == "http-01");
  CHECK(settings.at("challenge").at("http_port") == std::stoi(ca.http_port()));
  CHECK(text(settings.at("servers").at(0)) == ca.url());
  CHECK(text(settings.at("key_mode")) == "0640");
  CHECK(text(settings.at("deploy_hooks").at(0)) == hook);
  CHECK(settings.at("reuse_key") == false);
  const Outcome question = offline(client, {"edit", "a.example"});
  CHECK(question.exit_code == 0);
  CHECK(contains(question.out, "a.example: nothing was changed."));
  for (const std::string& shown : {question.out, offline(client, {"status"}).out}) {
    CHECK(contains(shown, "challenge     http-01 on port " + ca.http_port()));
    CHECK(contains(shown, "CA roots      " + ca.root_file()));
    CHECK(contains(shown, "key mode      0640\n"));
    CHECK(contains(shown, "deploy hook   " + hook));
  }
  CHECK(contains(offline(client, {"edit", "a.example", "--key-mode", "0640"}).out, "nothing was changed"));
  CHECK(contents(record) == before);

  const Outcome edited = offline(client, {"edit", "a.example", "-d", "a.example,c.example", "--out",
                                          folder / "chain.pem", "--reuse-key", "--deploy-hook", ""});
  CHECK_MESSAGE(edited.exit_code == 0, edited.err);
  CHECK(contains(edited.out, "names         added c.example; dropped b.example\n"));
  CHECK(contains(edited.out, "chain file    none -> " + (folder / "chain.pem").string()));
  CHECK(contains(edited.out, "deploy hook   " + hook + " -> none\n"));
  CHECK(contains(edited.out, "names: with a new certificate, which the next culmen renew gets"));
  CHECK(contains(edited.out, "chain file: by the next culmen renew, whether the certificate is due or not"));
  CHECK(contains(edited.out, "reuse key: with the next renewal\n"));
  CHECK_FALSE(contains(edited.out, "--run-hooks"));
  // It does, although a certificate was issued a moment ago.
  CHECK(
      contains(offline(client, {"renew", "--dry-run"}).out, "a.example: would be renewed: what is wanted has changed"));
  const Outcome renewed = offline(client, {"renew"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(contains(renewed.out, "1 of 1 renewed"));
  CHECK(ca.logged("new-order") == 2);
  // How it is asked for counts as well: its profile, and whether its status has to be stapled.
  for (const std::string option : {"--profile", "--must-staple"}) {
    CAPTURE(option);
    const Outcome changed =
        offline(client, option == "--profile" ? std::vector<std::string>{"edit", "a.example", option, "short"}
                                              : std::vector<std::string>{"edit", "a.example", option});
    CHECK(contains(changed.out, "with a new certificate, which the next culmen renew gets"));
    CHECK(contains(offline(client, {"renew", "--dry-run"}).out,
                   "a.example: would be renewed: what is wanted has changed"));
    CHECK(offline(client, {"edit", "a.example", "--profile", "", "--no-must-staple"}).exit_code == 0);
    CHECK(contains(offline(client, {"renew", "--dry-run"}).out, "not due"));
  }
  // One command later, the same by issue.
  const Outcome issued = offline(client, {"issue", "-d", "a.example"});
  CHECK(issued.exit_code == 0);
  CHECK(contains(issued.out, "names         dropped c.example\n"));
}

TEST_CASE("edit: two at once both count, and what belongs to another challenge is refused") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const std::vector<std::pair<std::string, std::string>> changes = {{"--pre-hook", "/bin/true"},
                                                                    {"--post-hook", "/bin/false"},
                                                                    {"--hook-timeout", "17"},
                                                                    {"--on-failure", "/bin/true"}};
  std::vector<std::unique_ptr<Process>> edits;
  for (const auto& [option, value] : changes) {
    edits.push_back(std::make_unique<Process>(
        std::vector<std::string>{culmen_path(), "edit", "a.example", option, value, "--dir", client.state().string()}));
  }
  for (const auto& edit : edits) CHECK(edit->wait() == 0);
  const std::string shown = offline(client, {"edit", "a.example"}).out;
  for (const char* line :
       {"pre-hook      /bin/true", "post-hook     /bin/false", "hook limit    17 s", "on failure    /bin/true"})
    CHECK_MESSAGE(contains(shown, line), shown);

  const Outcome subset = offline(client, {"edit", "a.example", "--allow-subset-of-names"});
  CHECK(contains(subset.out, "subset        no -> yes"));
  CHECK(contains(offline(client, {"status"}).out, "subset        yes"));
  CHECK(contains(offline(client, {"edit", "a.example", "--no-allow-subset-of-names"}).out, "subset        yes -> no"));
  CHECK(contains(offline(client, {"edit", "a.example", "--webroot", ""}).out, "nothing was changed"));
  CHECK(contains(offline(client, {"edit", "a.example"}).out, "http-01 on port " + ca.http_port()));

  CHECK(offline(client, {"edit", "a.example", "--challenge", "tls-alpn-01"}).exit_code == 0);
  const Outcome refused = offline(client, {"edit", "a.example", "--http-port", "8080"});
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "--http-port is for http-01, and the challenge of this certificate is tls-alpn-01"));
}

TEST_CASE("issue: flags that come too late are named, and the key file of another certificate is not used") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string key = folder / "a.key";
  CHECK(
      contains(client.issue({"a.example"}, {"--cert-key", key, "--key-type", "ec:P-384"}).out, "(its key: ec:P-384)"));
  const Outcome late = client.issue({"b.example"}, {"--key-type", "rsa:2048", "-m", "ops@example.org"});
  CHECK(late.exit_code == 0);
  CHECK(contains(late.err,
                 "there is one already, with a key of type ec:P-384; the certificate's key has --cert-key-type"));
  CHECK(contains(late.out, "culmen account update --dir " + client.state().string()));
  const Outcome shared = client.issue({"c.example"}, {"--cert-key", key});
  CHECK(shared.exit_code == 2);
  CHECK(contains(shared.err, "culmen writes " + key + " for the certificate a.example"));
}

TEST_CASE("issue: a second certificate with exactly these names is warned of before it is ordered") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example", "b.example"}, {"--name", "web"}).exit_code == 0);
  const std::string warning = "the certificate web has exactly these names";
  CHECK_FALSE(contains(client.issue({"a.example"}, {"--name", "other"}).err, warning));
  CHECK_FALSE(contains(client.issue({"a.example", "b.example"}, {"--name", "rsa", "--cert-key-type", "rsa:2048"}).err,
                       warning));
  const Outcome second = client.issue({"b.example", "a.example"});
  CHECK(second.exit_code == 0);
  CHECK(contains(second.err, warning));
  CHECK(contains(second.err, "culmen issue --name web"));
  CHECK_FALSE(contains(client.issue({"b.example", "a.example"}).err, warning));
}

TEST_CASE("edit: an empty value unsets what can be unset, and --no- switches off") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string hook = folder / "hook";
  std::ofstream(hook) << "#!/bin/sh\n";
  fs::permissions(hook, fs::perms::owner_all);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const auto settings = [&] { return status_of(client, "a.example").at("settings").as_object(); };
  const json::object fresh = settings();
  const auto edit = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"edit", "a.example"});
    const Outcome outcome = offline(client, std::move(words));
    CAPTURE(outcome.err);
    CHECK(outcome.exit_code == 0);
  };
  const std::vector<std::pair<std::string, std::string>> values = {{"--out", folder / "out.pem"},
                                                                   {"--cert-key", folder / "key.pem"},
                                                                   {"--combined", folder / "both.pem"},
                                                                   {"--key-mode", "0640"},
                                                                   {"--key-group", std::to_string(getegid())},
                                                                   {"--deploy-hook", hook},
                                                                   {"--pre-hook", hook},
                                                                   {"--post-hook", hook},
                                                                   {"--on-failure", hook},
                                                                   {"--profile", "short"},
                                                                   {"--preferred-chain", "Root"},
                                                                   {"--http-address", "127.0.0.1"},
                                                                   {"--account-key", folder / "k"}};
  for (const auto& [option, value] : values) {
    CAPTURE(option);
    edit({option, value});
    CHECK(settings() != fresh);
    edit({option, ""});
    CHECK(settings() == fresh);
  }
  for (const std::string name : {"reuse-key", "must-staple"}) {
    CAPTURE(name);
    edit({"--" + name});
    CHECK(settings() != fresh);
    edit({"--no-" + name});
    CHECK(settings() == fresh);
  }
  edit({"--server-ca", ""});
  CHECK_FALSE(settings().contains("server_ca"));
  edit({"--server-ca", ca.root_file(), "--webroot", folder.path()});
  CHECK(text(settings().at("challenge").at("webroot")) == folder.path());
  edit({"--webroot", ""});
  CHECK_FALSE(settings().at("challenge").as_object().contains("webroot"));
  // What there has to be is not unset.
  for (const char* option : {"-d", "--server", "--challenge", "--cert-key-type"}) {
    CAPTURE(option);
    CHECK(offline(client, {"edit", "a.example", option, ""}).exit_code == 2);
  }
  const std::string help = run({culmen_path(), "edit", "--help"}).out;
  CHECK(contains(help, "'' unsets a text or a list"));
  CHECK(contains(help, "--no-reuse-key"));
  for (const char* value : {"[letsencrypt]", "[http-01]", "[ec:P-256]", "[80]", "{false}"})
    CHECK_FALSE(contains(help, value));
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
  const Outcome nowhere = client.run({"test", "-d", "a.example", "--agree-tos", "--webroot", elsewhere / "none"});
  CHECK(nowhere.exit_code == 1);
  CHECK(contains(nowhere.err, "--webroot: there is no folder"));

  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const std::string before = contents(client.certificate("a.example") / "record.json");
  const Outcome again = offline(client, {"test", "--name", "a.example", "--agree-tos"});
  CHECK_MESSAGE(again.exit_code == 0, again.err);
  CHECK(contents(client.certificate("a.example") / "record.json") == before);
  const Outcome by_word = offline(client, {"test", "a.example", "-d", "b.example", "--agree-tos"});
  CHECK_MESSAGE(by_word.exit_code == 0, by_word.err);
  CHECK(contains(by_word.out, "It works: a.example, b.example would be issued"));
  CHECK(contents(client.certificate("a.example") / "record.json") == before);
  CHECK(offline(client, {"test", "none.example"}).exit_code == 2);
  CHECK(offline(client, {"test", "a.example", "--name", "a.example"}).exit_code == 2);
}
