// issue() against a scripted CA: what it asks for, and what becomes of it when any one ask goes wrong.
#include <doctest/doctest.h>

#include <algorithm>

#include "support/issue_run.hpp"

using namespace culmen;
using namespace culmen::test;

TEST_CASE("issue: one name and a new account asks no more than the protocol needs") {
  Run run({"example.com"});
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_MESSAGE(issued.has_value(), (issued ? "" : issued.error().what()));
  CHECK(run.ca.log == std::vector<std::string>{"GET /dir", "HEAD /nonce", "POST /new-account", "POST /new-order",
                                               "POST /authz/0", "POST /chall/0", "POST /order/1", "POST /finalize/1",
                                               "POST /cert/1"});
  CHECK(run.kept_orders == std::vector<std::string>{"https://ca.test/order/1"});
  REQUIRE(issued->key.has_value());
  CHECK(Certificate::from_pem(issued->chain_pem).matches(*issued->key));
  CHECK(issued->chain_pem.find('\r') == std::string::npos);
  check_nothing_lost(run);
}

TEST_CASE("issue: the key is made and stored while the CA validates, and that time counts") {
  Run run({"example.com"});
  REQUIRE(run.go().has_value());
  using Step = IssueProgress::Step;
  CHECK(run.steps == std::vector<Step>{Step::order_created, Step::presented, Step::triggered, Step::key_ready,
                                       Step::validated, Step::finalized, Step::downloaded});
  Run slow({"example.com"});
  slow.request.keep_key = [&slow](const PrivateKey& key) {
    slow.kept_keys.push_back(key);
    slow.driver.time.steady += std::chrono::seconds(3);
  };
  REQUIRE(slow.go().has_value());
  CHECK(slow.driver.waited < run.driver.waited);
  check_nothing_lost(slow);
}

TEST_CASE("issue: a key type that cannot be is said before the CA is asked for anything") {
  for (const std::string type : {"rsa:1024", "ec:P-257", "RSA"}) {
    Run run({"example.com"});
    run.request.key_type = type;
    const Result<IssuedCertificate> issued = run.go();
    REQUIRE_FALSE(issued.has_value());
    CHECK(issued.error().code() == Errc::unsupported_key_type);
    CHECK(run.count("POST /new-order") == 0);
  }
}

TEST_CASE("issue: a CA that takes its time is polled, not hammered") {
  Run run({"example.com"});
  run.ca.pending_polls = 3;
  run.ca.processing_polls = 2;
  REQUIRE(run.go().has_value());
  CHECK(run.count("POST /order/1") == 7);  // 3 + 1 until ready, 2 + 1 until valid
  check_nothing_lost(run);
}

TEST_CASE("issue: Retry-After is obeyed") {
  Run run({"example.com"});
  run.ca.pending_polls = 2;
  run.ca.retry_after = "7";
  REQUIRE(run.go().has_value());
  CHECK(run.driver.waited >= std::chrono::seconds(14));
  CHECK(run.driver.waited < std::chrono::seconds(20));
}

TEST_CASE("issue: a Retry-After past the deadline is reported at once") {
  Run run({"example.com"});
  run.ca.pending_polls = 1;
  run.ca.retry_after = "7200";
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_FALSE(issued.has_value());
  CHECK(issued.error().code() == Errc::deadline);
  CHECK(issued.error().retry_after() == std::chrono::seconds(7200));
  CHECK(run.driver.waited < std::chrono::seconds(1));
  check_nothing_lost(run);
}

TEST_CASE("issue: a hundred names are worked side by side, with few requests beyond the necessary") {
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("host" + std::to_string(i) + ".example.com");
  Run run(names);
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_MESSAGE(issued.has_value(), (issued ? "" : issued.error().what()));
  CHECK(run.driver.widest == run.request.width);
  CHECK(run.ca.log.size() <= 225);
  CHECK(run.solver.presented.size() == 100);
  check_nothing_lost(run);
}

TEST_CASE("issue: names that are authorized already are not presented again") {
  Run run({"example.com", "www.example.com"});
  run.ca.authorized_before = true;
  REQUIRE(run.go().has_value());
  CHECK(run.solver.presented.empty());
  CHECK(run.count("POST /chall/0") == 0);
}

TEST_CASE("issue: an invalid order names the name and the reason") {
  Run run({"good.example.com", "bad.example.com"});
  run.ca.failing_name = "bad.example.com";
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_FALSE(issued.has_value());
  CHECK(issued.error().code() == Errc::order_invalid);
  const std::string what = issued.error().what();
  CHECK(what.find("bad.example.com") != std::string::npos);
  CHECK(what.find("wrong answer") != std::string::npos);
  REQUIRE(issued.error().problems().size() == 1);
  CHECK(issued.error().problems()[0].type == "urn:ietf:params:acme:error:unauthorized");
  CHECK(run.ca.finalized_key.empty());
  check_nothing_lost(run);
}

TEST_CASE("issue: a wildcard is refused before anything is presented or triggered") {
  Run run({"example.com", "*.example.com"});
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_FALSE(issued.has_value());
  CHECK(issued.error().code() == Errc::not_offered);
  CHECK(std::string(issued.error().what()).find("*.example.com") != std::string::npos);
  CHECK(run.solver.presented.empty());
  CHECK(run.ca.triggered == std::vector<int>{0, 0});
}

TEST_CASE("issue: a solver that fails stops the others from starting, and all are cleaned up") {
  std::vector<std::string> names;
  for (int i = 0; i < 30; ++i) names.push_back("n" + std::to_string(i) + ".example.com");
  Run run(names);
  run.solver.step = CountingSolver::Step::end_present;
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_FALSE(issued.has_value());
  CHECK(issued.error().code() == Errc::solver_failed);
  CHECK(run.solver.presented.size() < names.size());
  check_nothing_lost(run);
}

TEST_CASE("issue: a clean-up that fails is told, and does not cost the certificate") {
  Run run({"example.com"});
  run.solver.step = CountingSolver::Step::end_cleanup;
  REQUIRE(run.go().has_value());
  CHECK(run.saw(IssueProgress::Step::cleanup_failed));
}

TEST_CASE("issue: replaces is dropped when the CA holds something against it") {
  Run run({"example.com"});
  run.ca.refuse_replaces = true;
  run.request.replaces = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
  REQUIRE(run.go().has_value());
  CHECK(run.count("POST /new-order") == 2);
  CHECK(run.saw(IssueProgress::Step::replaces_dropped));
}

TEST_CASE("issue: finalize is not confused by a missing Location, orderNotReady or badNonce") {
  Run run({"example.com"});
  run.ca.finalize_location = false;
  run.ca.not_ready = 1;
  run.ca.bad_nonces = 4;
  const Result<IssuedCertificate> issued = run.go();
  CHECK_FALSE(issued.has_value());  // newAccount is a verb: one retry, then the error
  CHECK(issued.error().code() == Errc::bad_nonce);

  Run second({"example.com"});
  second.ca.finalize_location = false;
  second.ca.not_ready = 1;
  second.ca.bad_nonces = 1;
  REQUIRE(second.go().has_value());
  check_nothing_lost(second);
}

TEST_CASE("issue: the key that cannot be stored is never sent") {
  Run run({"example.com"});
  run.request.keep_key = [](const PrivateKey&) { throw Error(Errc::io_failed, "writing key.pem", "disk full"); };
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_FALSE(issued.has_value());
  CHECK(std::string(issued.error().what()).find("disk full") != std::string::npos);
  CHECK(run.ca.finalized_key.empty());
  CHECK(run.solver.presented == run.solver.cleaned_up);
}

TEST_CASE("issue: the account's key is refused as the certificate's, names are needed, and a solver") {
  Run run({"example.com"});
  run.request.key = Run::account_key().private_key();
  CHECK(run.go().error().code() == Errc::invalid_argument);
  Run none(std::vector<std::string>{});
  CHECK(none.go().error().code() == Errc::invalid_argument);
  CHECK(std::ranges::count(none.ca.log, "POST /new-order") == 0);
}

TEST_CASE("issue: a listener that throws is no reason to stop") {
  Run run({"example.com"});
  run.request.on_progress = [](const IssueProgress&) { throw std::runtime_error("listener"); };
  CHECK(run.go().has_value());
}

TEST_CASE("issue: the preferred chain is found among the alternates, and is only a preference") {
  Run run({"example.com"});
  run.ca.alternates = true;
  run.request.preferred_chain = "Other Root";
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE(issued.has_value());
  CHECK(topmost_issuer(issued->chain_pem) == "Other Root");

  Run other({"example.com"});
  other.ca.alternates = true;
  other.request.preferred_chain = "No Such Root";
  const Result<IssuedCertificate> standard = other.go();
  REQUIRE(standard.has_value());
  CHECK(topmost_issuer(standard->chain_pem) == "Standard Root");
}

TEST_CASE("issue: an order from an earlier run is picked up, with its key") {
  Run first({"example.com"});
  first.ca.processing_polls = 1000;
  first.request.poll_deadline = std::chrono::seconds(20);
  REQUIRE_FALSE(first.go().has_value());
  REQUIRE(first.kept_keys.size() == 1);

  // The same CA, later; the program was restarted and has the key and the order's URL.
  Run second({"example.com"});
  second.ca = first.ca;
  second.ca.processing_polls = 1;
  second.ca.log.clear();
  second.ca.nonces_used.clear();
  second.request.key = first.kept_keys[0];
  second.request.resume_order = first.kept_orders[0];
  const Result<IssuedCertificate> issued = second.go();
  REQUIRE_MESSAGE(issued.has_value(), (issued ? "" : issued.error().what()));
  CHECK(second.count("POST /new-order") == 0);
  CHECK(second.count("POST /finalize/1") == 0);
  CHECK(second.saw(IssueProgress::Step::order_resumed));
  CHECK(Certificate::from_pem(issued->chain_pem).matches(first.kept_keys[0]));
}

TEST_CASE("issue: an order finalized with a key that is gone is not resumed") {
  Run first({"example.com"});
  first.ca.processing_polls = 1000;
  first.request.poll_deadline = std::chrono::seconds(20);
  REQUIRE_FALSE(first.go().has_value());
  Run second({"example.com"});
  second.ca = first.ca;
  second.ca.processing_polls = 0;
  second.ca.log.clear();
  second.request.resume_order = first.kept_orders[0];
  const Result<IssuedCertificate> issued = second.go();
  CHECK(second.count("POST /new-order") == 1);
  // This CA has only the one order to give; its certificate is for a key we do not have, and is not handed out.
  REQUIRE_FALSE(issued.has_value());
  CHECK(issued.error().code() == Errc::bad_response);
}
