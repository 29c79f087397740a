// culmen issue through the DNS, for onion services, from a CSR: the program itself.
#include <doctest/doctest.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "culmen/certificate.hpp"
#include "culmen/csr.hpp"
#include "culmen/onion.hpp"
#include "support/culmen_program.hpp"
#include "support/dns_server.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"
#include "support/zone_hook.hpp"

using namespace cli_test;
using namespace culmen;

namespace {

std::vector<std::string> options_with(const std::vector<std::string>& more, const test::DnsServer& dns) {
  std::vector<std::string> options = {"--dns-server", dns.address()};
  options.insert(options.end(), more.begin(), more.end());
  return options;
}

/// A DNS server whose zone the hook edits, and a CA that asks it.
struct Bench {
  explicit Bench(const std::vector<std::string>& options = {}) : ca(options_with(options, dns)), client(ca) {
    hook = test::make_zone_hook(folder.path());
    dns.read_zone(folder.path() / "zone");
  }
  Outcome issue(const std::vector<std::string>& names, std::vector<std::string> more) const {
    return client.issue(names, std::move(more));
  }
  int runs(const std::string& action) const {
    std::ifstream log(folder.path() / "log");
    int count = 0;
    for (std::string line; std::getline(log, line);) count += line.starts_with(action + " ");
    return count;
  }

  culmen::test::TemporaryFolder folder;
  test::DnsServer dns;
  TestCaProcess ca;
  Client client;
  std::string hook;
};

/// What a person sits at: a pseudo-terminal whose other end is the program's standard input.
class Terminal {
 public:
  Terminal() : person_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (person_ < 0 || grantpt(person_) != 0 || unlockpt(person_) != 0) throw std::runtime_error("no pseudo-terminal");
  }
  ~Terminal() { hang_up(); }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  std::string path() const { return ptsname(person_); }
  void press(const std::string& keys) const {
    if (write(person_, keys.data(), keys.size()) < 0) throw std::runtime_error("the terminal takes no keys");
  }
  void hang_up() {
    if (person_ >= 0) close(person_);
    person_ = -1;
  }

 private:
  int person_;
};

/// The record that a --manual run asked for last: its name and value.
std::pair<std::string, std::string> asked_record(const std::string& said) {
  const auto word_after = [&said](const std::string& label) {
    const auto at = said.rfind(label);
    if (at == std::string::npos) return std::string();
    const auto start = at + label.size();
    return said.substr(start, said.find('\n', start) - start);
  };
  return {word_after("    name   "), word_after("    value  ")};
}

int occurrences(const std::string& text, const std::string& part) {
  int found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

}  // namespace

TEST_CASE("issue by dns-01 with a hook: apex and wildcard") {
  Bench bench;
  const Outcome issued =
      bench.issue({"example.org", "*.example.org"}, {"--challenge", "dns-01", "--dns-hook", bench.hook});
  INFO(issued.err);
  REQUIRE(issued.exit_code == 0);
  CHECK(bench.runs("present") == 2);
  CHECK(bench.runs("cleanup") == 2);
  CHECK(bench.dns.most_values() == 2);
  CHECK(fs::is_empty(bench.folder.path() / "zone"));
  const std::string meta = contents(bench.client.certificate("example.org") / "live" / "meta.json");
  CHECK(contains(meta, "\"dns_hook\":"));
  CHECK(contains(meta, "\"type\":\"dns-01\""));
}

TEST_CASE("issue by dns-01: a hook that fails is quoted") {
  Bench bench;
  const std::string failing = test::write_script(bench.folder.path() / "failing", "echo the zone is locked\nexit 4\n");
  const Outcome refused = bench.issue({"example.org"}, {"--challenge", "dns-01", "--dns-hook", failing});
  CHECK(refused.exit_code == 1);
  CHECK(contains(refused.err, "exit code 4"));
  CHECK(contains(refused.err, "the zone is locked"));
}

TEST_CASE("renew by dns-01 with the hook that it was issued with") {
  Bench bench;
  const std::vector<std::string> flags = {"--challenge", "dns-01", "--dns-hook",         bench.hook,
                                          "--dns-wait",  "1",      "--dns-hook-timeout", "50"};
  REQUIRE(bench.issue({"example.org", "*.example.org"}, flags).exit_code == 0);
  const std::vector<std::string> renew = {culmen_path(), "renew", "--force", "--dir", bench.client.state().string()};
  const Outcome renewed = run(renew);
  INFO(renewed.err);
  CHECK(renewed.exit_code == 0);
  CHECK(bench.runs("present") == 4);
  CHECK(bench.runs("cleanup") == 4);
  CHECK(fs::is_empty(bench.folder.path() / "zone"));
  const fs::path live = bench.client.certificate("example.org") / "live";
  CHECK(fs::read_symlink(live) == "2");
  CHECK(Certificate::from_pem(contents(live / "cert.pem")).identifiers.size() == 2);
  const std::string meta = contents(live / "meta.json");
  CHECK(contains(meta, "\"dns_hook\":\"" + bench.hook + "\""));
  CHECK(contains(meta, "\"dns_hook_timeout\":50"));
  CHECK(contains(meta, "\"dns_wait\":1"));

  // The hook went away meanwhile: nothing is lost, and it says what is missing.
  fs::remove(bench.hook);
  const Outcome without = run(renew);
  CHECK(without.exit_code == 1);
  CHECK(contains(without.err, bench.hook));
  CHECK(fs::read_symlink(live) == "2");
}

TEST_CASE("issue by dns-01 by hand: each record is shown, and Enter is waited for") {
  Bench bench;
  Terminal terminal;
  Process process(bench.client.command(bench.client.issue_words({"example.org", "*.example.org"},
                                                                {"--challenge", "dns-01", "--manual"})),
                  {}, terminal.path());
  for (int shown = 1; shown <= 2; ++shown) {
    REQUIRE(eventually([&] { return occurrences(process.out(), "Press Enter") == shown || !process.running(); }));
    REQUIRE_MESSAGE(process.running(), process.err());
    const auto [name, value] = asked_record(process.out());
    CHECK(name == "_acme-challenge.example.org");
    CHECK(value.size() == 43);
    std::ofstream(bench.folder.path() / "zone" / name, std::ios::app) << value << "\n";
    terminal.press(shown == 1 ? "\n" : "done\n");
  }
  CHECK(process.wait() == 0);
  INFO(process.err());
  CHECK(bench.dns.most_values() == 2);
  CHECK(occurrences(process.out(), "This record can be removed now") == 2);
  CHECK(contains(contents(bench.client.certificate("example.org") / "live" / "meta.json"), "\"manual\":true"));

  // A timer has no terminal.
  const Outcome renewed = run({culmen_path(), "renew", "--force", "--dir", bench.client.state().string()});
  CHECK(renewed.exit_code == 1);  // nobody typed something wrong
  CHECK(contains(renewed.err, "--dns-hook PROGRAM"));
}

TEST_CASE("issue by dns-01 by hand: a record that is not there, and a terminal that goes away") {
  Bench bench;
  const auto words = bench.client.issue_words({"example.org"}, {"--challenge", "dns-01", "--manual"});
  Terminal hasty;
  Process refused(bench.client.command(words), {}, hasty.path());
  REQUIRE(eventually([&] { return contains(refused.out(), "Press Enter"); }));
  hasty.press("\n");
  CHECK(refused.wait() == 4);
  CHECK(contains(refused.err(), "example.org"));
  CHECK(contains(refused.out(), "This record can be removed now"));

  Terminal leaving;
  Process abandoned(bench.client.command(words), {}, leaving.path());
  REQUIRE(eventually([&] { return contains(abandoned.out(), "Press Enter"); }));
  leaving.hang_up();
  CHECK(abandoned.wait() == 130);
  CHECK(contains(abandoned.err(), "the input ended"));
}

TEST_CASE("issue by dns-account-01 and dns-persist-01") {
  Bench bench({"--dns-account", "--dns-persist", "account-url"});
  Outcome issued = bench.issue({"a.example"}, {"--challenge", "dns-account-01", "--dns-hook", bench.hook});
  INFO(issued.err);
  CHECK(issued.exit_code == 0);
  issued = bench.issue({"b.example", "*.b.example"}, {"--challenge", "dns-persist-01", "--dns-hook", bench.hook});
  INFO(issued.err);
  CHECK(issued.exit_code == 0);
  CHECK(bench.runs("present") == 2);
  CHECK(bench.runs("cleanup") == 1);
  // The record stays: from now on nothing has to be changed.
  issued = bench.issue({"b.example", "*.b.example"}, {"--dns-hook", "", "--force"});
  CHECK(issued.exit_code == 0);
  CHECK(contains(issued.out, "_validation-persist.b.example TXT ca.culmen.example; accounturi="));
  CHECK(bench.runs("present") == 2);
}

TEST_CASE("issue: flags of challenges that do not go together") {
  const TestCaProcess ca;
  const Client client(ca);
  const auto advice = [&](const std::vector<std::string>& flags) {
    const Outcome refused = client.issue({"example.org"}, flags);
    CHECK(refused.exit_code == 2);
    return refused.err;
  };
  CHECK(contains(advice({"--challenge", "dns-01"}), "--dns-hook PROGRAM"));
  CHECK(contains(advice({"--challenge", "http-01", "--dns-hook", "true"}), "--challenge dns-01"));
  CHECK(contains(advice({"--challenge", "dns-01", "--manual"}), "not a terminal"));
  CHECK(contains(advice({"--challenge", "onion-csr-01"}), "--onion-key"));
  CHECK(contains(advice({"--onion-caa", "caa 0 issue \"x\""}), "--onion-key"));
  CHECK(contains(advice({"--challenge", "dns-02"}), "dns-persist-01"));
  CHECK(contains(advice({"--csr", "x"}), "either by -d or by --csr"));
}

TEST_CASE("issue for an onion service with its key in Tor's form or as PEM") {
  const TestCaProcess ca({"--onion", "rfc9799", "--onion-caa-required"});
  const Client client(ca);
  const culmen::test::TemporaryFolder folder;
  const std::string pem = PrivateKey::generate("ed25519").to_pem();
  std::ofstream(folder / "onion.pem") << pem;
  const std::string address = OnionKey::from_pem(pem).address();
  const Outcome issued = client.issue({address, "*." + address},
                                      {"--challenge", "onion-csr-01", "--onion-key", (folder / "onion.pem").string()});
  INFO(issued.err);
  CHECK(issued.exit_code == 0);
  const Outcome other =
      client.issue({address}, {"--name", "other", "--challenge", "onion-csr-01", "--onion-key",
                               (folder / "onion.pem").string(), "--onion-caa", "caa 0 issue \"other.example\""});
  CHECK(other.exit_code == 4);
  CHECK(contains(other.err, "do not let ca.culmen.example issue"));
}

TEST_CASE("issue from a CSR, with a profile, must-staple, an ancestor") {
  Bench bench({"--profile", "classic=as ever", "--profile", "shortlived=six days", "--subdomain-auth"});
  const PrivateKey key = PrivateKey::generate("ec:P-384");
  const Bytes csr = build_csr({"one.example", "two.example"}, key);
  const std::string file = (bench.folder / "request.der").string(), out = (bench.folder / "chain.pem").string();
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(csr.data()), static_cast<std::streamsize>(csr.size()));
  const std::vector<std::string> dns = {"--challenge", "dns-01", "--dns-hook", bench.hook};
  std::vector<std::string> words = {"issue", "--agree-tos", "--csr", file, "--out", out};
  words.insert(words.end(), dns.begin(), dns.end());
  Outcome issued = bench.client.run(words);
  INFO(issued.err);
  REQUIRE(issued.exit_code == 0);
  const Certificate leaf = Certificate::from_pem(contents(out));
  CHECK(leaf.matches(key));
  CHECK(leaf.identifiers.size() == 2);

  words = dns;
  words.insert(words.end(), {"--profile", "shortlived", "--must-staple", "--ancestor", "example.org"});
  issued = bench.issue({"a.example.org", "b.example.org"}, words);
  INFO(issued.err);
  REQUIRE(issued.exit_code == 0);
  const std::string meta = contents(bench.client.certificate("a.example.org") / "live" / "meta.json");
  CHECK(contains(meta, "\"profile\":\"shortlived\""));
  CHECK(contains(meta, "\"must_staple\":\"yes\""));
  CHECK_FALSE(bench.dns.asked().contains("_acme-challenge.a.example.org"));
  CHECK(bench.dns.asked().contains("_acme-challenge.example.org"));
  issued = bench.issue({"a.example.org", "b.example.org"}, words);
  CHECK(contains(issued.out, "Nothing to do"));

  words = dns;
  words.insert(words.end(), {"--profile", "none"});
  const Outcome refused = bench.issue({"c.example.org"}, words);
  CHECK(refused.exit_code != 0);
  CHECK(contains(refused.err, "it has classic, shortlived"));
}
