// What users of ACME clients have run into, through the built program: files, messages, ways out, and what CAs refuse.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "support/culmen_program.hpp"
#include "support/file_server.hpp"
#include "support/program_at_ca.hpp"
#include "support/text.hpp"
#include "support/tiny_server.hpp"

using namespace cli_test;
using culmen::TestCaFault;
using culmen::TestCaFaults;
namespace json = boost::json;

namespace {

struct stat status_of(const fs::path& path) {
  struct stat found {};
  REQUIRE(stat(path.c_str(), &found) == 0);
  return found;
}

std::string serial_of(const fs::path& certificate) {
  return run({"openssl", "x509", "-in", certificate, "-noout", "-serial"}).out;
}

/// A CSR for a.example, and its key beside it.
std::string make_csr(const fs::path& folder, const std::string& subject, const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"openssl",
                                    "req",
                                    "-new",
                                    "-newkey",
                                    "ec",
                                    "-pkeyopt",
                                    "ec_paramgen_curve:P-256",
                                    "-nodes",
                                    "-keyout",
                                    folder / "csr.key",
                                    "-subj",
                                    subject,
                                    "-out",
                                    folder / "a.csr"};
  words.insert(words.end(), more.begin(), more.end());
  REQUIRE(run(words).exit_code == 0);
  return folder / "a.csr";
}

}  // namespace

TEST_CASE("reports: what an operator has set of files that are replaced stays (E2)") {
  const ProgramAtCa at;
  const fs::path chain = at.folder / "chain.pem", key = at.folder / "key.pem";
  REQUIRE(at.issue({"a.example"}, {"--out", chain, "--cert-key", key}).exit_code == 0);
  const fs::path live = at.certificate("a.example") / "live";
  const gid_t group = geteuid() == 0 ? 12345 : getegid();
  const std::vector<fs::path> files = {chain, key, live / "key.pem"};
  for (const fs::path& file : files) {
    REQUIRE(chown(file.c_str(), static_cast<uid_t>(-1), group) == 0);
    fs::permissions(file, static_cast<fs::perms>(0640));
  }
  const std::string before = contents(key);
  REQUIRE(at.renew({"--force"}).exit_code == 0);
  for (const fs::path& file : files) {
    CAPTURE(file);
    CHECK((status_of(file).st_mode & 07777) == 0640);
    CHECK(status_of(file).st_gid == group);
  }
  CHECK(contents(key) != before);  // culmen wrote it, so it is renewed with the certificate
}

TEST_CASE("reports: a certificate may be written to a pipe (E3)") {
  const ProgramAtCa at;
  const std::vector<std::string> words = at.issue_words({"a.example"}, {"--out", "/dev/stdout"});
  std::vector<std::string> piped = {"/bin/sh", "-c", "\"$@\" | cat", "sh"};
  piped.insert(piped.end(), words.begin(), words.end());
  Process process(piped);
  REQUIRE(eventually([&] { return !process.running(); }));
  CHECK(contains(process.out(), "BEGIN CERTIFICATE"));
}

TEST_CASE("reports: a DNS hook that cannot be run is found before the CA is asked, and what is wrong is said (E3)") {
  const ProgramAtCa at;
  std::string hook = at.folder / "hook", said;
  SUBCASE("it is not there") { said = "hook"; }
  SUBCASE("it is not executable") {
    std::ofstream(hook) << "#!/bin/sh\nexit 0\n";
    said = "executable";
  }
  SUBCASE("its lines end as on Windows") {
    std::ofstream(hook) << "#!/bin/sh\r\nexit 0\r\n";
    fs::permissions(hook, fs::perms::owner_all);
    said = "line";
  }
  const Outcome refused = at.issue({"a.example"}, {"--challenge", "dns-01", "--dns-hook", hook});
  CHECK(refused.exit_code == 1);
  CHECK_MESSAGE(contains(refused.err, said), refused.err);
  CHECK(at.ca.sizes().orders == 0);
}

TEST_CASE("reports: no port is wanted when nothing has to be proven (E4)") {
  culmen::TestCaOptions options;
  options.faults.empty_authorization_list = true;
  const ProgramAtCa at(std::move(options));
  const std::uint16_t port = free_port();
  const culmen::test::TemporaryFolder root;
  const FileServer occupied(port, root.path());
  const Outcome issued = at.issue({"a.example"}, {"--challenge", "http-01", "--http-port", std::to_string(port)});
  CHECK_MESSAGE(issued.exit_code == 0, issued.err);
}

TEST_CASE("reports: the same CSR three times is one certificate (E5)") {
  const ProgramAtCa at;
  const std::string csr = make_csr(at.folder.path(), "/CN=a.example", {"-addext", "subjectAltName=DNS:a.example"});
  const std::vector<std::string> words = at.words({"issue", "--agree-tos", "--csr", csr, "--out", at.folder / "a.pem",
                                                   "--http-address", "127.0.0.1", "--http-port", "0"});
  for (int i = 0; i < 3; ++i) CHECK(run(words).exit_code == 0);
  CHECK(at.ca.sizes().orders == 1);
}

TEST_CASE("reports: what is no CSR is told in words of who has the file (E12)") {
  const ProgramAtCa at;
  const std::string csr = make_csr(at.folder.path(), "/CN=a.example", {"-addext", "subjectAltName=DNS:a.example"});
  const std::string pem = contents(csr), key = contents(at.folder / "csr.key");
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  std::string wide = "\xff\xfe";
  for (const char c : pem) wide += {c, '\0'};
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "empty"},
      {key, "private key"},
      {contents(at.certificate("a.example") / "live/cert.pem"), "BEGIN CERTIFICATE"},
      {wide, "UTF-16"},
  };
  for (const auto& [text, said] : cases) {
    const std::string file = at.folder.write("wrong", text);
    const Outcome refused = at.culmen({"issue", "--agree-tos", "--csr", file, "--out", at.folder / "x.pem"});
    CHECK(refused.exit_code != 0);
    CHECK_MESSAGE(contains(refused.err, said), refused.err);
    CHECK_MESSAGE(contains(refused.err, file), refused.err);
    CHECK_FALSE(contains(refused.err, "asn1"));
  }
}

TEST_CASE("reports: contacts, names and URLs that are nearly right are taken, or the mistake is named (E12)") {
  const ProgramAtCa at;
  const Outcome made = at.culmen({"account", "register", "--agree-tos", "--json", "--contact", " ops@example.org ",
                                  "--contact", "a@example.org,b@example.org"});
  CHECK_MESSAGE(made.exit_code == 0, made.err);
  CHECK(made.json().at("contacts") ==
        json::array{"mailto:ops@example.org", "mailto:a@example.org", "mailto:b@example.org"});
  const Outcome bracketed = at.issue({"[::1]"});
  CHECK((bracketed.exit_code == 0 || contains(bracketed.err, "bracket")));
  const std::string url = at.ca.directory_url(), root = at.folder / "root.pem";
  const std::string base = url.substr(0, url.rfind('/') + 1);
  CHECK(contains(run({culmen_path(), "ca", "show", base, "--server-ca", root}).err, "directory URL"));
  CHECK(run({culmen_path(), "ca", "show", "HTTPS" + url.substr(5), "--server-ca", root}).exit_code == 0);
}

TEST_CASE("reports: an account that has ended elsewhere, or whose key is empty, is no dead end (E6)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const fs::path key = fs::directory_iterator(at.state() / "accounts")->path() / "account.key";
  SUBCASE("deactivated from a copy of the state folder") {
    const fs::path other = at.folder / "other";
    fs::copy(at.state(), other, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    REQUIRE(run(at.words({"account", "deactivate"}, other)).exit_code == 0);
    const Outcome refused = at.renew({"--force"});
    CHECK(refused.exit_code != 0);
    CHECK_MESSAGE(contains(refused.err, "culmen account register"), refused.err);
    const Outcome made = at.culmen({"account", "register", "--agree-tos"});
    CHECK_MESSAGE(made.exit_code == 0, made.err);
  }
  SUBCASE("emptied by a power failure") {
    std::ofstream(key, std::ios::trunc) << "";
    const Outcome refused = at.culmen({"account", "show"});
    CHECK(refused.exit_code == 1);
    CHECK_MESSAGE(contains(refused.err, "move it away"), refused.err);
    CHECK_MESSAGE(contains(refused.err, key), refused.err);
    fs::rename(key.parent_path(), at.folder / "away");
    CHECK(at.culmen({"account", "register", "--agree-tos"}).exit_code == 0);
  }
  const Outcome issued = at.issue({"b.example"});
  CHECK_MESSAGE(issued.exit_code == 0, issued.err);
}

TEST_CASE("reports: a proxy's password is in no message, and what no repetition mends is not temporary (E9)") {
  const ProgramAtCa at;
  const auto show = [&](const std::string& proxy, const std::vector<std::string>& environment = {}) {
    std::vector<std::string> words = {culmen_path(),         "ca",          "show",
                                      at.ca.directory_url(), "--server-ca", at.folder / "root.pem"};
    if (!proxy.empty()) words.insert(words.end(), {"--proxy", proxy});
    return run(words, environment);
  };
  const std::string nowhere = std::to_string(free_port());
  const Outcome refused = show("http://user:sekrit@127.0.0.1:" + nowhere);
  CHECK(refused.exit_code != 0);
  CHECK_FALSE(contains(refused.out + refused.err, "sekrit"));
  CHECK(show("foo://x").exit_code == 2);
  const Outcome by_environment = show("", {"https_proxy=http://user:sekrit@127.0.0.1:" + nowhere});
  CHECK(by_environment.exit_code != 0);
  CHECK(contains(by_environment.err, "proxy"));
  CHECK_FALSE(contains(by_environment.err, "sekrit"));
  const culmen::test::Server wants_password(culmen::test::answering([](const culmen::test::Request&) {
    return std::string("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  }));
  const Outcome unauthenticated = show("http://127.0.0.1:" + std::to_string(wants_password.port()));
  CHECK(unauthenticated.exit_code != 0);
  CHECK_MESSAGE(unauthenticated.exit_code != 3, unauthenticated.err);
}

TEST_CASE("reports: a file size limit and a reader that has gone are errors, not signals (E11)") {
  const ProgramAtCa at;
  const auto in_shell = [](const std::string& how, std::vector<std::string> words) {
    words.insert(words.begin(), {"/bin/sh", "-c", how, "sh"});
    return run(words);
  };
  const Outcome limited = in_shell("ulimit -f 0; exec \"$@\"", at.issue_words({"a.example"}));
  CHECK(limited.exit_code == 1);
  const std::string code = at.folder / "code";
  in_shell("{ sleep 1; \"$@\"; echo $? >" + code + "; } | true", {culmen_path(), "ca", "list"});
  REQUIRE(eventually([&] { return !contents(code).empty(); }));
  CHECK(contents(code) == "1\n");
  CHECK(at.issue({"a.example"}).exit_code == 0);
}

TEST_CASE("reports: an account key type that a CA refuses does not stick (F4)") {
  ProgramAtCa at;
  TestCaFault refuses("new-account", TestCaFault::Kind::status);
  refuses.status = 400;
  refuses.problem_type = "badSignatureAlgorithm";
  at.ca.plan(refuses);
  const Outcome refused = at.culmen({"account", "register", "--agree-tos", "--key-type", "ed25519"});
  CHECK(refused.exit_code == 4);
  const Outcome made = at.culmen({"account", "register", "--agree-tos", "--key-type", "ec:P-256", "--json"});
  REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  CHECK(at.culmen({"account", "show", "--json"}).json().at("key_type") == "ec:P-256");
}

TEST_CASE("reports: one file is not two outputs, and the key is not lost (F7)") {
  const ProgramAtCa at;
  const std::string both = at.folder / "both.pem";
  const Outcome refused = at.issue({"a.example"}, {"--cert-key", both, "--out", both});
  CHECK(refused.exit_code == 2);
  CHECK(contains(refused.err, "--combined"));
  CHECK(at.ca.sizes().orders == 0);
}

TEST_CASE("reports: a rate limit's Retry-After is known to the next run (F11)") {
  ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  TestCaFault limited("new-order", TestCaFault::Kind::status);
  limited.status = 429;
  limited.problem_type = "rateLimited";
  limited.retry_after = "180000";
  at.ca.plan(limited);
  CHECK(at.renew({"--force"}).exit_code == 3);
  const int orders = at.requests("new-order");
  const Outcome again = at.renew({"--force"});
  CHECK(again.exit_code != 0);
  CHECK(at.requests("new-order") == orders);
  CHECK_MESSAGE(contains(again.out + again.err, "not before 20"), again.out << again.err);
  // One time, although the program looks at it every day.
  CHECK_FALSE(contains(again.out + again.err, "not due"));
  at.ca.plan(limited);
  CHECK(at.issue({"b.example"}).exit_code == 3);
  const Outcome waits = at.renew({"b.example"});
  const json::object listed = run({culmen_path(), "list", "--json", "--dir", at.state()}).json();
  const std::string time = text(listed.at("certificates").at(1).at("next"));
  CHECK_MESSAGE(contains(waits.out + waits.err, "not before " + time), waits.out << waits.err);
}

TEST_CASE("reports: what a CA ignores of a request is a warning (F12)") {
  culmen::TestCaOptions options;
  options.profiles = {{"short", "for tests"}};
  options.faults.ignore_must_staple = options.faults.ignore_contacts = options.faults.ignore_profile = true;
  const ProgramAtCa at(std::move(options));
  const Outcome made = at.culmen({"account", "register", "--agree-tos", "--contact", "ops@example.org"});
  CHECK(made.exit_code == 0);
  CHECK_MESSAGE(contains(made.err, "contact"), made.err);
  const Outcome issued = at.issue({"a.example"}, {"--must-staple", "--profile", "short"});
  CHECK_MESSAGE(issued.exit_code == 0, issued.err);
  CHECK_MESSAGE(contains(issued.err, "staple"), issued.err);
  CHECK_MESSAGE(contains(issued.err, "profile"), issued.err);
}

TEST_CASE("reports: a certificate that is revoked by its file is known as revoked (F14)") {
  const ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}).exit_code == 0);
  const fs::path live = at.certificate("a.example") / "live";
  const std::string serial = serial_of(live / "cert.pem");
  REQUIRE(at.culmen({"revoke", "--cert", live / "cert.pem"}).exit_code == 0);
  CHECK(contains(at.renew().out, "revoked"));
  CHECK(at.issue({"a.example"}).exit_code == 0);
  CHECK(serial_of(live / "cert.pem") != serial);
}
