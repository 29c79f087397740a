// onion-csr-01 in both forms, CAA at finalize, and authorizations for names below (RFC 9799, RFC 9444), end to end.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/dns_solver.hpp"
#include "culmen/engine.hpp"
#include "culmen/onion.hpp"
#include "culmen/test_ca.hpp"
#include "support/dns_server.hpp"
#include "support/errors.hpp"
#include "support/local_ca.hpp"
#include "support/temporary_folder.hpp"
#include "support/text.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

struct OnionBench {
  explicit OnionBench(const TestCaOptions& options)
      : ca(options),
        client(directory_url(), trusting()),
        account(registered(client)),
        key(OnionKey::from_pem(PrivateKey::generate("ed25519").to_pem())) {}

  std::string directory_url() {
    ca.start();
    return ca.directory_url();
  }
  ClientOptions trusting() const {
    ClientOptions options;
    options.transport.extra_root_file = folder.write("root.pem", ca.root_pem());
    return options;
  }
  std::vector<Identifier> issue(const IssueRequest& request, ChallengeSolver& solver) {
    std::vector<Identifier> covered =
        Certificate::from_pem(client.issue(account, request, solver).chain_pem).identifiers;
    std::ranges::sort(covered);
    return covered;
  }
  std::string refusal(const IssueRequest& request, ChallengeSolver& solver) {
    try {
      client.issue(account, request, solver);
    } catch (const Error& error) {
      return with_problems(error);
    }
    return "none";
  }

  test::TemporaryFolder folder;
  TestCa ca;
  blocking::AcmeClient client;
  Account account;
  OnionKey key;
};

TestCaOptions with_onion(TestCaOptions::Onion form, bool caa_required = false) {
  TestCaOptions options;
  options.onion = form;
  options.onion_caa_required = caa_required;
  return options;
}

IssueRequest request_for(const std::string& name) { return IssueRequest(std::vector<std::string>{name}); }

}  // namespace

TEST_CASE("onion-csr-01 of RFC 9799: the service, names below and wildcards") {
  OnionBench bench(with_onion(TestCaOptions::Onion::rfc9799));
  OnionSolver solver(bench.key);
  const std::string address = bench.key.address();
  const std::vector<std::string> names = {address, "www." + address, "*." + address};
  CHECK(bench.issue(IssueRequest(names), solver).size() == 3);

  OnionSolver stranger(OnionKey::from_pem(PrivateKey::generate("ed25519").to_pem()));
  CHECK(contains(bench.refusal(request_for(address), stranger), "not_offered"));
  std::string mistyped = address;
  mistyped[5] = mistyped[5] == 'a' ? 'b' : 'a';
  CHECK(contains(bench.refusal(request_for(mistyped), solver), "checksum is wrong"));
}

TEST_CASE("onion-csr-01 by hand: trigger_challenge_onion, and what the CA makes of wrong CSRs") {
  OnionBench bench(with_onion(TestCaOptions::Onion::rfc9799));
  const auto outcome = [&](const std::function<Bytes(const std::string& nonce)>& csr) {
    const Order order = bench.client.new_order(bench.account, {Identifier::onion(bench.key.address())});
    const Authorization authorization = bench.client.get_authorization(bench.account, order.authorizations.at(0));
    const Challenge& challenge = authorization.challenge("onion-csr-01");
    CHECK(authorization.challenges.size() == 1);
    CHECK(challenge.token.empty());
    const std::string start = "\"nonce\":\"";
    const std::size_t at = challenge.json.find(start) + start.size();
    const std::string nonce = challenge.json.substr(at, challenge.json.find('"', at) - at);
    bench.client.trigger_challenge_onion(bench.account, challenge.url, csr(nonce));
    try {
      bench.client.poll_authorization(bench.account, order.authorizations.at(0));
      return std::string("valid");
    } catch (const Error& error) {
      return error.problems().empty() ? std::string(error.what()) : error.problems().at(0).detail;
    }
  };
  const OnionKey other = OnionKey::from_pem(PrivateKey::generate("ed25519").to_pem());
  CHECK(outcome([&](const std::string& nonce) { return build_onion_csr_rfc9799(nonce, bench.key); }) == "valid");
  CHECK(contains(outcome([&](const std::string& nonce) { return build_onion_csr_rfc9799(nonce, other); }),
                 "its key is not the one in the address"));
  CHECK(contains(
      outcome([&](const std::string&) { return build_onion_csr_rfc9799("AAECAwQFBgcICQoLDA0ODw==", bench.key); }),
      "its nonce is not the challenge's"));
  CHECK(contains(
      outcome([&](const std::string&) { return build_onion_csr(bench.key.address(), "token.thumbprint", bench.key); }),
      "lacks one of the two nonces"));
  CHECK(contains(outcome([&](const std::string& nonce) {
                   Bytes csr = build_onion_csr_rfc9799(nonce, bench.key);
                   csr.back() ^= 1;
                   return csr;
                 }),
                 "does not prove control"));
}

TEST_CASE("onion-csr-01 with a token") {
  OnionBench bench(with_onion(TestCaOptions::Onion::token));
  OnionSolver solver(bench.key);
  CHECK(bench.issue(request_for(bench.key.address()), solver).size() == 1);
  CHECK(bench.issue(request_for("www." + bench.key.address()), solver).size() == 1);
  CHECK(contains(bench.refusal(request_for("*." + bench.key.address()), solver), "rejected_identifier"));
}

TEST_CASE("the identifier type onion: for servers that want it, by a switch") {
  TestCaOptions options = with_onion(TestCaOptions::Onion::token);
  options.onion_type = true;
  OnionBench bench(options);
  OnionSolver solver(bench.key);
  IssueRequest request = request_for("www." + bench.key.address());
  CHECK(contains(bench.refusal(request, solver), "unsupported_identifier"));
  request.onion_identifier_type = "onion";
  CHECK(bench.issue(request, solver) == std::vector{Identifier::dns("www." + bench.key.address())});

  OrderRequest ordered({Identifier::onion(bench.key.address())});
  ordered.onion_identifier_type = "onion";
  const Order order = bench.client.new_order(bench.account, ordered);
  CHECK(order.identifiers == std::vector{Identifier::onion(bench.key.address())});
  const Authorization authorization = bench.client.get_authorization(bench.account, order.authorizations.at(0));
  CHECK(authorization.identifier.type == "dns");

  OnionBench usual(with_onion(TestCaOptions::Onion::token));
  CHECK(contains(usual.refusal(request, solver), "unsupported_identifier"));
}

TEST_CASE("CAA of onion services at finalize") {
  OnionBench bench(with_onion(TestCaOptions::Onion::rfc9799, true));
  CHECK(bench.client.directory().meta.onion_caa_required);
  OnionSolver solver(bench.key);
  const std::string address = bench.key.address();
  const auto now = std::chrono::system_clock::now();
  const auto outcome = [&](const OnionCaa& caa, const std::string& name) {
    IssueRequest request = request_for(name);
    request.onion_caa.push_back(caa);
    return bench.refusal(request, solver);
  };
  CHECK(contains(bench.refusal(request_for(address), solver), "onion_caa_required"));
  CHECK(outcome(sign_onion_caa(bench.key, std::nullopt, now + 7h), address) == "none");
  CHECK(outcome(sign_onion_caa(bench.key, std::nullopt, now + 7h), "www." + address) == "none");
  CHECK(outcome(sign_onion_caa(bench.key,
                               "caa 128 issue \"ca.culmen.example; validationmethods=onion-csr-01\"\n"
                               "caa 0 iodef \"mailto:ops@example.com\"",
                               now + 1h),
                address) == "none");
  CHECK(contains(outcome(sign_onion_caa(bench.key, "caa 0 issue \"other.example\"", now + 1h), address), "caa: "));
  CHECK(contains(outcome(sign_onion_caa(bench.key, "caa 0 issue \";\"", now + 1h), address), "caa: "));
  CHECK(contains(outcome(sign_onion_caa(bench.key, "caa 128 future \"x\"", now + 1h), address), "critical"));
  CHECK(contains(
      outcome(sign_onion_caa(bench.key, "caa 0 issue \"ca.culmen.example; validationmethods=dns-01\"", now + 1h),
              address),
      "caa: "));
  CHECK(contains(outcome(sign_onion_caa(bench.key, "caa 0 issuewild \";\"", now + 1h), "*." + address), "caa: "));
  CHECK(outcome(sign_onion_caa(bench.key, "caa 0 issuewild \";\"", now + 1h), address) == "none");
  CHECK(contains(outcome(sign_onion_caa(bench.key, std::nullopt, now + 9h), address), "next 8 hours"));
  CHECK(contains(outcome(sign_onion_caa(bench.key, std::nullopt, now - 1h), address), "next 8 hours"));
  OnionCaa forged = sign_onion_caa(bench.key, "caa 0 issue \"other.example\"", now + 1h);
  forged.caa.reset();
  CHECK(contains(outcome(forged, address), "signature of onionCAA"));
}

TEST_CASE("a CA that does not issue for onion services says so") {
  OnionBench bench((TestCaOptions()));
  OnionSolver solver(bench.key);
  CHECK(contains(bench.refusal(request_for(bench.key.address()), solver), "rejected_identifier"));
}

TEST_CASE("names below a domain are authorized at the domain (RFC 9444)") {
  test::DnsServer dns;
  TestCaOptions options;
  options.dns_server = dns.address();
  options.subdomain_auth = true;
  OnionBench bench(options);
  const auto provider =
      make_dns_provider([&](const std::string& name, const std::string& value) { dns.add_txt(name, value); },
                        [&](const std::string& name, const std::string& value) { dns.remove_txt(name, value); });
  DnsSolver solver(*provider);
  const std::vector<std::string> names = {"a.deep.example.org", "b.example.org"};
  IssueRequest request(names);
  request.ancestor_domains["a.deep.example.org"] = "example.org";
  request.ancestor_domains["b.example.org"] = "example.org";
  CHECK(bench.issue(request, solver).size() == 2);
  CHECK(dns.asked() == std::set<std::string>{"_acme-challenge.example.org"});
  CHECK(dns.most_values() == 1);

  // Ahead of the order.
  Authorization ahead = bench.client.run(
      engine::new_authorization(bench.client.session(), bench.account, Identifier::dns("other.example"), true));
  CHECK(ahead.subdomain_auth_allowed);

  request.ancestor_domains["b.example.org"] = "ample.org";
  CHECK(contains(bench.refusal(request, solver), "ample.org is not a parent domain of b.example.org"));
  request.ancestor_domains.erase("b.example.org");
  request.ancestor_domains["c.example.org"] = "example.org";
  CHECK(contains(bench.refusal(request, solver), "which is not ordered"));

  OnionBench without((TestCaOptions()));
  IssueRequest one = request_for("a.example.org");
  one.ancestor_domains["a.example.org"] = "example.org";
  CHECK(contains(without.refusal(one, solver), "not_offered"));
}

TEST_CASE("profiles, must-staple, a CSR and a key from elsewhere") {
  TestCaOptions options;
  options.skip_validation = true;
  options.profiles = {{"classic", "as ever"}, {"shortlived", "six days"}};
  OnionBench bench(options);
  const auto solver = make_solver("dns-01", {}, {});
  IssueRequest request = request_for("example.org");
  request.profile = "shortlived";
  request.csr_options.must_staple = true;
  request.key = PrivateKey::generate("ec:P-384");
  const IssuedCertificate issued = bench.client.issue(bench.account, request, *solver);
  CHECK(issued.order.profile == "shortlived");
  const Certificate leaf = Certificate::from_pem(issued.chain_pem);
  CHECK(leaf.matches(*request.key));
  const Bytes status_request = {0x06, 0x08, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x18};
  const auto found = std::search(leaf.der.begin(), leaf.der.end(), status_request.begin(), status_request.end());
  CHECK(found != leaf.der.end());
  request.profile = "none";
  CHECK(contains(bench.refusal(request, *solver), "it has classic, shortlived"));

  const PrivateKey elsewhere = PrivateKey::generate("ed25519");
  IssueRequest by_csr((std::vector<Identifier>()));
  by_csr.csr = build_csr({"one.example", "two.example"}, elsewhere);
  const IssuedCertificate from_csr = bench.client.issue(bench.account, by_csr, *solver);
  CHECK_FALSE(from_csr.key.has_value());
  CHECK(Certificate::from_pem(from_csr.chain_pem).matches(elsewhere));
}
