// culmen renew: what is due, why, and what happens to the rest.
#include <signal.h>

#include <chrono>
#include <fstream>
#include <string>
#include <thread>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "support/culmen_program.hpp"
#include "support/text.hpp"

using namespace cli_test;
namespace json = boost::json;

namespace {

Outcome renew(const Client& client, std::vector<std::string> words = {}) {
  std::vector<std::string> command = {culmen_path(), "renew", "--dir", client.state().string()};
  command.insert(command.end(), words.begin(), words.end());
  return run(command);
}

/// The entry of one certificate in what `renew --json` says.
json::object entry(const Outcome& outcome, const std::string& name) {
  INFO(outcome.out << outcome.err);
  const json::object said = outcome.json();
  for (const json::value& one : said.at("certificates").as_array())
    if (one.at("name").as_string() == name) return one.as_object();
  FAIL("no entry for " << name);
  return {};
}

void change(const fs::path& path, const std::string& member, const json::value& value) {
  json::object object = read_object(path);
  object[member] = value;
  std::ofstream(path) << json::serialize(object);
}

fs::path record_of(const Client& client, const std::string& name) { return client.certificate(name) / "record.json"; }

/// What is remembered of the CA's suggestions.
json::object renewal_of(const Client& client, const std::string& name) {
  return read_object(record_of(client, name)).at("renewal").as_object();
}

void change_renewal(const Client& client, const std::string& name, const std::string& member,
                    const json::value& value) {
  json::object renewal = renewal_of(client, name);
  renewal[member] = value;
  change(record_of(client, name), "renewal", renewal);
}

/// As if the last attempt had been long ago. Certificates end at whole seconds, and a new one has to end later.
void forget_attempts(const Client& client, const std::string& name) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  change(record_of(client, name), "attempts", json::object());
}

/// Lets the time pass until the CA may be asked again.
void forget_next_check(const Client& client, const std::string& name) { change_renewal(client, name, "next_check", 0); }

}  // namespace

TEST_CASE("renew: nothing is due, and the CA is not asked before its time") {
  const TestCaProcess ca;
  const Client client(ca);
  const Outcome nowhere = renew(client);
  CHECK(nowhere.exit_code == 1);
  CHECK(contains(nowhere.err, "there is no state folder"));
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  CHECK(ca.logged("renewal-info") == 2);  // once each
  const Outcome outcome = renew(client, {"--json"});
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.json().at("changed") == false);
  CHECK(outcome.json().at("certificates").as_array().size() == 2);
  for (const char* name : {"a.example", "b.example"}) {
    const json::object one = entry(outcome, name);
    CHECK(one.at("result") == "not due");
    CHECK(one.at("renew") == false);
    CHECK(one.contains("window_start"));
    CHECK(one.contains("next_check"));
  }
  CHECK(ca.logged("renewal-info") == 2);  // once each
  const Outcome spoken = renew(client, {"a.example"});
  CHECK(contains(spoken.out, "a.example: not due: "));
  CHECK_FALSE(contains(spoken.out, "b.example"));
  CHECK(renew(client, {"c.example"}).exit_code == 2);
  CHECK(ca.logged("renewal-info") == 2);

  // The moment picked in the window stays the same when the CA is asked again.
  const json::object before = renewal_of(client, "a.example");
  CHECK(before.at("answered_at") == before.at("window_since"));
  CHECK(before.at("retry_after") == 21600);
  change_renewal(client, "a.example", "answered_at", 1700000000);
  forget_next_check(client, "a.example");
  CHECK(renew(client).exit_code == 0);
  CHECK(ca.logged("renewal-info") == 3);
  const json::object after = renewal_of(client, "a.example");
  for (const char* member : {"chosen", "dice", "window_since"}) CHECK(after.at(member) == before.at(member));
  CHECK(renew(client, {"a.example"}).exit_code == 0);
  CHECK(ca.logged("renewal-info") == 3);
  CHECK(renew(client, {"--ask-again", "a.example"}).exit_code == 0);  // F14
  CHECK(ca.logged("renewal-info") == 4);
  CHECK(after.at("answered_at").as_int64() >= before.at("answered_at").as_int64());
}

TEST_CASE("renew: the CA moves the window, a dry run explains, the renewal names its predecessor") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example", "www.a.example"}, {"--cert-key-type", "ec:P-384"}).exit_code == 0);
  REQUIRE(client.issue({"b.example"}).exit_code == 0);
  const fs::path live = client.certificate("a.example") / "live";
  const std::string serial = contents(live / "cert.pem");
  REQUIRE(renew(client).exit_code == 0);  // learns the first window
  // Revoked at the CA, without this folder's knowledge: its window is in the past now.
  const culmen::test::TemporaryFolder elsewhere;
  REQUIRE(run({culmen_path(), "revoke", "--cert", live / "cert.pem", "--cert-key", live / "key.pem", "--server",
               ca.url(), "--server-ca", ca.root_file(), "--dir", elsewhere / "state"})
              .exit_code == 0);
  CHECK(entry(renew(client, {"--json"}), "a.example").at("result") == "not due");
  forget_next_check(client, "a.example");
  forget_attempts(client, "a.example");

  // issue goes by the same rule, and by what renew found out.
  const Outcome outcome = renew(client, {"--json"});
  INFO(outcome.out << outcome.err);
  CHECK(outcome.exit_code == 0);
  CHECK(outcome.json().at("renewed") == 1);
  CHECK(entry(outcome, "a.example").at("result") == "renewed");
  CHECK(entry(outcome, "b.example").at("result") == "not due");
  CHECK(fs::read_symlink(live) == "2");
  const json::object meta = read_object(live / "meta.json");
  CHECK(meta.at("key_type") == "ec:P-384");
  CHECK(meta.at("names").as_array().size() == 2);
  CHECK(entry(renew(client, {"--json"}), "a.example").at("result") == "not due");
}

TEST_CASE("renew: issue goes by the same window") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  REQUIRE(renew(client).exit_code == 0);  // learns the window
  for (const char* member : {"window_start", "window_end", "chosen"})
    change_renewal(client, "a.example", member, 1700000000);
  const Outcome too_soon = renew(client, {"--dry-run"});
  CHECK(too_soon.exit_code == 0);
  CHECK(contains(too_soon.out, "a.example: would not be renewed yet: "));
  CHECK(contains(too_soon.out, "because a certificate was issued just now"));
  forget_attempts(client, "a.example");
  CHECK(contains(renew(client, {"--dry-run"}).out, "a.example: would be renewed: "));
  CHECK(fs::read_symlink(client.certificate("a.example") / "live") == "1");
  const Outcome outcome = client.issue({"a.example"});
  CHECK_MESSAGE(outcome.exit_code == 0, outcome.err);
  CHECK(contains(outcome.out, "the CA "));
  CHECK(fs::read_symlink(client.certificate("a.example") / "live") == "2");
  CHECK(contains(client.issue({"a.example"}).out, "Nothing to do"));
}

TEST_CASE("renew: by lifetime, and without a CA to ask") {
  TestCaProcess ca({"--lifetime", "20"});
  const Client client(ca);
  REQUIRE(client.issue({"short.example"}).exit_code == 0);
  TestCaProcess other;
  const Client other_client(other);
  REQUIRE(other_client.issue({"long.example"}).exit_code == 0);
  other.process().signal(SIGKILL);
  other.process().wait();
  const Outcome alone = renew(other_client);
  CHECK(alone.exit_code == 0);  // no reason to fail: the lifetime decides
  CHECK(contains(alone.out, "long.example: not due: "));

  CHECK(eventually([&] { return contains(renew(client, {"--dry-run"}).out, "would be renewed"); }));
  CHECK(renew(client).exit_code == 0);
  CHECK(fs::read_symlink(client.certificate("short.example") / "live") == "2");
}

TEST_CASE("renew: one that fails does not keep the others, a CA without ARI, revoked ones stay") {
  const TestCaProcess ca({"--no-renewal-info"});
  const Client client(ca);
  for (const char* name : {"a.example", "b.example", "c.example"}) REQUIRE(client.issue({name}).exit_code == 0);
  REQUIRE(
      run({culmen_path(), "edit", "a.example", "--server", "https://127.0.0.1:1/directory", "--dir", client.state()})
          .exit_code == 0);
  REQUIRE(client.run({"revoke", "c.example"}).exit_code == 0);
  CHECK(entry(renew(client, {"--json", "c.example"}), "c.example").at("result") == "skipped");
  CHECK(contains(renew(client, {"c.example"}).out, "was revoked on"));
  // Without a window as well, how early it is renewed is drawn once.
  const json::value dice = read_object(record_of(client, "b.example")).at("dice");
  CHECK(entry(renew(client, {"--json", "b.example"}), "b.example").at("result") == "not due");
  CHECK(read_object(record_of(client, "b.example")).at("dice") == dice);

  const Outcome outcome = renew(client, {"--force", "--json", "a.example", "b.example"});
  CHECK(outcome.exit_code == 3);
  CHECK(outcome.json().at("ok") == false);
  CHECK(entry(outcome, "a.example").at("result") == "failed");
  CHECK(entry(outcome, "a.example").at("error").as_object().contains("message"));
  CHECK(entry(outcome, "b.example").at("result") == "renewed");
  CHECK(fs::read_symlink(client.certificate("a.example") / "live") == "1");
  CHECK(fs::read_symlink(client.certificate("b.example") / "live") == "2");
}

TEST_CASE("tls-alpn-01 from the command line, and renewed the same way") {
  const std::string port = std::to_string(free_port());
  const TestCaProcess ca({"--tls-port", port});
  const Client client(ca);
  const std::vector<std::string> by_tls = {"--challenge", "tls-alpn-01",   "--tls-port",
                                           port,          "--tls-address", "127.0.0.1"};
  const Outcome issued = client.issue({"a.example", "127.0.0.1"}, by_tls);
  REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
  const json::object meta = read_object(client.certificate("a.example") / "live/meta.json");
  CHECK(meta.at("challenge").at("type") == "tls-alpn-01");
  const Outcome renewed = renew(client, {"--force"});
  CHECK_MESSAGE(renewed.exit_code == 0, renewed.err);
  CHECK(fs::read_symlink(client.certificate("a.example") / "live") == "2");

  const Outcome wildcard = client.issue({"*.w.example"}, by_tls);
  CHECK(wildcard.exit_code == 2);
  CHECK(contains(wildcard.err, "tls-alpn-01 cannot prove the wildcard name"));
  CHECK(client.issue({"b.example"}, {"--challenge", "tls-alpn-01", "--tls-port", "1", "--tls-address", "192.0.2.1"})
            .exit_code != 0);
}
