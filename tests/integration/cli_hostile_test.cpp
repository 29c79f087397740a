// CAs that misbehave and state that is damaged, through the built program: it ends, it says what about, it loses
// nothing.
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <boost/json.hpp>

#include "base/base64.hpp"
#include "culmen/certificate.hpp"
#include "support/culmen_program.hpp"
#include "support/program_at_ca.hpp"
#include "support/text.hpp"
#include "support/tiny_server.hpp"

using namespace cli_test;
using culmen::TestCaFault;
using culmen::TestCaFaults;
namespace json = boost::json;

namespace {

/// Whether a terminal takes any of it for more than text.
bool controls_terminal(const std::string& text) {
  const bool control =
      std::any_of(text.begin(), text.end(), [](unsigned char c) { return (c < 0x20 && c != '\n') || c == 0x7f; });
  // U+0080 to U+009F, and the marks that turn text around: U+202A to U+202E, U+2066 to U+2069.
  bool hidden = false;
  for (std::size_t i = 0; i + 2 < text.size(); ++i) {
    const auto octet = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    hidden = hidden || (octet(i) == 0xc2 && octet(i + 1) >= 0x80 && octet(i + 1) < 0xa0);
    hidden = hidden || (octet(i) == 0xe2 && octet(i + 1) == 0x80 && octet(i + 2) >= 0xaa && octet(i + 2) <= 0xae);
    hidden = hidden || (octet(i) == 0xe2 && octet(i + 1) == 0x81 && octet(i + 2) >= 0xa6 && octet(i + 2) <= 0xa9);
  }
  return control || hidden;
}

/// What every end of the program has in common.
void check_end(const Outcome& outcome) {
  INFO(outcome.out << outcome.err);
  CHECK((outcome.exit_code >= 0 && outcome.exit_code <= 4));
  CHECK((outcome.exit_code == 0 || !(outcome.out + outcome.err).empty()));
  CHECK_FALSE(controls_terminal(outcome.out + outcome.err));
  CHECK_FALSE(contains(outcome.err, "internal"));
}

/// As if the last attempt had been long ago. Certificates end at whole seconds, and a new one has to end later.
void forget_attempts(const fs::path& record) {
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  if (!fs::exists(record)) return;
  json::object object = read_object(record);
  object.erase("attempts");
  std::ofstream(record) << json::serialize(object);
}

/// Everything below a folder that is a file and holds a private key.
std::vector<std::string> keys_below(const fs::path& folder) {
  std::vector<std::string> keys;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!fs::is_regular_file(entry.symlink_status())) continue;
    const std::string text = contents(entry.path());
    const std::string begin = "-----BEGIN PRIVATE KEY-----";
    for (auto at = text.find(begin); at != std::string::npos; at = text.find(begin, at + 1))
      keys.push_back(text.substr(at, text.find("-----END", at) - at));
  }
  return keys;
}

bool has(const std::vector<std::string>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/// Text that clears a terminal, writes lines of its own and turns around what follows.
std::string hostile_text() {
  return "x\x1b[2J\x1b]0;owned\x07\nFORGED line\r\xe2\x80\xae\xe2\x81\xa6y\xc2\x9b"
         "31m";
}

/// A CA, by plain HTTP on loopback, that issues what openssl makes of it.
class HostileIssuer {
 public:
  HostileIssuer()
      : server_(culmen::test::answering([this](const culmen::test::Request& request) { return answer(request); })) {
    const Outcome made = run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                              "-nodes", "-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-utf8", "-subj",
                              "/CN=Evil \x1b[31m\xe2\x80\xae"
                              "CA",
                              "-days", "30"});
    REQUIRE_MESSAGE(made.exit_code == 0, made.err);
  }
  std::string url() const { return base() + "/directory"; }

  std::string names = "DNS:a.example";
  std::string refusal;  ///< Of orders, and of who asks about renewals.
  culmen::test::TemporaryFolder folder;

 private:
  std::string base() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }
  static std::string reply(int status, const std::string& body, const std::string& type, const std::string& location) {
    std::string headers = "Content-Type: " + type + "\r\nReplay-Nonce: nonce\r\n";
    if (!location.empty()) headers += "Location: " + location + "\r\n";
    return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           headers + "\r\n" + body;
  }
  std::string order(const char* status) const {
    return json::serialize(json::object{{"status", status},
                                        {"identifiers", {{{"type", "dns"}, {"value", "a.example"}}}},
                                        {"authorizations", json::array{json::value(base() + "/authz")}},
                                        {"finalize", base() + "/finalize"},
                                        {"certificate", base() + "/certificate"}});
  }
  void sign(const std::string& body) {
    const std::string payload(json::parse(body).at("payload").as_string());
    const culmen::Bytes plain = culmen::base::base64url_decode(payload).value();
    const std::string csr(json::parse(std::string(plain.begin(), plain.end())).at("csr").as_string());
    folder.write("csr", culmen::der_to_pem(culmen::base::base64url_decode(csr).value(), "CERTIFICATE REQUEST"));
    folder.write("ext", "subjectAltName=" + names + "\n");
    const Outcome made = run({"openssl", "x509", "-req", "-in", folder / "csr", "-CA", folder / "ca.pem", "-CAkey",
                              folder / "ca.key", "-extfile", folder / "ext", "-days", "20", "-out", folder / "leaf"});
    CHECK_MESSAGE(made.exit_code == 0, made.err);
  }
  std::string answer(const culmen::test::Request& request) {
    const std::string json_type = "application/json";
    if (request.target == "/directory") {
      return reply(200,
                   json::serialize(json::object{{"newNonce", base() + "/nonce"},
                                                {"newAccount", base() + "/account"},
                                                {"newOrder", base() + "/order"},
                                                {"revokeCert", base() + "/revoke"},
                                                {"keyChange", base() + "/key"}}),
                   json_type, "");
    }
    if (request.target == "/nonce") return reply(200, request.method == "HEAD" ? "" : "{}", json_type, "");
    if (request.target == "/account") return reply(201, "{\"status\":\"valid\"}", json_type, base() + "/account/1");
    if (request.target == "/order" && !refusal.empty()) {
      return reply(403,
                   json::serialize(json::object{
                       {"type", "urn:ietf:params:acme:error:" + refusal}, {"detail", refusal}, {"instance", refusal}}),
                   "application/problem+json", "");
    }
    if (request.target == "/order") return reply(201, order("ready"), json_type, base() + "/order/1");
    if (request.target == "/finalize") {
      sign(request.body);
      return reply(200, order("valid"), json_type, base() + "/order/1");
    }
    if (request.target == "/order/1") return reply(200, order("valid"), json_type, "");
    if (request.target == "/certificate")
      return reply(200, contents(folder / "leaf"), "application/pem-certificate-chain", "");
    return reply(404, "{\"type\":\"" + json::serialize(json::string(hostile_text())).substr(1),
                 "application/problem+json", "");
  }

  culmen::test::Server server_;
};

}  // namespace

TEST_CASE("hostile: a certificate that is worse than what is there is not installed, and is not resumed (D9, F1, F2)") {
  ProgramAtCa at;
  REQUIRE(at.issue({"a.example", "b.example"}).exit_code == 0);
  TestCaFaults faults;
  std::string said;
  SUBCASE("a name is missing") {
    faults.missing_name = true;
    said = "does not name b.example";
  }
  SUBCASE("more names than asked for") {
    faults.extra_names = {"evil.example"};
    said = "names";
  }
  SUBCASE("another key") {
    faults.other_public_key = true;
    said = "key";
  }
  SUBCASE("expired") {
    faults.validity = TestCaFaults::Validity::expired;
    said = "clock";
  }
  SUBCASE("not valid yet") {
    faults.validity = TestCaFaults::Validity::not_yet_valid;
    said = "clock";
  }
  SUBCASE("valid at no time") {
    faults.validity = TestCaFaults::Validity::empty;
    said = "never valid";
  }
  at.ca.set_faults(faults);
  const Outcome refused = at.issue({"a.example", "b.example"}, {"--force"});
  check_end(refused);
  CHECK(refused.exit_code != 0);
  CHECK(refused.exit_code != 2);
  CHECK_MESSAGE(contains(refused.err, said), refused.err);
  CHECK(fs::read_symlink(at.certificate("a.example") / "live") == "1");
  // The order is over: once it is time for another attempt, the next run gets a certificate of its own.
  at.ca.set_faults({});
  forget_attempts(at.certificate("a.example") / "record.json");
  const Outcome again = at.issue({"a.example", "b.example"}, {"--force"});
  CHECK_MESSAGE(again.exit_code == 0, again.err);
  CHECK(at.ca.sizes().orders == 3);
}

TEST_CASE("hostile: faults of a CA are never wrong usage, and what is good stays (F10)") {
  struct Victim {
    ProgramAtCa at;
    std::string what, key;
    std::unique_ptr<Process> process;
  };
  for (const auto kind : {TestCaFault::Kind::garbage, TestCaFault::Kind::status}) {
    std::vector<std::unique_ptr<Victim>> victims;  // side by side: retries take their time
    for (const char* resource : {"directory", "new-nonce", "new-order", "order", "authz", "finalize", "certificate"}) {
      auto victim = std::make_unique<Victim>();
      REQUIRE(victim->at.issue({"a.example"}).exit_code == 0);
      victim->what = resource;
      victim->key = contents(victim->at.certificate("a.example") / "live/key.pem");
      TestCaFault fault(resource, kind);
      fault.times = 1000;
      fault.status = 403;
      fault.problem_type = "unauthorized";
      victim->at.ca.plan(fault);
      victim->process =
          std::make_unique<Process>(victim->at.issue_words({"a.example"}, {"--force", "--poll-timeout", "5"}));
      victims.push_back(std::move(victim));
    }
    for (const auto& victim : victims) {
      CAPTURE(victim->what);
      CAPTURE(static_cast<int>(kind));
      Outcome outcome;
      outcome.exit_code = victim->process->wait();
      outcome.out = victim->process->out();
      outcome.err = victim->process->err();
      check_end(outcome);
      CHECK(outcome.exit_code != 2);
      if (outcome.exit_code != 0) CHECK(contents(victim->at.certificate("a.example") / "live/key.pem") == victim->key);
    }
  }
}

TEST_CASE("hostile: text from a CA is text for a terminal and for JSON, also in certificates (D8)") {
  HostileIssuer ca;
  const auto issue = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {culmen_path(), "issue", "--agree-tos", "-d", "a.example", "--http-port", "0", "--server",
                               ca.url(), "--dir", ca.folder / "state"});
    return run(more);
  };
  SUBCASE("the names and the issuer of the certificate") {
    ca.names = "DNS:a.example, DNS:x\x1b[2J\x1b]0;owned\x07\rFORGED";
  }
  SUBCASE("the issuer alone") {}
  SUBCASE("problem documents") { ca.refusal = hostile_text(); }
  for (const bool as_json : {false, true}) {
    const Outcome outcome = issue(as_json ? std::vector<std::string>{"--json"} : std::vector<std::string>());
    check_end(outcome);
    if (as_json) CHECK_NOTHROW(outcome.json());
    std::istringstream lines(outcome.out + outcome.err);
    for (std::string line; std::getline(lines, line);) CHECK_FALSE(line.starts_with("FORGED"));
  }
  for (const char* command : {"list", "status"}) check_end(run({culmen_path(), command, "--dir", ca.folder / "state"}));
  check_end(run({culmen_path(), "revoke", "a.example", "--dir", ca.folder / "state"}));
}

TEST_CASE("hostile: authorizations for names that nobody asked for, or too many, reach no hook (D14)") {
  TestCaFaults faults;
  SUBCASE("another name") { faults.extra_authorizations = {"evil.example"}; }
  SUBCASE("far too many") { faults.extra_authorizations = std::vector<std::string>(5000, "a.example"); }
  ProgramAtCa at;
  at.ca.set_faults(faults);
  const std::string hook = at.folder.write("hook", "#!/bin/sh\necho run >>\"$0.log\"\n");
  fs::permissions(hook, fs::perms::owner_all);
  const Outcome refused = at.issue({"a.example"}, {"--challenge", "dns-01", "--dns-hook", hook});
  check_end(refused);
  CHECK(refused.exit_code != 0);
  CHECK_FALSE(fs::exists(hook + ".log"));
  CHECK(at.requests("authz") < 10);
}

TEST_CASE("damaged state: whatever a file of the state folder is, a command ends, names it, and loses no key") {
  ProgramAtCa at;
  REQUIRE(at.issue({"a.example"}, {"--out", at.folder / "chain.pem"}).exit_code == 0);
  REQUIRE(at.issue({"b.example"}).exit_code == 0);
  const std::string outside = at.folder.write("outside", "not culmen's\n");
  const fs::path whole = at.folder / "whole";
  fs::copy(at.state(), whole, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(whole)) {
    const std::string file = fs::relative(entry.path(), whole);
    const bool is_known = entry.is_regular_file() && !entry.is_symlink() && !contains(file, ".lock");
    if (is_known && !contains(file, "b.example")) files.push_back(file);
  }
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() >= 7);
  const std::vector<std::vector<std::string>> commands = {
      at.issue_words({"a.example"}),
      at.issue_words({"a.example"}, {"--force"}),
      at.issue_words({"c.example"}),
      {culmen_path(), "renew", "--dir", at.state()},
      {culmen_path(), "renew", "--force", "--dir", at.state()},
      {culmen_path(), "revoke", "a.example", "--dir", at.state()},
      {culmen_path(), "status", "--dir", at.state()},
      at.words({"account", "show"}),
  };
  const std::vector<std::string> damages = {
      "cut", "emptied", "noise", "flipped", "a folder", "a pipe", "a link to itself", "a link to another file"};
  std::mt19937 random(20260214);
  const std::size_t accounts = at.ca.sizes().accounts;
  for (const std::string& file : files) {
    for (const std::string& damage : damages) {
      if (file == ".changes" && damage == "a link to another file") continue;  // one's own link: appended to there
      const std::vector<std::string>& command = commands[random() % commands.size()];
      CAPTURE(file);
      CAPTURE(damage);
      CAPTURE(command[1]);
      if (command[2] == "--force") CAPTURE("--force");
      fs::remove_all(at.state());
      fs::copy(whole, at.state(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
      const fs::path path = at.state() / file;
      const std::string before = contents(path);
      const fs::perms mode = fs::status(path).permissions();
      std::string text = before;
      if (damage == "cut") text.resize(random() % text.size());
      if (damage == "emptied") text.clear();
      if (damage == "noise") std::generate(text.begin(), text.end(), [&] { return static_cast<char>(random()); });
      if (damage == "flipped") text[random() % text.size()] ^= static_cast<char>(1 << random() % 7);
      fs::remove(path);
      if (damage == "a folder") {
        fs::create_directory(path);
      } else if (damage == "a pipe") {
        REQUIRE(mkfifo(path.c_str(), 0600) == 0);
      } else if (damage == "a link to itself") {
        fs::create_symlink(path.filename(), path);
      } else if (damage == "a link to another file") {
        fs::create_symlink(outside, path);
      } else {
        std::ofstream(path, std::ios::binary) << text;
        fs::permissions(path, mode);
      }
      const std::vector<std::string> keys = keys_below(at.state());
      const Outcome outcome = run(command);
      check_end(outcome);
      CAPTURE(outcome.exit_code);
      CAPTURE(outcome.out + outcome.err);
      // One flipped bit may be another path or URL, which is nothing that can be seen in the file.
      const bool is_seen = damage != "flipped" || fs::path(file).extension() != ".json";
      if (outcome.exit_code != 0 && is_seen) {
        // The file, or the folder that cannot be used because of it.
        const std::string folder = fs::path(file).parent_path().filename();
        const std::string all = outcome.out + outcome.err;
        CHECK((contains(all, path.filename()) || contains(all, folder) || contains(all, "a.example")));
        CHECK(outcome.exit_code != 2);
      }
      CHECK(contents(outside) == "not culmen's\n");
      CHECK(at.ca.sizes().accounts == accounts);
      // Each key is somewhere still, unless its certificate was replaced by two newer ones.
      const std::vector<std::string> kept = keys_below(at.state());
      for (const std::string& key : keys) CHECK(has(kept, key));
      if (fs::path(file).filename() == "account.key" && fs::is_regular_file(fs::symlink_status(path)) &&
          outcome.exit_code != 0)
        CHECK(contents(path) == text);
    }
  }
}
