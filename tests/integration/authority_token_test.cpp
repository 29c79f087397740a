// tkauth-01 (RFC 9447, RFC 9448): a token authority, culmen's client and the test CA.
#include <doctest/doctest.h>

#include <future>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.hpp"
#include "culmen/asio/acme_client.hpp"
#include "culmen/authority_token.hpp"
#include "culmen/certificate.hpp"
#include "culmen/csr.hpp"
#include "support/errors.hpp"
#include "support/local_ca.hpp"

using namespace culmen;
using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace json = boost::json;

namespace {

/// The service provider code 1234 (RFC 8226 §9).
Identifier numbers() {
  const Bytes der = {0x30, 0x08, 0xa0, 0x06, 0x16, 0x04, 0x31, 0x32, 0x33, 0x34};
  return Identifier::tn_auth_list(der);
}

/// Answers requests for tokens as RFC 9448 §5.5 has it.
struct Authority {
  std::string token(const std::string& request, const TestCa& ca) const {
    const json::object header{{"alg", key.alg()}, {"typ", "JWT"}, {"x5u", "https://ta.example/cert"}};
    const auto expires = std::chrono::floor<std::chrono::seconds>(ca.now() + lifetime).time_since_epoch();
    const json::object claims{
        {"iss", "https://ta.example/"}, {"exp", expires.count()}, {"jti", "1"}, {"atc", json::parse(request)}};
    const std::string input =
        base::base64url_encode(json::serialize(header)) + "." + base::base64url_encode(json::serialize(claims));
    return input + "." + base::base64url_encode(key.sign(as_bytes(input)));
  }
  PrivateKey key = PrivateKey::generate("ec:P-384");
  std::chrono::seconds lifetime = 24h;
};

TestCaOptions trusting(const Authority& authority) {
  TestCaOptions options;
  options.token_authority_key = der_to_pem(authority.key.public_key_der(), "PUBLIC KEY");
  options.token_authority = "https://ta.example/";
  return options;
}

struct Bench {
  Bench() : local(trusting(authority)), client(local.client()), account(registered(client)) {}
  AuthorityTokenSolver solver(const Authority& by, const AccountKey& key, const Identifier& what) {
    return AuthorityTokenSolver([this, &by, key, what](const ChallengeContext& context) {
      proposed = token_authority(context.challenge);
      return by.token(authority_token_request(key, what), local.ca);
    });
  }
  std::string refusal(AuthorityTokenSolver& by) {
    try {
      client.issue(account, IssueRequest({numbers()}), by);
    } catch (const Error& error) {
      CHECK(error.code() == Errc::order_invalid);
      return error.problems().empty() ? std::string(error.what()) : error.problems().back().detail;
    }
    return "issued";
  }
  Authority authority;
  LocalCa local;
  blocking::AcmeClient client;
  Account account;
  std::string proposed;
};

}  // namespace

TEST_CASE("tkauth-01: from a list of numbers to its certificate") {
  Bench bench;
  AuthorityTokenSolver solver = bench.solver(bench.authority, bench.account.key, numbers());
  IssueRequest request({numbers()});
  request.csr_options.jwt_claim_constraints = {0x30, 0x03, 0x02, 0x01, 0x0a};
  const IssuedCertificate issued = bench.client.issue(bench.account, request, solver);
  const Certificate leaf = Certificate::from_pem(issued.chain_pem);
  CHECK(leaf.identifiers == std::vector<Identifier>{numbers()});
  CHECK(leaf.matches(*issued.key));
  CHECK(issued.order.identifiers == std::vector<Identifier>{numbers()});
  CHECK(bench.proposed == "https://ta.example/");

  // From a CSR, whose identifiers are read.
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  IssueRequest from_csr((std::vector<Identifier>()));
  from_csr.csr = build_csr({numbers()}, key);
  CHECK(Certificate::from_pem(bench.client.issue(bench.account, from_csr, solver).chain_pem).matches(key));
}

TEST_CASE("tkauth-01: step by step") {
  Bench bench;
  const Order order = bench.client.new_order(bench.account, {numbers()});
  const Authorization authorization = bench.client.get_authorization(bench.account, order.authorizations.at(0));
  CHECK(authorization.identifier == numbers());
  const Challenge& challenge = authorization.challenge("tkauth-01");
  const std::string token =
      bench.authority.token(authority_token_request(bench.account.key, numbers()), bench.local.ca);
  bench.client.trigger_challenge(bench.account, challenge, "{\"tkauth\":\"" + token + "\"}");
  bench.client.poll_authorization(bench.account, authorization.url);
  const Order ready = bench.client.poll_order(bench.account, order.url);
  const Order done =
      bench.client.finalize(bench.account, ready, build_csr({numbers()}, PrivateKey::generate("ec:P-256")));
  CHECK(Certificate::from_pem(bench.client.download_certificate(bench.account, done.certificate)).identifiers ==
        std::vector<Identifier>{numbers()});
}

TEST_CASE("tkauth-01: awaitable, by hand") {
  Bench bench;
  ClientOptions options;
  options.transport.extra_root_file = bench.local.root->path();
  const std::string token =
      bench.authority.token(authority_token_request(bench.account.key, numbers()), bench.local.ca);
  const auto story = [](std::string url, ClientOptions how, Account who,
                        std::string response) -> asio::awaitable<std::string> {
    AcmeClient client = co_await AcmeClient::connect(url, how);
    std::vector<Identifier> names;
    names.push_back(numbers());
    const Order order = co_await client.new_order(who, names);
    const Authorization authorization = co_await client.get_authorization(who, order.authorizations.at(0));
    const Challenge challenge = authorization.challenge("tkauth-01");
    co_await client.trigger_challenge(who, challenge, response);
    const Order ready = co_await client.poll_order(who, order.url);
    co_return std::string(to_string(ready.status));
  };
  asio::io_context context;
  std::future<std::string> status = asio::co_spawn(
      context, story(bench.local.ca.directory_url(), options, bench.account, "{\"tkauth\":\"" + token + "\"}"),
      asio::use_future);
  context.run_for(60s);
  REQUIRE(status.wait_for(0s) == std::future_status::ready);
  CHECK(status.get() == "ready");
}

TEST_CASE("tkauth-01: a wrong key, another account, another list, a token that has expired") {
  Bench bench;
  const Authority stranger;
  AuthorityTokenSolver by_stranger = bench.solver(stranger, bench.account.key, numbers());
  CHECK(contains(bench.refusal(by_stranger), "has not signed it"));
  AuthorityTokenSolver for_another = bench.solver(bench.authority, AccountKey::generate("ec:P-256"), numbers());
  CHECK(contains(bench.refusal(for_another), "key of another account"));
  AuthorityTokenSolver other_list =
      bench.solver(bench.authority, bench.account.key, Identifier("TNAuthList", "MAigBhYEMTIzNQ"));
  CHECK(contains(bench.refusal(other_list), "another list"));
  bench.authority.lifetime = -1s;
  AuthorityTokenSolver late = bench.solver(bench.authority, bench.account.key, numbers());
  CHECK(contains(bench.refusal(late), "expired"));

  LocalCa plain;
  blocking::AcmeClient client = plain.client();
  const Account account = registered(client);
  CHECK(contains(thrown_by([&] { return client.new_order(account, {numbers()}); }), "unsupported_identifier"));
  TestCaOptions broken;
  broken.token_authority_key = "no key";
  CHECK(contains(thrown_by([&] { return std::make_unique<TestCa>(broken); }), "token authority"));
}
