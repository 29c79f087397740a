// http-01 and tls-alpn-01 for names and addresses: culmen's solvers, and a CA that really connects.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "culmen/certificate.hpp"
#include "culmen/http01_solver.hpp"
#include "culmen/tls_alpn01_solver.hpp"
#include "support/local_ca.hpp"

using namespace culmen;

namespace {

bool has_ipv6() {
  boost::asio::io_context context;
  boost::asio::ip::tcp::acceptor acceptor(context);
  boost::system::error_code failed;
  acceptor.open(boost::asio::ip::tcp::v6(), failed);
  if (!failed) acceptor.bind({boost::asio::ip::address_v6::loopback(), 0}, failed);
  return !failed;
}

TestCaOptions validating(std::uint16_t http_port, std::uint16_t tls_port) {
  TestCaOptions options;
  options.http_port = http_port;
  options.tls_port = tls_port;
  options.resolve["*"] = "127.0.0.1";
  return options;
}

std::vector<Identifier> names_of(const IssuedCertificate& issued) {
  return Certificate::from_pem(issued.chain_pem).identifiers;
}

/// The error of an issuance that must not come to its end.
Error failure_of(blocking::AcmeClient& client, const Account& account, const std::vector<std::string>& names,
                 ChallengeSolver& solver) {
  try {
    client.issue(account, IssueRequest(names), solver);
  } catch (const Error& error) {
    return error;
  }
  FAIL("issued");
  return Error(Errc::invalid_argument, "", "");
}

}  // namespace

TEST_CASE("tls-alpn-01: one name, many names, and again after cleanup()") {
  TlsAlpn01Solver solver(0);
  solver.start_thread();
  LocalCa local(validating(1, solver.port()));
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  CHECK(names_of(client.issue(account, IssueRequest{"one.example"}, solver)) ==
        std::vector<Identifier>{Identifier::dns("one.example")});

  std::vector<std::string> names;
  for (int i = 0; i < 30; ++i) names.push_back("host" + std::to_string(i) + ".example");
  CHECK(names_of(client.issue(account, IssueRequest(names), solver)).size() == 30);

  const std::uint16_t port = solver.port();
  solver.cleanup();
  const Error stopped = failure_of(client, account, {"late.example"}, solver);
  CHECK(std::string(stopped.what()).find("does not listen") != std::string::npos);
  TlsAlpn01Solver again(port);
  again.start_thread();
  CHECK(names_of(client.issue(account, IssueRequest{"again.example"}, again)).size() == 1);
}

TEST_CASE("tls-alpn-01: step by step") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  LocalCa local(validating(1, solver.port()));
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  const Order order = client.new_order(account, std::vector<Identifier>{Identifier::dns("steps.example")});
  const Authorization authorization = client.get_authorization(account, order.authorizations.at(0));
  const Challenge& challenge = authorization.challenge("tls-alpn-01");
  solver.add("steps.example", "dns", account.key_authorization(challenge.token));
  client.trigger_challenge(account, challenge);
  CHECK(client.poll_authorization(account, authorization.url).status == AuthorizationStatus::valid);
}

TEST_CASE("tls-alpn-01: refused when nothing, or the wrong thing, is shown") {
  TlsAlpn01Solver solver(0, "127.0.0.1");
  solver.start_thread();
  LocalCa local(validating(1, solver.port()));
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  const auto showing = [&](const std::string& name, const std::string& key_authorization) {
    return make_solver(
        "tls-alpn-01",
        [&solver, name, key_authorization](const ChallengeContext&) { solver.add(name, "dns", key_authorization); },
        [](const ChallengeContext&) {});
  };
  const auto elsewhere = showing("other.example", "a.b");
  CHECK(std::string(failure_of(client, account, {"unknown.example"}, *elsewhere).what()).find("unrecognized name") !=
        std::string::npos);
  const auto wrong = showing("wrong.example", "token.of-another-account");
  CHECK(std::string(failure_of(client, account, {"wrong.example"}, *wrong).what()).find("not the SHA-256") !=
        std::string::npos);
  CHECK(failure_of(client, account, {"*.wild.example"}, solver).code() == Errc::not_offered);
}

TEST_CASE("IP addresses, by both challenges, IPv4 and IPv6") {
  Http01Solver web(0);
  web.start_thread();
  TlsAlpn01Solver tls(0);
  tls.start_thread();
  LocalCa local(validating(web.port(), tls.port()));
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  for (ChallengeSolver* solver : {static_cast<ChallengeSolver*>(&web), static_cast<ChallengeSolver*>(&tls)}) {
    CAPTURE(std::string(solver->type()));
    CHECK(names_of(client.issue(account, IssueRequest{"127.0.0.1"}, *solver)) ==
          std::vector<Identifier>{Identifier::ip("127.0.0.1")});
    CHECK(names_of(client.issue(account, IssueRequest{"127.0.0.1", "with.example"}, *solver)).size() == 2);
    if (!has_ipv6()) continue;
    // Any text of an address will do; canonical text is what is sent.
    const IssuedCertificate issued = client.issue(account, IssueRequest{"0:0:0:0:0:0:0:1"}, *solver);
    CHECK(names_of(issued) == std::vector<Identifier>{Identifier::ip("::1")});
    CHECK(issued.order.identifiers == std::vector<Identifier>{Identifier("ip", "::1")});
  }
}

TEST_CASE("an address that is not canonical is refused by the CA, as a name and in brackets too") {
  LocalCa local;
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  for (const Identifier& odd :
       {Identifier("ip", "0:0:0:0:0:0:0:1"), Identifier("ip", "2001:DB8::1"), Identifier("ip", "[::1]"),
        Identifier("ip", "127.0.0.01"), Identifier("dns", "127.0.0.1")}) {
    CAPTURE(odd.value);
    try {
      client.new_order(account, std::vector<Identifier>{odd});
      FAIL("ordered");
    } catch (const Error& error) {
      CHECK((error.code() == Errc::malformed || error.code() == Errc::invalid_argument));
    }
  }
  const Order order = client.new_order(account, std::vector<Identifier>{Identifier::ip("2001:db8::1")});
  const Authorization authorization = client.get_authorization(account, order.authorizations.at(0));
  CHECK(authorization.find_challenge("http-01"));
  CHECK(authorization.find_challenge("tls-alpn-01"));
  CHECK_FALSE(authorization.find_challenge("dns-01"));  // RFC 8738 §7
}
