#include <signal.h>

#include <fstream>
#include <memory>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;

TEST_CASE("account: register, show and update") {
  const TestCaProcess ca;
  const Client client(ca);
  const Outcome missing = client.run({"account", "show"});
  CHECK(missing.exit_code == 1);
  CHECK(contains(missing.err, "culmen account register"));

  const Outcome made = client.run({"account", "register", "--agree-tos", "--contact", "ops@example.com", "--json"});
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  CHECK(made.json().at("created").as_bool());
  CHECK(made.json().at("contacts") == boost::json::array{"mailto:ops@example.com"});
  CHECK(mode_of(client.account() / "account.key") == 0600);
  const Outcome again = client.run({"account", "register", "--agree-tos", "--json"});
  CHECK_FALSE(again.json().at("created").as_bool());
  CHECK(again.json().at("account") == made.json().at("account"));

  const Outcome shown = client.run({"account", "show", "--json"});
  CHECK(shown.json().at("status") == "valid");
  CHECK(shown.json().at("contacts") == made.json().at("contacts"));

  CHECK(client.run({"account", "update"}).exit_code == 2);
  CHECK(
      client.run({"account", "update", "--contact", "a@example.com", "--contact", "mailto:b@example.com"}).exit_code ==
      0);
  CHECK(client.run({"account", "show", "--json"}).json().at("contacts") ==
        boost::json::array{"mailto:a@example.com", "mailto:b@example.com"});
  CHECK(client.run({"account", "update", "--no-contact"}).exit_code == 0);
  CHECK(client.run({"account", "show", "--json"}).json().at("contacts").as_array().empty());
}

TEST_CASE("account: what is remembered of the CA is used, and the default CA is not asked about accounts elsewhere") {
  const TestCaProcess ca, other;
  const Client client(ca);
  const auto offline = [&](std::vector<std::string> words) {
    words.insert(words.begin(), culmen_path());
    words.insert(words.end(), {"--dir", client.state().string()});
    return run(words);
  };
  const Outcome none = offline({"account", "show"});
  CHECK(none.exit_code == 1);
  CHECK(contains(none.err, "there is no account in " + client.state().string()));
  CHECK(contains(none.err, "culmen account register --agree-tos --dir " + client.state().string()));

  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const Outcome shown = offline({"account", "show", "--json"});
  REQUIRE_MESSAGE(shown.exit_code == 0, shown.err);
  CHECK(shown.json().at("status") == "valid");

  REQUIRE(offline({"account", "register", "--agree-tos", "--server", other.url(), "--server-ca", other.root_file()})
              .exit_code == 0);
  const Outcome which = offline({"account", "show"});
  CHECK(which.exit_code == 2);
  CHECK(contains(which.err, ca.url()));
  CHECK(contains(which.err, other.url()));
  CHECK(contains(which.err, "--server"));
  CHECK(offline({"account", "show", "--server", ca.url()}).exit_code == 0);
  const Outcome anew = offline({"account", "register", "--new-key", "--agree-tos", "--server", ca.url()});
  CHECK(contains(anew.out, "The account before is not deactivated, and its key is in keys/unused: " +
                               text(shown.json().at("account"))));
}

TEST_CASE("account: rollover") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.run({"account", "register", "--agree-tos"}).exit_code == 0);
  const boost::json::value url = client.run({"account", "show", "--json"}).json().at("account");
  const fs::path key = client.account() / "account.key";
  for (const std::string type : {"ec:P-384", "rsa:2048", "ed25519"}) {
    const std::string before = contents(key);
    const Outcome rolled = client.run({"account", "rollover", "--key-type", type, "--json"});
    REQUIRE_MESSAGE(rolled.exit_code == 0, rolled.err);
    CHECK(text(rolled.json().at("key_type")) == type);
    CHECK(contents(key) != before);
    CHECK(mode_of(key) == 0600);
    CHECK_FALSE(fs::exists(key.string() + ".new"));
    const Outcome shown = client.run({"account", "show", "--json"});
    CHECK(shown.json().at("account") == url);
    CHECK(text(shown.json().at("key_type")) == type);
  }
  CHECK(client.issue({"a.example"}).exit_code == 0);
}

TEST_CASE("account: a rollover that was cut short is settled by the next command") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.run({"account", "register", "--agree-tos"}).exit_code == 0);
  const fs::path key = client.account() / "account.key";
  SUBCASE("before the CA heard of it") {
    const std::string old_key = contents(key);
    REQUIRE(run({"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                 key.string() + ".new"})
                .exit_code == 0);
    const Outcome shown = client.run({"account", "show"});
    CHECK_MESSAGE(shown.exit_code == 0, shown.err);
    CHECK(contents(key) == old_key);
  }
  SUBCASE("after the CA took it") {
    const std::string old_key = contents(key);
    REQUIRE(client.run({"account", "rollover"}).exit_code == 0);
    // As if the program had died between the answer and the swap.
    const std::string new_key = contents(key);
    fs::rename(key, key.string() + ".new");
    std::ofstream(key) << old_key;
    const Outcome shown = client.run({"account", "show"});
    CHECK_MESSAGE(shown.exit_code == 0, shown.err);
    CHECK(contents(key) == new_key);
  }
  CHECK_FALSE(fs::exists(key.string() + ".new"));
}

TEST_CASE("account: a lost rollover answer loses no key") {
  const TestCaProcess ca({"--fault", "key-change:drop-after"});
  const Client client(ca);
  REQUIRE(client.run({"account", "register", "--agree-tos"}).exit_code == 0);
  client.run({"account", "rollover", "--key-type", "ec:P-384"});  // may find out by itself, or fail
  const Outcome shown = client.run({"account", "show", "--json"});
  REQUIRE_MESSAGE(shown.exit_code == 0, shown.err);
  CHECK(shown.json().at("key_type") == "ec:P-384");
}

TEST_CASE("account: what the CA has forgotten is registered anew") {
  auto before = std::make_unique<TestCaProcess>();
  const std::string url = before->url();
  const std::string port = url.substr(url.rfind(':') + 1, url.find('/', 8) - url.rfind(':') - 1);
  const Client first(*before);
  REQUIRE(first.issue({"a.example.test"}).exit_code == 0);
  const std::string key = contents(first.account() / "account.key");
  before->process().signal(SIGTERM);
  before->process().wait();
  const TestCaProcess after({"--port", port});
  REQUIRE(after.url() == url);
  for (const bool by_register : {false, true}) {
    CAPTURE(by_register);
    const Client client(after);
    fs::copy(first.state(), client.state(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    if (by_register) {
      const Outcome made = client.run({"account", "register", "--agree-tos", "--json"});
      REQUIRE_MESSAGE(made.exit_code == 0, made.err);
    }
    const Outcome issued = client.issue({"a.example.test"}, {"--force"});
    CHECK_MESSAGE(issued.exit_code == 0, issued.err);
    CHECK(contents(client.account() / "account.key") == key);
  }
}

TEST_CASE("account: recover") {
  const TestCaProcess ca;
  const Client client(ca);
  const Outcome made = client.run({"account", "register", "--agree-tos", "--contact", "ops@example.com", "--json"});
  REQUIRE(made.exit_code == 0);
  const fs::path key = client.account() / "account.key";

  fs::remove(client.account() / "account.json");
  const Outcome found = client.run({"account", "recover", "--json"});
  CHECK_MESSAGE(found.exit_code == 0, found.err);
  CHECK(found.json().at("account") == made.json().at("account"));
  CHECK(found.json().at("contacts") == made.json().at("contacts"));
  CHECK(fs::exists(client.account() / "account.json"));

  SUBCASE("with a key file") {
    const culmen::test::TemporaryFolder elsewhere;
    fs::copy(key, elsewhere / "my.key");
    CHECK(client.run({"account", "recover", "--account-key", elsewhere / "my.key"}).exit_code == 0);
    CHECK(contents(elsewhere / "my.key.account-url") == std::string(made.json().at("account").as_string()) + "\n");
  }
  SUBCASE("a key the CA does not know") {
    const culmen::test::TemporaryFolder elsewhere;
    REQUIRE(run({"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", elsewhere / "sec1.key"})
                .exit_code == 0);
    const Outcome unknown = client.run({"account", "recover", "--account-key", elsewhere / "sec1.key"});
    CHECK(unknown.exit_code == 4);
    CHECK(contains(unknown.err, "culmen account register"));
  }
}

TEST_CASE("account: --account-key") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder elsewhere;
  const std::string key = elsewhere / "ops.key";
  const Outcome issued = client.issue({"a.example"}, {"--account-key", key, "--key-type", "ec:P-384"});
  REQUIRE_MESSAGE(issued.exit_code == 0, issued.err);
  CHECK(mode_of(key) == 0600);
  CHECK(contains(contents(key + ".account-url"), "https://"));
  CHECK_FALSE(fs::exists(client.state() / "accounts"));
  CHECK(client.run({"account", "show", "--account-key", key, "--json"}).json().at("key_type") == "ec:P-384");
  // revoke remembers which account it was
  CHECK(run({culmen_path(), "revoke", "a.example", "--dir", client.state()}).exit_code == 0);

  std::ofstream(elsewhere / "broken.key") << "not a key";
  const Outcome broken = client.issue({"b.example"}, {"--account-key", elsewhere / "broken.key"});
  CHECK(broken.exit_code == 1);
  CHECK(contains(broken.err, "broken.key"));
  CHECK(contents(elsewhere / "broken.key") == "not a key");
}

TEST_CASE("account: deactivate") {
  const TestCaProcess ca;
  const Client client(ca);
  const Outcome made = client.run({"account", "register", "--agree-tos", "--json"});
  REQUIRE(made.exit_code == 0);
  const Outcome ended = client.run({"account", "deactivate", "--json"});
  CHECK_MESSAGE(ended.exit_code == 0, ended.err);
  CHECK(ended.json().at("status") == "deactivated");
  CHECK(fs::exists(std::string(ended.json().at("key").as_string())));
  CHECK(client.run({"account", "show"}).exit_code == 1);
  // The next issuance starts with a new account.
  CHECK(client.issue({"a.example"}).exit_code == 0);
  CHECK(client.run({"account", "show", "--json"}).json().at("account") != made.json().at("account"));
}

TEST_CASE("account: external account binding") {
  const std::string mac_key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
  const TestCaProcess ca({"--eab", "kid-1=" + mac_key});
  const Client client(ca);
  const Outcome missing = client.issue({"a.example"});
  CHECK(missing.exit_code == 2);
  CHECK(contains(missing.err, "--eab-kid"));
  CHECK(ca.logged("new-account") == 0);
  CHECK(client.issue({"a.example"}, {"--eab-kid", "kid-1"}).exit_code == 2);
  CHECK(client.issue({"a.example"}, {"--eab-kid", "kid-1", "--eab-key", "*** not base64 ***"}).exit_code == 2);

  const Outcome wrong = client.issue({"a.example"}, {"--eab-kid", "kid-1", "--eab-key", "d3Jvbmcga2V5IHdyb25nIGtleQ"});
  CHECK(wrong.exit_code == 4);
  const Outcome bound = client.issue({"a.example"}, {"--eab-kid", "kid-1", "--eab-key", mac_key});
  CHECK_MESSAGE(bound.exit_code == 0, bound.err);
  CHECK_FALSE(contains(contents(client.account() / "account.json"), mac_key));
  // The account is known now.
  CHECK(client.issue({"b.example"}).exit_code == 0);
}

TEST_CASE("account: the MAC key can come from the environment") {
  const TestCaProcess ca({"--eab", "kid-1=c2VjcmV0LXNlY3JldC1zZWNyZXQ"});
  const Client client(ca);
  const Outcome made =
      run(client.command({"account", "register", "--agree-tos", "--eab-kid", "kid-1", "--eab-alg", "HS384"}),
          {"CULMEN_EAB_KEY=c2VjcmV0LXNlY3JldC1zZWNyZXQ="});
  CHECK_MESSAGE(made.exit_code == 0, made.err);
}

TEST_CASE("usage: wrong flags") {
  const auto culmen = [](std::vector<std::string> words) {
    words.insert(words.begin(), culmen_path());
    return run(words);
  };
  const auto refuses = [&](std::vector<std::string> words, const std::string& text) {
    const Outcome outcome = culmen(std::move(words));
    CHECK(outcome.exit_code == 2);
    CHECK_MESSAGE(contains(outcome.err, text), outcome.err);
    CHECK(contains(outcome.err, "--help"));
    CHECK(outcome.out.empty());
  };
  refuses({}, "culmen needs a command: issue, ");
  refuses({"isue"}, "\"isue\" is not a command");
  refuses({"account", "shw"}, "\"shw\" is not a command");
  refuses({"issue", "-d", "a.example", "--http-port", "99999"}, "99999");
  refuses({"issue", "-d", "a.example", "--http-port", "eighty"}, "eighty");
  refuses({"issue", "-d", "a.example", "--cert-key-type", "rsa:1000"}, "ec:P-256, ec:P-384");
  refuses({"issue", "-d", "a.example", "--key-type", "dsa"}, "\"dsa\" is not a key type");
  refuses({"issue", "-d", "a.example", "--challenge", "dns-99"}, "not a challenge type");
  refuses({"issue", "-d", "a.example", "stray"}, "stray");
  refuses({"account"}, "culmen account needs a command: ");
  refuses({"issue", "-d", "a.example", "--agre-tos"}, "Did you mean --agree-tos?");
  refuses({"renw"}, "Did you mean renew?");
  // What other clients call it, and never the opposite or what cannot be undone.
  refuses({"remove"}, "Did you mean delete?");
  refuses({"certificates"}, "Did you mean list?");
  refuses({"unregister"}, "Did you mean account deactivate?");
  refuses({"version"}, "Did you mean --version?");
  CHECK_FALSE(contains(culmen({"dleete"}).err, "Did you mean"));
  refuses({"issue", "-d", "a.example", "--standalone"}, "answers on port 80 itself");
  refuses({"renew", "-d", "a.example"}, "without an option: culmen renew NAME");
  refuses({"--dir", "x", "list"}, "culmen list --dir");
  refuses({"issue", "a.example"}, "-d a.example");
  refuses({"list", "a.example"}, "culmen status a.example");
  refuses({"ca", "shwo"}, "Did you mean show?");
  refuses({"import", "caddy"}, "There is: certbot, lego, acme.sh, persist.");
  // Options of the commands below it.
  refuses({"import", "--from", "x"}, "culmen import certbot|lego|acme.sh|persist --from");
  refuses({"install", "--dir", "x"}, "culmen install timer|service --dir");
  // A value that is empty, most likely a variable that is not set.
  refuses({"list", "--dir", ""}, "--dir: the value is empty");
  refuses({"renew", "--dir=", "--force"}, "--dir: the value is empty");
  refuses({"issue", "-d", "a.example,,b.example"}, "--domain: \"a.example,,b.example\" has an empty value");
  // In words of this program, not of its parser.
  refuses({"rename"}, "culmen rename needs OLD and NEW");
  refuses({"issue", "-d", "a.example", "--webroot", "/", "--http-port", "1"}, "cannot be given together");
  refuses({"issue", "-d", "a.example", "--name", "a", "--name", "b"}, "--name is given more than once");
  refuses({"run", "--log-format", "xml"}, "\"xml\" is not one of text, json");
  refuses({"test-ca", "--port", "99999999"}, "not a number that it can have");
  refuses({"issue", "-d"}, "--domain needs a value: --domain NAME");
  const culmen::test::TemporaryFolder folder;
  // What is missing on this machine is not wrong on the command line.
  for (const char* option : {"--server-ca", "--webroot", "--deploy-hook", "--out"}) {
    const Outcome missing = culmen({"issue", "-d", "a.example", "--dir", folder / "state", option, "/no/such/file"});
    INFO(option << ": " << missing.err);
    CHECK(missing.exit_code == 1);
    CHECK(contains(missing.err, "/no/such"));
  }
  const Outcome nameless = culmen({"issue"});
  CHECK(nameless.exit_code == 2);
  CHECK(contains(nameless.err, "-d NAME"));
  const Outcome no_hook = culmen({"issue", "-d", "a.example", "--challenge", "dns-01"});
  CHECK(no_hook.exit_code == 2);
  CHECK(contains(no_hook.err, "--dns-hook PROGRAM"));
  // A wildcard needs a way to change the DNS; one that is given says the challenge.
  const Outcome wildcard = culmen({"issue", "-d", "*.a.example", "--dir", folder / "state"});
  CHECK(wildcard.exit_code == 2);
  CHECK(contains(wildcard.err, "give --dns-hook PROGRAM"));
  const Outcome manual = culmen({"issue", "-d", "*.a.example", "--manual", "--dir", folder / "state"});
  CHECK(manual.exit_code == 2);
  CHECK(contains(manual.err, "--manual waits for you to press Enter"));
  const Outcome typo = culmen({"issue", "-d", "a.example", "--server", "letsencypt", "--dir", folder / "state"});
  CHECK(contains(typo.err, "Did you mean letsencrypt?"));
  const Outcome bare = culmen({"issue", "-d", "a.example", "--server", "127.0.0.1:1", "--dir", folder / "state"});
  CHECK(contains(bare.err, "Did you mean https://127.0.0.1:1/directory?"));
  const Outcome bad_name = culmen({"issue", "-d", "not a name", "--dir", "/nonexistent"});
  CHECK(bad_name.exit_code == 2);
  CHECK(contains(bad_name.err, "not a name"));
}

TEST_CASE("usage: words of other clients") {
  const struct {
    std::vector<std::string> words;
    const char* hint;
  } known[] = {
      {{"issue", "--dry-run"}, "culmen test -d NAME"},
      {{"edit", "--dry-run"}, "culmen renew --dry-run"},
      {{"issue", "--expand"}, "give all names with -d"},
      {{"issue", "--keylength", "ec-256"}, "--cert-key-type TYPE"},
      {{"issue", "--rsa-key-size", "4096"}, "--cert-key-type TYPE"},
      {{"issue", "--ecc"}, "--cert-key-type TYPE"},
      {{"renew", "--days", "30"}, "a third of the lifetime"},
      {{"issue", "--hook", "x"}, "--deploy-hook PROGRAM"},
      {{"issue", "-q"}, "standard error"},
      {{"edit", "a.example", "--add", "b.example"}, "Give all names with -d"},
      {{"ca", "show", "--server", "x"}, "without an option: culmen ca show"},
      {{"doctor"}, "Did you mean check?"},
      {{"update"}, "Did you mean renew (a newer certificate) or edit (other settings)?"},
      {{"install-cert"}, "Did you mean edit NAME --out FILE"},
      {{"completion"}, "installed with the program"},
  };
  for (const auto& each : known) {
    std::vector<std::string> command = {culmen_path()};
    command.insert(command.end(), each.words.begin(), each.words.end());
    const Outcome outcome = run(command);
    CAPTURE(each.hint);
    CHECK(outcome.exit_code == 2);
    CHECK_MESSAGE(contains(outcome.err, each.hint), outcome.err);
  }
  // Never an option that the command does not have.
  CHECK_FALSE(contains(run({culmen_path(), "renew", "--ecc"}).err, "--cert-key-type"));
  CHECK_FALSE(contains(run({culmen_path(), "delete", "a.example", "--dry-run"}).err, "culmen test"));
}

TEST_CASE("usage: help and version") {
  const Outcome help = run({culmen_path(), "--help"});
  CHECK(help.exit_code == 0);
  for (const char* text : {"issue", "revoke", "account", "test-ca", "Exit codes: 0", "130 interrupted"}) {
    CHECK_MESSAGE(contains(help.out, text), text);
  }
  const Outcome issue = run({culmen_path(), "issue", "--help"});
  for (const char* text : {"--agree-tos", "--preferred-chain", "letsencrypt", "--eab-kid"}) {
    CHECK_MESSAGE(contains(issue.out, text), text);
  }
  CHECK(contains(run({culmen_path(), "--version"}).out, "culmen "));
}

TEST_CASE("test-ca: prints its URL and stops when told to") {
  for (const int how : {SIGTERM, SIGINT}) {
    TestCaProcess ca({"--seed", "7"});
    CHECK(ca.url().starts_with("https://127.0.0.1:"));
    CHECK(contains(contents(ca.root_file()), "BEGIN CERTIFICATE"));
    ca.process().signal(how);
    CHECK(ca.process().wait() == 0);
  }
  const Outcome bad = run({culmen_path(), "test-ca", "--fault", "directory:explode"});
  CHECK(bad.exit_code == 2);
  CHECK(contains(bad.err, "drop-before"));
  CHECK(run({culmen_path(), "test-ca", "--resolve", "nonsense"}).exit_code == 2);
  const TestCaProcess first;
  const std::string port = first.url().substr(18, first.url().find('/', 18) - 18);
  const Outcome taken = run({culmen_path(), "test-ca", "--port", port});
  CHECK(taken.exit_code == 1);
  CHECK(contains(taken.err, port));
}
