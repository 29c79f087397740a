// The program with its certificates in PostgreSQL: two hosts that share it, storages copied, and what fails.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "culmen/blocking/storage.hpp"
#include "culmen/certificate_record.hpp"
#include "culmen/postgres_storage.hpp"
#include "culmen/records.hpp"
#include "support/culmen_program.hpp"
#include "support/postgres_server.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;
using culmen::test::TemporaryFolder;
namespace json = boost::json;

namespace {

/// A database, and a URL for it that has no password.
class Database {
 public:
  Database() { write_password(server_test::PostgresServer::password()); }
  std::string url() const {
    return "postgresql://culmen@127.0.0.1:" + std::to_string(server.port()) + "/postgres?passfile=" + password_file();
  }
  void write_password(const std::string& password) const {
    std::ofstream(password_file()) << "127.0.0.1:" << server.port() << ":postgres:culmen:" << password << "\n";
    REQUIRE(chmod(password_file().c_str(), 0600) == 0);
  }

  server_test::PostgresServer server;

 private:
  std::string password_file() const { return (folder_ / "pgpass").string(); }
  TemporaryFolder folder_;
};

/// One host: its state folder. Its commands say nothing of the CA.
class HostState {
 public:
  explicit HostState(const TestCaProcess& ca) : client_(ca) {}
  std::vector<std::string> command(std::vector<std::string> words) const {
    words.insert(words.begin(), culmen_path());
    words.insert(words.end(), {"--dir", state().string()});
    return words;
  }
  Outcome run(std::vector<std::string> words) const { return cli_test::run(command(std::move(words))); }
  /// The output, of a command that has to succeed.
  std::string done(std::vector<std::string> words) const {
    const Outcome outcome = run(std::move(words));
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.exit_code == 0);
    return outcome.out + outcome.err;
  }
  void issue(const std::vector<std::string>& names, std::vector<std::string> more = {}) const {
    const Outcome outcome = client_.issue(names, std::move(more));
    INFO(outcome.out << outcome.err);
    REQUIRE(outcome.exit_code == 0);
  }
  fs::path state() const { return client_.state(); }
  fs::path live(const std::string& name) const { return client_.certificate(name) / "live"; }
  std::string chain(const std::string& name) const { return contents(live(name) / "fullchain.pem"); }

 private:
  Client client_;
};

/// Forgets that a certificate was issued just now, after which none is ordered for a minute.
void forget_last_order(const Database& database, const std::string& id) {
  const culmen::blocking::Storage storage(culmen::postgres_storage(culmen::PostgresOptions(database.url())));
  const std::string key = culmen::certificate_record_key(id);
  culmen::CertificateRecord record = culmen::decode_certificate_record(storage.load_one(key).value().value).value();
  record.attempts.clear();
  (void)storage.write_one(culmen::Write(key, culmen::encode(record)));
}

/// A deploy hook that writes a line for each run.
std::string counting_hook(const TemporaryFolder& folder) {
  const std::string program = folder.write(
      "hook", "#!/bin/sh\necho \"$CULMEN_ID $CULMEN_FULLCHAIN\" >> '" + (folder / "runs").string() + "'\n");
  REQUIRE(chmod(program.c_str(), 0700) == 0);
  return program;
}

std::size_t lines_in(const fs::path& file) {
  const std::string text = contents(file);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

int orders(const TestCaProcess& ca) { return ca.logged("new-order"); }

}  // namespace

TEST_CASE("storage in PostgreSQL: init remembers it, check uses it, list shows keys and no values") {
  const TestCaProcess ca;
  const Database database;
  const HostState host(ca);
  const Outcome early = host.run({"storage", "check", database.url()});
  CHECK(early.exit_code == 1);  // no tables yet
  CHECK(contains(early.err, "culmen storage init"));
  CHECK(contains(early.err, "has no tables of culmen; culmen storage init"));

  host.done({"storage", "init", database.url()});
  host.done({"storage", "init", database.url()});
  const Outcome check = host.run({"storage", "check", "--json"});
  INFO(check.out << check.err);
  REQUIRE(check.exit_code == 0);
  CHECK(check.json().at("milliseconds").as_object().size() == 6);
  CHECK(contains(host.done({"storage", "check"}), "It works"));

  host.issue({"a.example"});
  const std::string listed = host.done({"storage", "list"});
  CHECK(contains(listed, "certificates/a.example/record  "));
  CHECK(contains(listed, "certificates/a.example/1  "));
  CHECK(!contains(listed, "scratch"));
  CHECK(!contains(listed, "PRIVATE KEY"));
  CHECK(contains(host.done({"storage", "list", "keys"}), "There is nothing below keys/"));
  CHECK(contains(host.done({"list"}), "a.example"));
  // Nothing of it is in files but what servers read.
  CHECK(!fs::exists(host.state() / "accounts"));
  CHECK(mode_of(host.live("a.example") / "key.pem") == 0600);
}

TEST_CASE("storage in PostgreSQL: a password in the URL is neither kept nor shown") {
  const TestCaProcess ca;
  const Database database;
  const HostState host(ca);
  const std::string port = std::to_string(database.server.port());
  for (const std::string& url :
       {"postgresql://culmen:hush%20hush@127.0.0.1:" + port + "/postgres",
        "postgresql://culmen@127.0.0.1:" + port + "/postgres?sslmode=disable&password=hush%20hush"}) {
    const Outcome outcome = host.run({"storage", "init", url});
    CHECK(outcome.exit_code == 2);
    CHECK(contains(outcome.err, ".pgpass"));
    CHECK(!contains(outcome.out + outcome.err, "hush"));
    CHECK(!fs::exists(host.state() / "local/storage.json"));
    const Outcome refused = host.run({"storage", "check", url});
    CHECK(refused.exit_code == 3);
    CHECK(!contains(refused.out + refused.err, "hush"));
    CHECK(contains(refused.err, port));
  }
}

TEST_CASE("two hosts, one PostgreSQL: one renews, and the other takes files and runs hooks") {
  const TestCaProcess ca;
  const Database database;
  const HostState one(ca), two(ca);
  one.done({"storage", "init", database.url()});
  two.done({"storage", "init", database.url()});
  one.issue({"a.example"});
  CHECK(orders(ca) == 1);

  // A host that was not told leaves it alone, and says so if asked.
  CHECK(!contains(two.done({"renew"}), "skipped"));
  CHECK(contains(two.done({"renew", "a.example"}), "culmen edit a.example"));
  CHECK(!fs::exists(two.live("a.example")));

  const TemporaryFolder folder;
  const std::string hook = counting_hook(folder), out = (folder / "chain.pem").string();
  two.done({"edit", "a.example", "--out", out, "--deploy-hook", hook});
  two.done({"renew"});
  CHECK(two.chain("a.example") == one.chain("a.example"));
  CHECK(contents(out) == one.chain("a.example"));
  for (const char* name : {"key.pem", "cert.pem", "chain.pem"})
    CHECK(contents(two.live("a.example") / name) == contents(one.live("a.example") / name));
  CHECK(mode_of(two.live("a.example") / "key.pem") == 0600);
  CHECK(contents(folder / "runs") == "a.example " + (two.live("a.example") / "fullchain.pem").string() + "\n");
  two.done({"renew"});
  CHECK(lines_in(folder / "runs") == 1);

  // Renewed by the first host: the second one follows, with the modes that it was told.
  two.done({"edit", "a.example", "--key-mode", "0640"});
  two.done({"renew"});
  CHECK(mode_of(two.live("a.example") / "key.pem") == 0640);
  const std::string before = one.chain("a.example");
  for (int round = 0; round < 3; ++round) {
    one.done({"renew", "--force"});
    two.done({"renew"});
    CHECK(one.chain("a.example") != before);
    CHECK(two.chain("a.example") == one.chain("a.example"));
    CHECK(contents(out) == one.chain("a.example"));
    CHECK(mode_of(two.live("a.example") / "key.pem") == 0640);
    CHECK(mode_of(one.live("a.example") / "key.pem") == 0600);
    CHECK(lines_in(folder / "runs") == static_cast<std::size_t>(2 + round));
  }
  CHECK(orders(ca) == 4);
  // One generation stays for servers that are reading.
  CHECK(std::distance(fs::directory_iterator(two.live("a.example").parent_path()), {}) == 4);

  // The CA is not needed for it, and a file that was lost is written again.
  fs::remove(two.live("a.example") / "key.pem");
  two.done({"renew"});
  CHECK(contents(two.live("a.example") / "key.pem") == contents(one.live("a.example") / "key.pem"));

  one.done({"delete", "a.example"});
  CHECK(!fs::exists(one.live("a.example")));
  const Outcome gone = two.run({"renew"});
  CHECK(gone.exit_code == 1);
  CHECK(contains(gone.err, "culmen delete a.example"));
  CHECK(fs::exists(two.live("a.example") / "key.pem"));
  two.done({"delete", "a.example"});
  CHECK(!fs::exists(two.live("a.example").parent_path()));
  CHECK(!contains(two.done({"renew"}), "a.example"));
}

TEST_CASE("two hosts, one PostgreSQL: the other host takes over, and names are changed") {
  const TestCaProcess ca;
  const Database database;
  const HostState one(ca), two(ca);
  one.done({"storage", "init", database.url()});
  two.done({"storage", "init", database.url()});
  one.issue({"a.example"});
  CHECK(one.run({"edit", "a.example", "--files-only"}).exit_code == 0);
  CHECK(contains(one.run({"renew", "--force"}).err, "--force has no effect here"));
  CHECK(orders(ca) == 1);

  two.done({"edit", "a.example", "--renew-here", "--server-ca", ca.root_file(), "--http-port", ca.http_port()});
  two.done({"renew", "--force"});
  CHECK(orders(ca) == 2);
  CHECK(ca.logged("new-account") == 1);
  one.done({"renew"});
  CHECK(one.chain("a.example") == two.chain("a.example"));

  two.done({"rename", "a.example", "site"});
  CHECK(!fs::exists(two.live("a.example")));
  CHECK(two.chain("site") == one.chain("a.example"));
  const Outcome gone = one.run({"renew"});
  CHECK(gone.exit_code == 1);
  CHECK(contains(gone.err, "culmen delete a.example"));
  two.done({"renew", "--force"});
  one.done({"delete", "a.example"});
  one.done({"edit", "site"});
  one.done({"renew"});
  CHECK(one.chain("site") == two.chain("site"));

  const HostState files(ca);
  files.issue({"b.example"});
  CHECK(files.run({"edit", "b.example", "--files-only"}).exit_code == 2);
}

TEST_CASE("two hosts, one PostgreSQL: renewed once when both run at the same time, twenty times") {
  const TestCaProcess ca;
  const Database database;
  const HostState one(ca), two(ca);
  one.done({"storage", "init", database.url()});
  two.done({"storage", "init", database.url()});
  one.issue({"a.example"});
  two.issue({"a.example"});  // proves the names, too, and orders nothing
  REQUIRE(orders(ca) == 1);
  for (int round = 1; round <= 20; ++round) {
    CAPTURE(round);
    // Other names make it due.
    std::vector<std::string> edit = {"edit", "a.example", "-d", "a.example"};
    if (round % 2 == 1) edit.insert(edit.end(), {"-d", "b.example"});
    (round % 3 == 0 ? two : one).done(edit);
    forget_last_order(database, "a.example");
    Process first(one.command({"renew"})), second(two.command({"renew"}));
    const int codes[] = {first.wait(), second.wait()};
    INFO(first.out() << first.err() << second.out() << second.err());
    // 3: the other one is at it.
    CHECK((codes[0] == 0 || codes[1] == 0));
    for (const int code : codes) CHECK((code == 0 || code == 3));
    CHECK(orders(ca) == 1 + round);
    one.done({"renew"});
    two.done({"renew"});
    CHECK(orders(ca) == 1 + round);
    CHECK(one.chain("a.example") == two.chain("a.example"));
  }
}

TEST_CASE("storage copy: files to PostgreSQL to files, and renewals go on") {
  const TestCaProcess ca;
  const Database database;
  const HostState host(ca), other(ca);
  host.issue({"a.example"});
  host.issue({"b.example", "www.b.example"}, {"--name", "Site"});
  host.done({"renew", "--force", "a.example"});
  host.issue({"gone.example"});
  host.done({"delete", "gone.example"});
  const std::string files = "file:" + host.state().string();

  const auto copy = [](const std::string& from, const std::string& to) {
    return run({culmen_path(), "storage", "copy", from, to, "--json"});
  };
  const Outcome there = copy(files, database.url());
  INFO(there.out << there.err);
  REQUIRE(there.exit_code == 0);
  const json::object counts = there.json().at("copied").as_object();
  CHECK(counts.at("accounts") == 1);
  CHECK(counts.at("certificates") == 2);
  CHECK(counts.at("generations") == 3);
  CHECK(counts.at("unused keys") == 1);
  CHECK(there.json().at("there_before") == 0);
  const Outcome again = copy(files, database.url());
  CHECK(again.exit_code == 0);
  CHECK(again.json().at("copied") == counts);
  CHECK(again.json().at("there_before").as_int64() >= 7);

  // The release before has what the host does in meta.json, which a database does not decide.
  fs::remove_all(host.state() / "local/deploy");
  CHECK(contains(host.done({"storage", "init", database.url()}), "from now on"));
  const std::string before = host.chain("a.example");
  host.done({"renew", "--force"});
  CHECK(host.chain("a.example") != before);
  CHECK(ca.logged("new-account") == 1);

  // What is not the same is not touched.
  const Outcome refused = copy(files, database.url());
  CHECK(refused.exit_code == 1);
  CHECK(contains(refused.err, "nothing was copied"));

  const std::string target = "file:" + other.state().string();
  const Outcome back = copy(database.url(), target);
  INFO(back.out << back.err);
  REQUIRE(back.exit_code == 0);
  CHECK(other.chain("a.example") == host.chain("a.example"));
  CHECK(other.chain("Site") == host.chain("Site"));
  CHECK(mode_of(other.live("Site") / "key.pem") == 0600);
  const std::string copied = other.chain("Site");
  other.done({"renew", "--force"});
  CHECK(other.chain("Site") != copied);
  CHECK(ca.logged("new-account") == 1);
}

TEST_CASE("storage copy: a copy that was ended in the middle is finished by the same command") {
  const TestCaProcess ca;
  const Database database;
  const HostState host(ca);
  for (const char* name : {"a.example", "b.example", "c.example", "d.example"}) host.issue({name});
  const std::vector<std::string> words = {culmen_path(),  "storage", "copy", "file:" + host.state().string(),
                                          database.url(), "--json"};
  REQUIRE(host.run({"storage", "init", database.url()}).exit_code == 0);
  // Part of it, as an ended copy leaves it.
  const HostState part(ca);
  fs::create_directories(part.state() / "certificates");
  fs::copy(host.state() / "certificates/b.example", part.state() / "certificates/b.example",
           fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  REQUIRE(run({culmen_path(), "storage", "copy", "file:" + part.state().string(), database.url()}).exit_code == 0);
  const Outcome rest = run(words);
  INFO(rest.out << rest.err);
  CHECK(rest.exit_code == 0);
  CHECK(rest.json().at("copied").at("certificates") == 4);
  CHECK(rest.json().at("there_before") == 2);
  // Killed at any moment.
  for (int round = 0; round < 5; ++round) {
    const HostState target(ca);
    const std::vector<std::string> back = {
        culmen_path(), "storage", "copy", database.url(), "file:" + target.state().string(), "--json"};
    Process process(back);
    for (int i = 0; i < round; ++i) sleep_a_little();
    process.signal(SIGKILL);
    process.wait();
    const Outcome finished = run(back);
    INFO(finished.out << finished.err);
    CHECK(finished.exit_code == 0);
    CHECK(finished.json().at("copied").at("certificates") == 4);
    CHECK(target.chain("c.example") == host.chain("c.example"));
  }
}

TEST_CASE("storage in PostgreSQL: what is missing or out of reach is said, and nothing is lost") {
  const TestCaProcess ca;
  Database database;
  const HostState host(ca);
  host.done({"storage", "init", database.url()});
  host.issue({"a.example"});
  const std::string chain = host.chain("a.example");

  SUBCASE("the module") {
    const TemporaryFolder folder;
    const std::string program = (folder / "culmen").string();
    fs::copy_file(culmen_path(), program);
    const Outcome missing = run({program, "list", "--dir", host.state().string()});
    CHECK(missing.exit_code == 1);
    CHECK(contains(missing.err, "cannot use PostgreSQL"));
    CHECK(contains(missing.err, "culmen-storage-postgres"));

    fs::copy_file(CULMEN_OTHER_MODULE, folder / "storage-postgres.so");
    const Outcome older = run({program, "list", "--dir", host.state().string()});
    CHECK(older.exit_code == 1);
    CHECK(contains(older.err, "is of culmen 0.0.9"));

    std::ofstream(folder / "storage-postgres.so", std::ios::trunc) << "no library";
    const Outcome damaged = run({program, "list", "--dir", host.state().string()});
    CHECK(damaged.exit_code == 1);
    CHECK(contains(damaged.err, "storage-postgres.so"));
    // With files it is not needed.
    CHECK(run({program, "storage", "check", "file:" + folder.path().string()}).exit_code == 0);
  }
  SUBCASE("the password") {
    database.write_password("not it");
    for (const char* command : {"list", "renew"}) {
      const Outcome outcome = host.run({command});
      CHECK(outcome.exit_code == 3);
      CHECK(contains(outcome.err, "password authentication failed"));
      CHECK(!contains(outcome.err, "not it"));
    }
    database.write_password(server_test::PostgresServer::password());
  }
  SUBCASE("the server") {
    database.server.kill();
    for (const char* command : {"list", "renew"}) {
      const Outcome outcome = host.run({command});
      CHECK(outcome.exit_code == 3);
      CHECK(contains(outcome.err, std::to_string(database.server.port())));
    }
    const Outcome removal = host.run({"delete", "a.example"});
    CHECK(removal.exit_code == 3);
    database.server.start();
  }
  // Servers of this host have their files in any case.
  CHECK(host.chain("a.example") == chain);
  CHECK(contains(host.done({"list"}), "a.example"));
  host.done({"renew", "--force"});
  CHECK(host.chain("a.example") != chain);
}
