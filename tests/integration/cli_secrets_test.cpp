// What the program shows and passes on: no password or key, however it was spelled; text that programs can read.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "cli/json_object.hpp"
#include "cli/secrets.hpp"
#include "support/culmen_program.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;
using namespace culmen::cli;

namespace {

/// Spellings of a storage with a password; "RET" and "PW" are parts of it.
const std::vector<std::string> storages_with_password = {
    "postgresql://u:RETPW@127.0.0.1:1/x",
    "postgres://u:RETPW@127.0.0.1:1,127.0.0.2:1/x",
    "postgresql://u:SEC@RET/PW?x@127.0.0.1:1/x",
    "postgresql://u:SEC@RET/PW@127.0.0.1:1/x",
    "postgresql://u:SEC@RET?user=PW@127.0.0.1:1/x",
    "postgresql://u:a/RETPW@127.0.0.1:1/x",
    "postgresql://u:1/RETPW@127.0.0.1:1/x",
    "postgresql://u:RETPW",
    "postgresql://u:a#RETPW@127.0.0.1:1/x",
    "postgresql://u:%52ETPW%40@127.0.0.1:1/x",
    "postgresql:///x?host=127.0.0.1&port=1&user=u&password=RETPW",
    "postgresql:///x?host=127.0.0.1&port=1&user=u&PASSWORD=RETPW",
    "postgresql:///x?host=127.0.0.1&port=1&sslpassword=RETPW",
    "postgresql:///x?host=127.0.0.1&port=1&pass%77ord=RETPW",
    "postgresql:///x?host=127.0.0.1&port=1&passwort=RETPW",
    "postgresql:///x?host=127.0.0.1&port=1;password=RETPW",
    "postgresql:/u:RETPW@127.0.0.1:1/x",
    "POSTGRESQL://u:RETPW@127.0.0.1:1/x",
    "mysql://u:RETPW@127.0.0.1:1/x",
    "host=127.0.0.1 port=1 password=RETPW",
    "password = RETPW",
    "PASSWORD='RETPW' host=127.0.0.1",
    "file://u:RETPW@h/x",
    "u:RETPW@127.0.0.1/x",
};

bool shows_secret(const std::string& text) {
  return contains(text, "RET") || contains(text, "PW") || contains(text, "52ET");
}

}  // namespace

TEST_CASE("secrets: a storage is shown without its password, in any spelling") {
  for (const std::string& url : storages_with_password) {
    CAPTURE(url);
    CHECK_MESSAGE(!shows_secret(shown_url(url)), shown_url(url));
    CHECK(has_password(url) == url.starts_with("postgres"));
  }
  CHECK(shown_url("postgresql://u:RETPW@h/x?sslmode=require") == "postgresql://u:***@h/x?sslmode=require");
  for (const std::string url : {"file:/var/lib/culmen", "file:///var/x@y:z", "file:relative", "/var/lib/culmen",
                                "postgresql://culmen@db.example/culmen",
                                "postgresql://u@[::1]:5432,h/x?passfile=/home/me@work/pgpass&sslmode=verify-full",
                                "postgresql:///x?host=/run/pg"}) {
    CAPTURE(url);
    CHECK(shown_url(url) == url);
    CHECK_FALSE(has_password(url));
  }
}

TEST_CASE("secrets: a server is shown without user and password, and words without values") {
  for (const std::string url : {"https://u:RETPW@127.0.0.1:1/d", "https://u:a/RETPW@h/d", "https://u:1/RETPW@h/d",
                                "u:RETPW@h", "https://u:RETPW", "https://RETPW:@h/d", "HTTPS://u:SEC@RETPW@h/d"}) {
    CAPTURE(url);
    CHECK_MESSAGE(!shows_secret(shown_server(url)), shown_server(url));
  }
  for (const std::string url :
       {"https://ca.example:14000/dir?x", "http://[::1]:1/d", "letsencrypt", "letsencrypt-staging"})
    CHECK(shown_server(url) == url);
  for (const std::string word :
       {"--eab_key=RETPW", "-kRETPW", "--x=RETPW=", "postgresql://u:RETPW@h/x", "password=RETPW", "u:RETPW@h"}) {
    CAPTURE(word);
    CHECK_MESSAGE(!shows_secret(shown_word(word)), shown_word(word));
  }
  for (const std::string word : {"--emial", "-x", "isue", "a.example"}) CHECK(shown_word(word) == word);
}

TEST_CASE("secrets: no command shows one in its messages") {
  const culmen::test::TemporaryFolder folder;
  const std::string state = (folder / "state").string(), other = "file:" + (folder / "other").string();
  fs::create_directories(state);
  std::vector<std::vector<std::string>> commands = {
      {"issue", "-d", "a.test", "--eab-kid", "x", "--eab_key=RETPW", "--dir", state},
      {"issue", "-d", "a.test", "--agree-tos", "--server", "https://u:RETPW@127.0.0.1:1/d", "--dir", state},
      {"issue", "-d", "a.test", "--agree-tos", "--server", "https://u:a/RETPW@127.0.0.1:1/d", "--dir", state},
      {"ca", "show", "--server", "https://127.0.0.1:1/d", "--proxy", "http://u:RETPW@127.0.0.1:1"},
      {"ca", "show", "--server", "https://127.0.0.1:1/d", "--proxy", "http://u:RETPW"},
      {"storage", "list", "x", "postgresql://u:RETPW@127.0.0.1:1/x", "--dir", state},
  };
  for (const std::string& url : storages_with_password) {
    commands.push_back({"storage", "copy", url, other});
    commands.push_back({"storage", "init", url, "--dir", state});
  }
  commands.push_back({"storage", "check", "--dir", state, "--storage", "host=127.0.0.1 port=1 password=RETPW"});
  for (std::vector<std::string> words : commands) {
    CAPTURE(words.at(0) + " " + words.at(1) + " " + words.at(2));
    words.insert(words.begin(), culmen_path());
    const Outcome outcome = run(words);
    CHECK(outcome.exit_code != 0);
    CHECK_MESSAGE(!shows_secret(outcome.out + outcome.err), outcome.out << outcome.err);
  }
  const Outcome installed =
      run({culmen_path(), "install", "timer", "--print-only", "--dir", state}, {"https_proxy=http://u:RETPW@h:1\n"});
  CHECK(installed.exit_code == 2);
  CHECK_MESSAGE(!shows_secret(installed.out + installed.err), installed.err);
  CHECK(contains(installed.err, "https_proxy"));
}

TEST_CASE("paths that are not UTF-8 are refused before the CA is asked, and JSON is valid in any case") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string odd = (folder /
                           "o\xff"
                           "x")
                              .string(),
                    line_break = (folder / "a\nb").string();
  for (const std::string& path : {odd, line_break}) {
    for (const char* flag : {"--out", "--combined", "--cert-key", "--account-key"}) {
      CAPTURE(flag);
      const Outcome refused = client.issue({"a.example"}, {flag, path, "--json"});
      CHECK(refused.exit_code == 2);
      CHECK(refused.json().at("exit_code").as_int64() == 2);
    }
    fs::create_directories(path + "-dir");
    const Outcome status = run({culmen_path(), "status", "--json", "--dir", path + "-dir"});
    CHECK(status.exit_code == 2);
    CHECK(status.json().at("exit_code").as_int64() == 2);
  }
  CHECK(client.issue({"a.example"}, {"--preferred-chain", "x\xff"}).exit_code == 2);
  CHECK(ca.logged("new-order") == 0);
  CHECK_FALSE(fs::exists(client.state() / "local/deploy/a.example.json"));
  const Outcome not_there = client.run({"revoke", "--cert", odd, "--agree-tos", "--json"});
  CHECK(not_there.exit_code != 0);
  CHECK(culmen::cli::is_utf8(not_there.out));

  // What turns the direction of text is escaped.
  const std::string turned = (folder / "t\u202egp.pem").string();
  const Outcome issued = client.issue({"a.example"}, {"--out", turned, "--json"});
  INFO(issued.out << issued.err);
  REQUIRE(issued.exit_code == 0);
  CHECK(fs::exists(turned));
  const Outcome units =
      run({culmen_path(), "install", "timer", "--print-only", "--json", "--dir", (folder / "t\u202e").string()});
  CHECK_FALSE(contains(units.out + units.err, "\u202e"));
  CHECK(contains(units.out, "\\u202e"));
  fs::remove(turned);
  const Outcome again = client.issue({"a.example"});
  CHECK(fs::exists(turned));  // the settings have the path as it is
  CHECK_FALSE(contains(again.out + again.err, "\u202e"));
}

TEST_CASE("output that is lost is exit code 1, whichever streams are closed") {
  const std::string program = culmen_path();
  for (const char* closed : {">&-", "<&- >&- 2>&-", ">/dev/full"}) {
    CAPTURE(closed);
    CHECK(run({"sh", "-c", "\"$0\" --version " + std::string(closed), program}).exit_code == 1);
  }
  CHECK(run({"sh", "-c", "timeout 20 \"$0\" test-ca >/dev/full", program}).exit_code == 1);
}
