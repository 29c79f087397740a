#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <memory>
#include <thread>

#include <doctest/doctest.h>

#include "support/culmen_program.hpp"
#include "support/file_server.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace cli_test;

namespace {

std::string public_key_of(const fs::path& key) { return run({"openssl", "pkey", "-in", key, "-pubout"}).out; }

std::string public_key_of_certificate(const fs::path& certificate) {
  return run({"openssl", "x509", "-in", certificate, "-noout", "-pubkey"}).out;
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("issue: a first certificate with nothing prepared") {
  const TestCaProcess ca({"--chain-length", "2", "--tos", "https://ca.test/terms"});
  const Client client(ca);
  const Outcome issued = client.issue({"a.example", "b.example"});
  INFO(issued.out << issued.err);
  REQUIRE(issued.exit_code == 0);
  CHECK(contains(issued.out, "Made an account: "));
  CHECK(contains(issued.out, "a.example: challenge published"));
  CHECK(contains(issued.out, "due for renewal on "));
  CHECK(issued.err.empty());
  CHECK_FALSE(contains(issued.out, "\033"));

  const fs::path folder = client.certificate("a.example");
  CHECK(fs::read_symlink(folder / "live") == "1");
  CHECK(mode_of(client.state()) == 0700);
  CHECK(mode_of(folder) == 0700);
  CHECK(mode_of(folder / "live/key.pem") == 0600);
  CHECK(mode_of(client.account() / "account.key") == 0600);
  CHECK_FALSE(fs::exists(folder / "pending"));

  const fs::path live = folder / "live";
  CHECK(contents(live / "fullchain.pem") == contents(live / "cert.pem") + contents(live / "chain.pem"));
  const Outcome verified = run({"openssl", "verify", "-CAfile", ca.root_file(), "-untrusted", live / "chain.pem",
                                "-verify_hostname", "b.example", live / "cert.pem"});
  CHECK_MESSAGE(verified.exit_code == 0, verified.err);
  CHECK(public_key_of(live / "key.pem") == public_key_of_certificate(live / "cert.pem"));
}

TEST_CASE("issue: a second run does nothing and --force makes a new generation") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const fs::path folder = client.certificate("a.example");
  const std::string first_key = contents(folder / "live/key.pem");
  const int requests = ca.logged("directory");

  const Outcome again = client.issue({"a.example"});
  CHECK(again.exit_code == 0);
  CHECK(contains(again.out, "Nothing to do"));
  CHECK(contains(again.out, "due for renewal on 20"));
  CHECK(ca.logged("directory") == requests);  // the CA was not bothered

  CHECK(client.issue({"a.example"}, {"--force"}).exit_code == 0);
  CHECK(fs::read_symlink(folder / "live") == "2");
  CHECK(contents(folder / "live/key.pem") != first_key);
  CHECK(contents(folder / "1/key.pem") == first_key);

  CHECK(client.issue({"a.example"}, {"--force"}).exit_code == 0);
  CHECK(fs::read_symlink(folder / "live") == "3");
  CHECK(fs::exists(folder / "2/key.pem"));
  CHECK_FALSE(fs::exists(folder / "1"));
}

TEST_CASE("issue: what makes a certificate due") {
  const TestCaProcess ca({"--lifetime", "8"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  SUBCASE("another name") {
    const Outcome more = client.issue({"a.example", "b.example"});
    CHECK(contains(more.out, "what is wanted has changed"));
    CHECK(fs::read_symlink(client.certificate("a.example") / "live") == "2");
  }
  SUBCASE("another key type") {
    const Outcome rsa = client.issue({"a.example"}, {"--cert-key-type", "rsa:2048"});
    CHECK(contains(rsa.out, "what is wanted has changed"));
    CHECK(contains(run({"openssl", "pkey", "-in", client.certificate("a.example") / "live/key.pem", "-text"}).out,
                   "2048 bit"));
    // Later runs keep the type without being told.
    CHECK(client.issue({"a.example"}, {"--force"}).exit_code == 0);
    CHECK(contains(run({"openssl", "pkey", "-in", client.certificate("a.example") / "live/key.pem", "-text"}).out,
                   "2048 bit"));
  }
  SUBCASE("time: half of a short lifetime") {
    const std::string due = "it has been due since ";
    CHECK(eventually([&] { return contains(client.issue({"a.example"}).out, due); }));
  }
  SUBCASE("a key that is not its own") {
    std::ofstream(client.certificate("a.example") / "live/key.pem") << "";
    const Outcome mended = client.issue({"a.example"});
    CHECK_MESSAGE(mended.exit_code == 0, mended.err);
    CHECK(fs::read_symlink(client.certificate("a.example") / "live") == "2");
  }
  SUBCASE("another server") {
    const TestCaProcess other;
    std::vector<std::string> words =
        client.command(client.issue_words({"a.example"}, {"--http-port", other.http_port()}));
    for (std::string& word : words) {
      if (word == ca.url()) word = other.url();
      if (word == ca.root_file()) word = other.root_file();
    }
    const Outcome moved = run(words);
    CHECK_MESSAGE(moved.exit_code == 0, moved.err);
    CHECK(files_in(client.state() / "accounts") == 2);
  }
}

TEST_CASE("issue: --json") {
  const TestCaProcess ca;
  const Client client(ca);
  const Outcome issued = client.issue({"a.example", "127.0.0.1"}, {"--json"});
  INFO(issued.out << issued.err);
  REQUIRE(issued.exit_code == 0);
  CHECK(std::count(issued.out.begin(), issued.out.end(), '\n') == 1);
  const boost::json::object json = issued.json();
  CHECK(json.at("ok").as_bool());
  CHECK(json.at("command") == "issue");
  CHECK(json.at("exit_code") == 0);
  CHECK(json.at("changed").as_bool());
  CHECK(json.at("names") == boost::json::array{"a.example", "127.0.0.1"});
  CHECK(json.at("key_type") == "ec:P-256");
  CHECK(std::string(json.at("server").as_string()) == ca.url());
  const auto& files = json.at("files").as_object();
  CHECK(contains(contents(std::string(files.at("fullchain").as_string())), "BEGIN CERTIFICATE"));
  const std::string serial = "serial=" + std::string(json.at("serial").as_string());
  const Outcome openssl =
      run({"openssl", "x509", "-noout", "-serial", "-in", std::string(files.at("cert").as_string())});
  std::string expected = openssl.out;
  for (char& c : expected) c = static_cast<char>(std::tolower(c));
  CHECK(expected == serial + "\n");
  CHECK(std::string(json.at("due").as_string()) < std::string(json.at("not_after").as_string()));

  const boost::json::object again = client.issue({"a.example", "127.0.0.1"}, {"--json"}).json();
  CHECK_FALSE(again.at("changed").as_bool());
  CHECK(again.at("serial") == json.at("serial"));

  const Outcome failed = client.issue({"*.a.example"}, {"--json"});
  CHECK(failed.exit_code == 2);
  CHECK_FALSE(failed.json().at("ok").as_bool());
  CHECK(failed.json().at("error").at("code") == "invalid_argument");
  const Outcome unknown_flag = client.issue({"a.example"}, {"--json", "--no-such-flag"});
  CHECK(unknown_flag.exit_code == 2);
  CHECK(unknown_flag.json().at("error").at("code") == "usage");
}

TEST_CASE("issue: --out and --cert-key") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder elsewhere;
  const std::vector<std::string> flags = {"--out", elsewhere / "chain.pem", "--cert-key", elsewhere / "key.pem"};
  REQUIRE(client.issue({"a.example"}, flags).exit_code == 0);
  CHECK(contents(elsewhere / "chain.pem") == contents(client.certificate("a.example") / "live/fullchain.pem"));
  CHECK(contents(elsewhere / "key.pem") == contents(client.certificate("a.example") / "live/key.pem"));
  CHECK(mode_of(elsewhere / "key.pem") == 0600);

  // A key that culmen wrote is replaced with the certificate.
  const std::string key = contents(elsewhere / "key.pem");
  std::vector<std::string> forced = flags;
  forced.push_back("--force");
  REQUIRE(client.issue({"a.example"}, forced).exit_code == 0);
  CHECK(contents(elsewhere / "key.pem") != key);
  CHECK(contents(client.certificate("a.example") / "live/key.pem") == contents(elsewhere / "key.pem"));
  CHECK(contents(elsewhere / "chain.pem") == contents(client.certificate("a.example") / "live/fullchain.pem"));

  // A copy that got lost comes back without the CA.
  fs::remove(elsewhere / "chain.pem");
  const Outcome restored = client.issue({"a.example"}, flags);
  CHECK(contains(restored.out, "Nothing to do"));
  CHECK(contents(elsewhere / "chain.pem") == contents(client.certificate("a.example") / "live/fullchain.pem"));

  // One that was there is used, and never written.
  const std::string own = elsewhere / "own.pem";
  REQUIRE(
      run({"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", own}).exit_code ==
      0);
  std::ofstream(own, std::ios::app) << "a line of somebody else\n";
  const std::string own_text = contents(own);
  const Outcome taken = client.issue({"a.example"}, {"--cert-key", own});
  CHECK_MESSAGE(taken.exit_code == 0, taken.err);
  CHECK(public_key_of(own) == public_key_of_certificate(client.certificate("a.example") / "live/cert.pem"));
  CHECK(contains(client.issue({"a.example"}, {"--cert-key", own}).out, "Nothing to do"));
  CHECK(contents(own) == own_text);

  const Outcome refused = client.issue({"a.example"}, {"--cert-key", own, "--cert-key-type", "ec:P-384"});
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "holds a key of type ec:P-256, not ec:P-384"));
}

TEST_CASE("issue: names of certificates cannot leave the folder") {
  const TestCaProcess ca;
  const Client client(ca);
  for (const char* name : {"../evil", "..", ".", "a/b", ".hidden", "-x", ""}) {
    const Outcome refused = client.issue({"a.example"}, {"--name=" + std::string(name)});
    if (*name == '\0') continue;  // as if not given
    CHECK_MESSAGE(refused.exit_code == 2, name);
    CHECK_MESSAGE(contains(refused.err, "cannot be the name of a certificate"), refused.err);
  }
  CHECK(client.issue({"b.example"}, {"--name", "web"}).exit_code == 0);
  CHECK(fs::exists(client.certificate("web") / "live/key.pem"));
}

TEST_CASE("issue: webroot") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder root;
  const FileServer server(static_cast<std::uint16_t>(std::stoi(ca.http_port())), root.path());
  const Outcome issued = client.issue({"a.example"}, {"--webroot", root.path()});
  CHECK_MESSAGE(issued.exit_code == 0, issued.err);
  CHECK(files_in(root / ".well-known/acme-challenge") == 0);
  CHECK(contains(contents(client.certificate("a.example") / "live/meta.json"), "\"webroot\""));
}

TEST_CASE("issue: --preferred-chain") {
  const TestCaProcess ca({"--alternate-roots", "1"});
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const fs::path live = client.certificate("a.example") / "live";
  const std::string default_chain = contents(live / "chain.pem");
  const Outcome unknown = client.issue({"a.example"}, {"--force", "--preferred-chain", "No Such Root"});
  CHECK(unknown.exit_code == 0);
  CHECK(contains(unknown.err, "the CA offers no chain up to \"No Such Root\""));
  CHECK(contents(live / "chain.pem") == default_chain);

  // … took its default, up to "culmen Test Root 123456": the alternate root has the same label.
  const std::string default_root = "culmen Test Root ";
  const auto label = unknown.err.find(default_root) + default_root.size();
  const std::string alternate =
      "culmen Test Alternate Root 1 " + unknown.err.substr(label, unknown.err.find('"', label) - label);
  const Outcome named = client.issue({"a.example"}, {"--force", "--preferred-chain", alternate});
  CHECK(named.exit_code == 0);
  CHECK_MESSAGE(named.err.empty(), named.err);
  const Outcome topmost = run({"openssl", "x509", "-in", live / "chain.pem", "-noout", "-issuer"});
  CHECK_MESSAGE(contains(topmost.out, alternate), topmost.out);
}

TEST_CASE("issue: terms of service must be agreed to") {
  const TestCaProcess ca({"--tos", "https://ca.test/terms-2026"});
  const Client client(ca);
  const Outcome refused = client.run({"issue", "-d", "a.example", "--http-port", ca.http_port()});
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "https://ca.test/terms-2026"));
  CHECK(contains(refused.err, "--agree-tos"));
  CHECK_FALSE(fs::exists(client.state() / "accounts"));
  CHECK(ca.logged("new-account") == 0);
}

TEST_CASE("issue: the server cannot be used") {
  const TestCaProcess ca;
  const culmen::test::TemporaryFolder state;
  const std::vector<std::string> issue = {culmen_path(), "issue",     "-d",          "a.example",   "--agree-tos",
                                          "--dir",       state / "s", "--http-port", ca.http_port()};
  const auto with = [&issue](std::vector<std::string> more) {
    more.insert(more.begin(), issue.begin(), issue.end());
    return run(more);
  };
  SUBCASE("nobody there") {
    const std::string port = std::to_string(free_port());
    const Outcome outcome = with({"--server", "https://127.0.0.1:" + port + "/directory"});
    CHECK(outcome.exit_code == 3);
    CHECK(contains(outcome.err, "127.0.0.1"));
  }
  SUBCASE("an authority that nobody knows") {
    const Outcome outcome = with({"--server", ca.url()});
    CHECK(outcome.exit_code == 1);
    CHECK(contains(outcome.err, "--server-ca"));
  }
  SUBCASE("a name that is not known") {
    const Outcome outcome = with({"--server", "letsencript"});
    CHECK(outcome.exit_code == 2);
    CHECK(contains(outcome.err, "letsencrypt-staging"));
  }
  SUBCASE("no TLS") {
    const Outcome outcome = with({"--server", "http://acme.example/directory"});
    CHECK(outcome.exit_code != 0);
    CHECK(contains(outcome.err, "http"));
  }
}

TEST_CASE("issue: what the CA refuses") {
  SUBCASE("a name") {
    const TestCaProcess ca({"--block", "bad.example"});
    const Client client(ca);
    const Outcome refused = client.issue({"bad.example"}, {"--json"});
    CHECK(refused.exit_code == 4);
    CHECK(refused.json().at("error").at("code") == "rejected_identifier");
  }
  SUBCASE("a challenge that is not there") {
    const TestCaProcess ca;
    const Client client(ca);
    const culmen::test::TemporaryFolder root;
    const FileServer server(static_cast<std::uint16_t>(std::stoi(ca.http_port())), root.path());
    // The CA looks at its port, where another server says 404.
    const Outcome refused = client.issue({"a.example"}, {"--http-port", std::to_string(free_port()), "--json"});
    CHECK(refused.exit_code == 4);
    CHECK(contains(refused.err, "a.example"));
    const boost::json::object json = refused.json();
    CHECK(json.at("error").at("problems").as_array().size() > 0);
  }
  SUBCASE("a host that it cannot reach") {
    const TestCaProcess ca;
    const Client client(ca);
    const Outcome refused = client.issue({"a.example"}, {"--http-port", std::to_string(free_port()), "--json"});
    CHECK(refused.exit_code == 3);
    CHECK(contains(refused.err, "port 80"));
    CHECK(contains(std::string(refused.json().at("error").at("advice").as_string()), "firewall"));
  }
  SUBCASE("for now: a rate limit says when") {
    const TestCaProcess ca({"--fault", "new-order:status:status=429:type=rateLimited:retry-after=7200:times=100"});
    const Client client(ca);
    const Outcome refused = client.issue({"a.example"}, {"--json"});
    CHECK(refused.exit_code == 3);
    CHECK(refused.json().at("error").at("code") == "rate_limited");
    CHECK(refused.json().at("error").at("retry_after").as_int64() > 7000);
    CHECK(contains(refused.err, "2 h"));
  }
}

TEST_CASE("issue: the port is in use") {
  const TestCaProcess ca;
  const Client client(ca);
  const culmen::test::TemporaryFolder root;
  const FileServer occupied(static_cast<std::uint16_t>(std::stoi(ca.http_port())), root.path());
  const Outcome refused = client.issue({"a.example"});
  CHECK(refused.exit_code != 0);
  CHECK(contains(refused.err, ca.http_port()));
  CHECK(contains(refused.err, "in use"));
  CHECK(contains(refused.err, "(process " + std::to_string(getpid()) + ")"));
}

TEST_CASE("issue: 100 names with rejected nonces") {
  const TestCaProcess ca({"--nonce-reject", "30"});
  const Client client(ca);
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("host" + std::to_string(i) + ".example");
  const Outcome issued = client.issue(names, {"--json"});
  CHECK_MESSAGE(issued.exit_code == 0, issued.err);
  CHECK(issued.json().at("names").as_array().size() == 100);
}

TEST_CASE("issue: Ctrl-C takes the challenge away") {
  const TestCaProcess ca({"--skip-validation", "--pending-polls", "100000", "--retry-after", "1"});
  const Client client(ca);
  const culmen::test::TemporaryFolder root;
  Process process(client.command(client.issue_words({"a.example"}, {"--webroot", root.path(), "--json"})));
  const fs::path challenges = root / ".well-known/acme-challenge";
  REQUIRE(eventually([&] { return fs::exists(challenges) && ca.logged("challenge") > 0; }));
  CHECK(files_in(challenges) == 1);
  process.signal(SIGINT);
  CHECK(process.wait() == 130);
  CHECK(files_in(challenges) == 0);
  CHECK(contains(process.out(), "\"exit_code\":130"));
  CHECK(mode_of(client.account() / "account.key") == 0600);
  CHECK_FALSE(fs::exists(client.certificate("a.example") / "live"));
}

TEST_CASE("issue: Ctrl-C while the server does not answer") {
  const SilentServer silent;
  const culmen::test::TemporaryFolder state;
  Process process({culmen_path(), "issue", "-d", "a.example", "--agree-tos", "--json", "--server", silent.url(),
                   "--dir", state / "s", "--http-port", std::to_string(free_port())});
  REQUIRE(eventually([&] { return silent.has_visitor(); }));
  process.signal(SIGINT);
  CHECK(process.wait() == 130);
  CHECK(contains(process.out(), "\"code\":\"cancelled\""));
}

TEST_CASE("issue: interrupted after finalize the next run goes on with the same key") {
  const TestCaProcess ca({"--processing-polls", "3", "--retry-after", "1"});
  const Client client(ca);
  const fs::path pending_key = client.certificate("a.example") / "pending/key.pem";
  int how = 0;
  SUBCASE("by Ctrl-C") { how = SIGINT; }
  SUBCASE("by kill -9") { how = SIGKILL; }
  std::string key;
  {
    Process process(client.command(client.issue_words({"a.example"})));
    REQUIRE(eventually([&] { return ca.logged("finalize") > 0; }));
    process.signal(how);
    CHECK(process.wait() == (how == SIGKILL ? 128 + SIGKILL : 130));
    REQUIRE(fs::exists(pending_key));
    CHECK(mode_of(pending_key) == 0600);
    key = contents(pending_key);
    CHECK_FALSE(fs::exists(client.certificate("a.example") / "live"));
  }
  const Outcome resumed = client.issue({"a.example"});
  INFO(resumed.out << resumed.err);
  CHECK(resumed.exit_code == 0);
  CHECK(contains(resumed.out, "Resuming the order of an earlier run"));
  CHECK(contents(client.certificate("a.example") / "live/key.pem") == key);
  CHECK(ca.logged("new-order") == 1);
  CHECK(ca.logged("finalize") == 1);
  CHECK_FALSE(fs::exists(client.certificate("a.example") / "pending"));
}

TEST_CASE("issue: an order of an earlier run that is of no use is replaced") {
  const TestCaProcess ca({"--processing-polls", "100000", "--retry-after", "1"});
  const Client client(ca);
  {
    Process process(client.command(client.issue_words({"a.example"})));
    REQUIRE(eventually([&] { return ca.logged("finalize") > 0; }));
    process.signal(SIGKILL);
    process.wait();
  }
  // Other names: the order and its key are for nothing now.
  Process process(client.command(client.issue_words({"a.example", "b.example"})));
  CHECK(eventually([&] { return ca.logged("new-order") == 2; }));
  process.signal(SIGTERM);
  CHECK(process.wait() == 130);
}

TEST_CASE("issue: two at once on one certificate") {
  const TestCaProcess ca({"--skip-validation", "--pending-polls", "100000", "--retry-after", "1"});
  const Client client(ca);
  Process first(client.command(client.issue_words({"a.example"})));
  REQUIRE(eventually([&] { return ca.logged("challenge") > 0; }));
  const Outcome second = client.issue({"a.example"}, {"--http-port", std::to_string(free_port())});
  CHECK(second.exit_code == 3);
  CHECK(contains(second.err, "a.example: another culmen works on it"));
  first.signal(SIGTERM);
  CHECK(first.wait() == 130);
}

TEST_CASE("revoke") {
  const TestCaProcess ca;
  const Client client(ca);
  REQUIRE(client.issue({"a.example"}).exit_code == 0);
  const fs::path live = client.certificate("a.example") / "live";
  SUBCASE("by name, and once more") {
    // Server and roots are known from the certificate.
    const std::vector<std::string> revoke = {culmen_path(), "revoke", "a.example", "--dir", client.state()};
    std::vector<std::string> with_reason = revoke;
    with_reason.insert(with_reason.end(), {"--reason", "superseded"});
    const Outcome first = run(with_reason);
    CHECK_MESSAGE(first.exit_code == 0, first.err);
    CHECK(contains(first.out, "Revoked: a.example"));
    const Outcome second = run(revoke);
    CHECK(second.exit_code == 0);
    CHECK(contains(second.out, "Already revoked"));
    CHECK(ca.logged("revoke-cert") == 2);
    const Outcome replaced = client.issue({"a.example"});
    CHECK_MESSAGE(replaced.exit_code == 0, replaced.err);
    CHECK(fs::read_symlink(live) == "2");
  }
  SUBCASE("by the certificate's own key, without an account") {
    const culmen::test::TemporaryFolder empty;
    const Outcome revoked =
        run({culmen_path(), "revoke", "--cert", live / "cert.pem", "--cert-key", live / "key.pem", "--reason", "1",
             "--server", ca.url(), "--server-ca", ca.root_file(), "--dir", empty / "state", "--json"});
    CHECK_MESSAGE(revoked.exit_code == 0, revoked.err);
    CHECK_FALSE(revoked.json().at("already_revoked").as_bool());
    CHECK_FALSE(fs::exists(empty / "state"));
  }
  SUBCASE("for a key that is compromised: no other certificate for it") {
    const culmen::test::TemporaryFolder folder;
    const std::string key = folder / "own.key";
    fs::copy_file(live / "key.pem", key);
    REQUIRE(client.issue({"b.example"}, {"--cert-key", key}).exit_code == 0);
    const Outcome refused = client.run({"revoke", "b.example", "--reason", "keyCompromise", "--reissue"});
    CHECK(refused.exit_code != 0);
    CHECK(contains(refused.err, "the key that it is to be issued for is compromised"));
    CHECK(ca.logged("revoke-cert") == 1);
    CHECK(ca.logged("new-order") == 2);
    const Outcome other = client.issue({"b.example"}, {"--cert-key", folder / "other.key"});
    CHECK_MESSAGE(other.exit_code == 0, other.err);
    CHECK(ca.logged("new-order") == 3);
  }
  SUBCASE("not with the key of something else") {
    const Outcome refused =
        client.run({"revoke", "--cert", live / "cert.pem", "--cert-key", client.account() / "account.key"});
    CHECK(refused.exit_code == 2);
    CHECK(contains(refused.err, "is not that certificate's"));
    CHECK(ca.logged("revoke-cert") == 0);
  }
  SUBCASE("not for a reason that there is not") {
    for (const char* reason : {"7", "11", "because"}) {
      CHECK(client.run({"revoke", "a.example", "--reason", reason}).exit_code == 2);
    }
    const Outcome unknown = client.run({"revoke", "b.example"});
    CHECK(unknown.exit_code == 2);
    CHECK_FALSE(contains(unknown.err, "Did you mean"));
    CHECK(client.run({"revoke"}).exit_code == 2);
  }
}
