// culmen at a CA of smallstep's code. After a validation that failed, its challenge is `pending` with an `error`, and
// its authorization is never `invalid`; it validates once for each POST to the challenge.
#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "culmen/blocking/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/http01_solver.hpp"
#include "support/caddy.hpp"
#include "support/errors.hpp"
#include "support/own_network.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* the_reason = "The server could not connect to validation target";

/// Made before everything that has threads.
struct OwnNetwork {
  OwnNetwork() { server_test::enter_own_network(); }
};

struct AtCaddy {
  OwnNetwork network;
  server_test::Caddy caddy;
  blocking::AcmeClient client{caddy.directory_url(), caddy.client_options()};
  Account account = client.new_account(AccountKey::generate(), AccountOptions());
  Http01Solver solver{80, "127.0.0.1"};

  IssuedCertificate issue(std::chrono::seconds deadline, ChallengeSolver& how) {
    IssueRequest request{"localhost"};
    request.poll_deadline = deadline;
    return client.issue(account, request, how);
  }
};

}  // namespace

TEST_CASE("Caddy: a certificate by http-01") {
  AtCaddy at;
  at.solver.start_thread();
  const IssuedCertificate issued = at.issue(20s, at.solver);
  const Certificate leaf = Certificate::from_pem(issued.chain_pem);
  CHECK(leaf.identifiers == std::vector<Identifier>{Identifier::dns("localhost")});
  REQUIRE(issued.key.has_value());
  CHECK(leaf.matches(*issued.key));
}

TEST_CASE("Caddy: a validation that failed leaves the authorization pending, with the reason") {
  AtCaddy at;
  const Order order = at.client.new_order(at.account, std::vector<Identifier>{Identifier::dns("localhost")});
  const std::string url = order.authorizations.at(0);
  at.client.trigger_challenge(at.account, at.client.get_authorization(at.account, url).challenge("http-01"));
  const Authorization looked_at = at.client.get_authorization(at.account, url);
  CHECK(looked_at.status == AuthorizationStatus::pending);
  const Challenge& challenge = looked_at.challenge("http-01");
  CHECK(challenge.status == ChallengeStatus::pending);
  REQUIRE(challenge.error.has_value());
  CHECK(challenge.error->detail == the_reason);
}

// It leaves the authorization and the challenge pending for ever, with the reason in the challenge.
TEST_CASE("Caddy: nobody listens on port 80, and the error says so") {
  AtCaddy at;
  const auto nobody = make_solver(
      "http-01", [](const ChallengeContext&) {}, [](const ChallengeContext&) {});
  const Clock::time_point begun = Clock::now();
  const std::string thrown = thrown_by([&] { return at.issue(60s, *nobody); });
  CAPTURE(thrown);
  CHECK(contains(thrown, "localhost"));
  CHECK(contains(thrown, the_reason));
  CHECK(Clock::now() - begun < 30s);  // far from the deadline: the challenge was posted again three times, in 7 s
}

TEST_CASE("Caddy: the port opens a second after the first validation failed") {
  AtCaddy at;
  std::thread opening;
  const auto late = make_solver(
      "http-01",
      [&](const ChallengeContext& challenge) {
        at.solver.add(challenge.token, challenge.key_authorization);
        opening = std::thread([&at] {
          std::this_thread::sleep_for(1s);
          at.solver.start_thread();
        });
      },
      [](const ChallengeContext&) {});
  const std::string thrown = thrown_by([&] { return at.issue(10s, *late); });
  if (opening.joinable()) opening.join();
  CHECK(thrown == "(nothing thrown)");
}
