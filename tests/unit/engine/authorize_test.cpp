// Completing authorizations: authorize(), and what issue() does with challenges that the CA leaves pending with an
// error.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "support/issue_run.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;

namespace {

/// authorize() of the first name, by an account that exists.
struct AuthorizeRun {
  AuthorizeRun() : ca({"a.example.com", "b.example.com"}), driver(ca) {}

  static Flow<Result<Authorization>> whole(AuthorizeRun& run) {
    SessionOptions options;
    options.poll_deadline = 60s;
    Result<engine::Session> session = co_await engine::connect("https://ca.test/dir", options);
    if (!session) co_return session.error();
    const Account account("https://ca.test/acct/1", Run::account_key());
    std::vector<ChallengeSolver*> solvers(1, &run.solver);
    co_return co_await engine::authorize(*session, account, "https://ca.test/authz/0", solvers);
  }
  Result<Authorization> go() { return driver.drive(whole(*this)); }

  int count(const std::string& line) const { return static_cast<int>(std::ranges::count(ca.log, line)); }
  bool is_clean() const { return solver.presented == solver.cleaned_up; }

  FakeCa ca;
  ScriptedDriver driver;
  CountingSolver solver;
};

std::vector<std::string> many_names(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back("n" + std::to_string(i) + ".example.com");
  return names;
}

}  // namespace

TEST_CASE("authorize: presents, waits until ready, triggers, polls and cleans up") {
  AuthorizeRun run;
  const Result<Authorization> valid = run.go();
  REQUIRE_MESSAGE(valid.has_value(), (valid ? "" : valid.error().what()));
  CHECK(valid->status == AuthorizationStatus::valid);
  CHECK(run.solver.events == std::vector<std::string>{"present", "ready 1", "respond", "clean up"});
  CHECK(run.count("POST /chall/0") == 1);
  CHECK(run.count("POST /authz/1") == 0);
  CHECK(run.is_clean());
}

TEST_CASE("authorize: nothing is presented if it is valid already, or cannot be solved") {
  AuthorizeRun done;
  done.ca.authorized_before = true;
  CHECK(done.go().has_value());
  CHECK(done.solver.events.empty());
  AuthorizeRun unsolvable;
  unsolvable.ca.names[0] = "*.example.com";
  CHECK(unsolvable.go().error().code() == Errc::not_offered);
  CHECK(unsolvable.solver.events.empty());
  AuthorizeRun gone;
  gone.ca.authorization_deactivated = true;
  CHECK(gone.go().error().code() == Errc::authorization_invalid);
}

TEST_CASE("authorize: cleans up when validation fails, at any fault, and when it is cancelled") {
  AuthorizeRun failing;
  failing.ca.failing_name = "a.example.com";
  const Result<Authorization> failed = failing.go();
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code() == Errc::authorization_invalid);
  CHECK(std::string(failed.error().what()).find("wrong answer") != std::string::npos);
  CHECK(failing.is_clean());

  AuthorizeRun happy;
  REQUIRE(happy.go().has_value());
  for (const Fault fault :
       {Fault::lost_before, Fault::lost_after, Fault::garbage, Fault::server_error, Fault::cancelled, Fault::throws}) {
    for (std::size_t k = 0; k < happy.driver.asks; ++k) {
      CAPTURE(static_cast<int>(fault));
      CAPTURE(k);
      AuthorizeRun run;
      run.driver.faults[k] = fault;
      const Result<Authorization> outcome = run.go();
      CHECK(run.is_clean());
      const bool sends = happy.driver.script[k] != "wait";
      if (sends && (fault == Fault::lost_before || fault == Fault::lost_after || fault == Fault::server_error))
        CHECK(outcome.has_value());
    }
  }
}

TEST_CASE("authorize: what the solver throws is an error, and skips no clean-up") {
  using Step = CountingSolver::Step;
  for (const Step step :
       {Step::begin_present, Step::end_present, Step::ready, Step::response, Step::begin_cleanup, Step::end_cleanup}) {
    CAPTURE(static_cast<int>(step));
    AuthorizeRun run;
    run.solver.step = step;
    run.solver.trouble = CountingSolver::Trouble::throws;
    const Result<Authorization> outcome = run.go();
    const bool cleaning = step == Step::begin_cleanup || step == Step::end_cleanup;
    CHECK(outcome.has_value() == cleaning);
    if (!outcome) CHECK(outcome.error().code() == Errc::solver_failed);
    CHECK(run.is_clean());
  }
}

TEST_CASE("issue: all are presented, then each solver waits once, then all are triggered") {
  Run run(many_names(30));
  REQUIRE(run.go().has_value());
  const std::vector<std::string>& events = run.solver.events;
  REQUIRE(events.size() == 91);
  CHECK(std::all_of(events.begin(), events.begin() + 30, [](const std::string& e) { return e == "present"; }));
  CHECK(events[30] == "ready 30");
  CHECK(std::all_of(events.begin() + 31, events.begin() + 61, [](const std::string& e) { return e == "respond"; }));
}

TEST_CASE("a challenge left pending with an error is posted again, and a server that starts late is found") {
  for (const bool in_reply : {false, true}) {
    for (int failures = 1; failures <= 3; ++failures) {
      CAPTURE(in_reply);
      CAPTURE(failures);
      Run run({"late.example.com", "b.example.com"});
      run.ca.failing_attempts["late.example.com"] = failures;
      run.ca.attempts_in_reply = in_reply;
      const Result<IssuedCertificate> issued = run.go();
      REQUIRE_MESSAGE(issued.has_value(), (issued ? "" : issued.error().what()));
      CHECK(run.count("POST /chall/0") == failures + 1);
      CHECK(run.count("POST /chall/1") == 1);
      // 1, 2 and 4 seconds
      CHECK(run.driver.waited >= std::chrono::seconds((1 << failures) - 1));
      CHECK(run.driver.waited < std::chrono::seconds((1 << failures) + 4 * failures));
      check_nothing_lost(run);

      AuthorizeRun one;
      one.ca.failing_attempts["a.example.com"] = failures;
      one.ca.attempts_in_reply = in_reply;
      CHECK(one.go().has_value());
      CHECK(one.count("POST /chall/0") == failures + 1);
      CHECK(one.is_clean());
    }
  }
}

TEST_CASE("Retry-After of an authorization is obeyed before its challenge is posted again, and before the next look") {
  Run run({"late.example.com"});
  run.ca.failing_attempts["late.example.com"] = 1;
  run.ca.authorization_retry_after = "20";
  REQUIRE(run.go().has_value());
  CHECK(run.count("POST /chall/0") == 2);
  CHECK(run.driver.waited >= 20s);
  CHECK(run.count("POST /authz/0") <= 3);  // the plan, the look that found the error, one after it

  for (const bool in_reply : {false, true}) {
    CAPTURE(in_reply);
    AuthorizeRun one;
    one.ca.failing_attempts["a.example.com"] = 1;
    one.ca.authorization_retry_after = "20";
    one.ca.attempts_in_reply = in_reply;
    std::chrono::microseconds posted{};  // the last time
    one.driver.instead = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
      if (request.url.ends_with("/chall/0")) posted = one.driver.waited;
      return {};
    };
    REQUIRE(one.go().has_value());
    CHECK(posted >= 20s);
    CHECK(one.count("POST /chall/0") == 2);
  }
}

TEST_CASE("a challenge that an earlier run triggered is posted again, with its response") {
  AuthorizeRun run;
  run.ca.triggered[0] = 1;
  run.ca.failing_attempts["a.example.com"] = 1;
  run.driver.instead = [&run](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (!request.url.ends_with("/authz/0") || run.count("POST /authz/0") > 0) return {};
    HttpResponse response = run.ca.handle(request);
    const std::string pending = R"("status":"pending")";
    response.body.replace(response.body.rfind(pending), pending.size(), R"("status":"processing")");
    return response;
  };
  const Result<Authorization> valid = run.go();
  REQUIRE_MESSAGE(valid.has_value(), (valid ? "" : valid.error().what()));
  CHECK(run.count("POST /chall/0") == 1);
  CHECK(std::ranges::count(run.ca.payloads, "{}") == 1);
}

TEST_CASE("cancelled while challenges are posted again: everything is cleaned up, and nothing is posted any more") {
  const auto late = [](Run& run) {
    run.ca.failing_attempts = {{"a.example.com", 2}, {"b.example.com", 1}};
    run.ca.attempts_in_reply = true;
  };
  Run whole({"a.example.com", "b.example.com"});
  late(whole);
  REQUIRE(whole.go().has_value());
  for (std::size_t k = 0; k < whole.driver.asks; ++k) {
    CAPTURE(k);
    Run run({"a.example.com", "b.example.com"});
    late(run);
    run.driver.faults[k] = Fault::cancelled;
    const Result<IssuedCertificate> issued = run.go();
    REQUIRE_FALSE(issued.has_value());
    CHECK(issued.error().code() == Errc::cancelled);
    check_nothing_lost(run);
  }
}

TEST_CASE("a challenge that fails every time ends with its name and reason, within two polls after the last attempt") {
  for (const bool in_reply : {false, true}) {
    CAPTURE(in_reply);
    Run run({"a.example.com", "dead.example.com"});
    run.ca.failing_attempts["dead.example.com"] = 100;
    run.ca.attempts_in_reply = in_reply;
    const Result<IssuedCertificate> issued = run.go();
    REQUIRE_FALSE(issued.has_value());
    CHECK(issued.error().code() == Errc::authorization_invalid);
    const std::string what = issued.error().what();
    CHECK(what.find("dead.example.com") != std::string::npos);
    CHECK(what.find("nobody answered") != std::string::npos);
    REQUIRE(issued.error().problems().size() == 1);
    CHECK(issued.error().problems()[0].identifier->value == "dead.example.com");
    CHECK(is_worth_retrying(issued.error()));  // "connection" passes
    CHECK(run.count("POST /chall/1") == 4);
    const auto last = std::find(run.ca.log.rbegin(), run.ca.log.rend(), "POST /chall/1");
    CHECK(std::count(run.ca.log.rbegin(), last, "POST /order/1") <= 2);
    CHECK(run.driver.waited < 30s);
    check_nothing_lost(run);
  }
  Run wrong({"a.example.com"});
  wrong.ca.failing_attempts["a.example.com"] = 100;
  wrong.ca.attempt_error = "unauthorized";
  CHECK_FALSE(is_worth_retrying(wrong.go().error()));

  AuthorizeRun one;
  one.ca.failing_attempts["a.example.com"] = 100;
  const Result<Authorization> failed = one.go();
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code() == Errc::authorization_invalid);
  CHECK(std::string(failed.error().what()).find("nobody answered") != std::string::npos);
  CHECK(one.count("POST /chall/0") == 4);
  CHECK(one.is_clean());
}

TEST_CASE("issue: of many names each failing one is found in turn, with a bounded number of requests") {
  Run run(many_names(100));
  run.ca.failing_attempts["n97.example.com"] = 100;
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_FALSE(issued.has_value());
  CHECK(std::string(issued.error().what()).find("n97.example.com") != std::string::npos);
  CHECK(run.ca.log.size() < 450);
}

TEST_CASE("issue: authorizations are looked at when the first poll of the order does not find it ready") {
  Run quick({"a.example.com"});
  REQUIRE(quick.go().has_value());
  CHECK(quick.count("POST /authz/0") == 1);  // the plan
  Run slow({"a.example.com"});
  slow.ca.pending_polls = 3;
  REQUIRE(slow.go().has_value());
  CHECK(slow.count("POST /authz/0") == 2);  // and one look, which found it valid
}

TEST_CASE("issue: at a time-out each authorization is named with its status and errors") {
  Run run({"a.example.com", "slow.example.com"});
  run.ca.failing_attempts["slow.example.com"] = 100;
  run.request.poll_deadline = 5s;
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_FALSE(issued.has_value());
  CHECK(issued.error().code() == Errc::deadline);
  const std::string what = issued.error().what();
  CHECK(what.find("slow.example.com is pending") != std::string::npos);
  CHECK(what.find("nobody answered") != std::string::npos);
  CHECK(what.find("a.example.com is") == std::string::npos);  // that one is valid
  check_nothing_lost(run);
}

TEST_CASE("issue: an authorization that fails while the order stays pending is reported by itself") {
  Run run({"a.example.com", "bad.example.com"});
  run.ca.failing_name = "bad.example.com";
  run.ca.order_stays_pending = true;
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_FALSE(issued.has_value());
  CHECK(issued.error().code() == Errc::authorization_invalid);
  CHECK(std::string(issued.error().what()).find("bad.example.com") != std::string::npos);
  CHECK(run.driver.waited < 5s);
}

TEST_CASE("an invalid challenge of an authorization that stays pending is reported with its reason") {
  Run run({"a.example.com", "bad.example.com"});
  run.ca.failing_name = "bad.example.com";
  run.ca.order_stays_pending = run.ca.stuck_authorizations = true;
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_FALSE(issued.has_value());
  CHECK(issued.error().code() == Errc::authorization_invalid);
  CHECK(std::string(issued.error().what()).find("wrong answer") != std::string::npos);
  CHECK(run.driver.waited < 5s);
  AuthorizeRun one;
  one.ca.failing_name = "a.example.com";
  one.ca.stuck_authorizations = true;
  const Result<Authorization> failed = one.go();
  REQUIRE_FALSE(failed.has_value());
  CHECK(std::string(failed.error().what()).find("wrong answer") != std::string::npos);
  CHECK(one.driver.waited < 5s);
}

TEST_CASE("issue: a CA does not choose the names for which challenges are presented") {
  Run more({"a.example.com"});
  more.ca.extra_authorizations = {"other.example.com"};
  Run others({"a.example.com", "b.example.com"});
  others.ca.shown_as["b.example.com"] = "other.example.com";
  Run parent({"a.example.com"});
  parent.ca.shown_as["a.example.com"] = "example.com";
  Run wildcard({"a.example.com"});
  wildcard.ca.shown_as["a.example.com"] = "*.a.example.com";
  for (Run* run : {&more, &others, &parent, &wildcard}) {
    const Result<IssuedCertificate> issued = run->go();
    REQUIRE_FALSE(issued.has_value());
    CHECK(issued.error().code() == Errc::bad_response);
    CHECK(run->solver.events.empty());
    CHECK(run->ca.triggered[0] == 0);
  }
  CHECK(more.count("POST /authz/0") == 0);  // too many are not even looked at
  Run ancestor({"a.b.example.com"});
  ancestor.ca.directory_meta = R"({"subdomainAuthAllowed":true})";
  ancestor.ca.shown_as["a.b.example.com"] = "b.example.com";
  ancestor.request.ancestor_domains["a.b.example.com"] = "example.com";
  CHECK(ancestor.go().has_value());
  Run above({"a.b.example.com"});
  above.ca.directory_meta = R"({"subdomainAuthAllowed":true})";
  above.ca.shown_as["a.b.example.com"] = "example.com";
  above.request.ancestor_domains["a.b.example.com"] = "b.example.com";
  CHECK(above.go().error().code() == Errc::bad_response);
}
