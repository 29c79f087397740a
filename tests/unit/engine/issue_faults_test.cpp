// issue() with faults: at every ask, at two asks, and thrown by every function of the user's. The outcome of each is
// data.
#include <doctest/doctest.h>

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/issue_run.hpp"

using namespace culmen;
using namespace culmen::test;

namespace {

constexpr std::array all_faults = {Fault::lost_before,  Fault::lost_after, Fault::garbage,
                                   Fault::server_error, Fault::cancelled,  Fault::throws};

/// The code of the error that a fault ends in, or success.
using Outcome = std::optional<Errc>;
constexpr Outcome succeeds = std::nullopt;
using Outcomes = std::array<Outcome, all_faults.size()>;

/// What becomes of the issuance of three names, by what is asked when the fault strikes.
const std::map<std::string, Outcomes>& expected_outcomes() {
  using E = Errc;
  // What only reads, or can be found out, survives a fault. A reply to a request that creates something, that is
  // needed and cannot be read, does not.
  static const std::map<std::string, Outcomes> table = {
      // ask                lost before   lost after    garbage          500           cancelled     throws
      {"GET /dir", {succeeds, succeeds, succeeds, succeeds, E::cancelled, succeeds}},
      {"HEAD /nonce", {succeeds, succeeds, succeeds, succeeds, E::cancelled, succeeds}},
      {"POST /new-account", {succeeds, succeeds, E::bad_response, succeeds, E::cancelled, succeeds}},
      {"POST /new-order", {succeeds, succeeds, E::bad_response, succeeds, E::cancelled, succeeds}},
      {"store", {E::io_failed, E::io_failed, E::io_failed, E::io_failed, E::cancelled, E::solver_failed}},
      {"POST /authz", {succeeds, succeeds, succeeds, succeeds, E::cancelled, succeeds}},
      {"watch", {succeeds, succeeds, succeeds, succeeds, E::cancelled, succeeds}},
      {"POST /chall", {succeeds, succeeds, succeeds, succeeds, E::cancelled, succeeds}},
      {"POST /order", {succeeds, succeeds, succeeds, succeeds, E::cancelled, succeeds}},
      {"POST /finalize", {succeeds, succeeds, succeeds, succeeds, E::cancelled, succeeds}},
      {"POST /cert", {succeeds, succeeds, succeeds, succeeds, E::cancelled, succeeds}},
      {"present",
       {E::connection_failed, E::connection_failed, E::connection_failed, E::connection_failed, E::cancelled,
        E::connection_failed}},
      {"poll",
       {E::connection_failed, E::connection_failed, E::connection_failed, E::connection_failed, E::cancelled,
        E::connection_failed}},
      {"clean up", {succeeds, succeeds, succeeds, succeeds, E::cancelled, succeeds}},
  };
  return table;
}

/// Three names, with an order that is pending and a certificate that is processing for one poll.
struct MatrixRun : Run {
  MatrixRun() : Run({"a.example.com", "b.example.com", "c.example.com"}) {
    ca.pending_polls = 1;
    ca.processing_polls = 1;
  }
};

struct Script {
  std::vector<std::string> steps;
  static const Script& of_the_happy_run() {
    static const Script script = [] {
      MatrixRun run;
      REQUIRE(run.go().has_value());
      Script made;
      // The waits of the solver: present() after the order was stored, cleanup() once the order is ready.
      const auto solving = static_cast<int>(run.ca.names.size());
      int waits = 0, polls = 0;
      for (const std::string& ask : run.driver.script) {
        if (ask == "POST /order") ++polls;
        if (ask == "POST /authz" && polls > 0) {
          made.steps.emplace_back("watch");  // a look at an authorization, because the order was not ready
        } else if (ask != "wait") {
          made.steps.push_back(ask);
        } else {
          ++waits;
          // present() of each name, ready(), then pauses until the order is ready, cleanup(), pauses.
          const bool presenting = waits <= solving + 1;
          const bool cleaning = polls == 2 && waits > solving + 1 + 2 && waits <= 2 * solving + 1 + 2;
          made.steps.emplace_back(presenting ? "present" : cleaning ? "clean up" : "poll");
        }
      }
      return made;
    }();
    return script;
  }
};

std::string outcome_text(const Result<IssuedCertificate>& issued) {
  return issued ? std::string("succeeds")
                : std::string(to_string(issued.error().code())) + ": " + issued.error().what();
}

/// How the error of a solver's step begins.
std::string doing_of(CountingSolver::Step step) {
  using Step = CountingSolver::Step;
  switch (step) {
    case Step::none: return "";
    case Step::can_solve: return "";  // it may also only say no
    case Step::begin_present:
    case Step::end_present: return "presenting http-01 for ";
    case Step::ready: return "waiting until the answers to http-01 can be seen";
    case Step::response: return "answering http-01 for ";
    case Step::begin_cleanup:
    case Step::end_cleanup: return "";
  }
  return "";
}

void check_outcome(const Result<IssuedCertificate>& issued, Outcome expected) {
  CAPTURE(outcome_text(issued));
  CHECK(issued.has_value() == !expected.has_value());
  if (!issued && expected) CHECK(to_string(issued.error().code()) == to_string(*expected));
}

}  // namespace

TEST_CASE("issue: with any fault at any ask nothing is lost and nothing is left behind") {
  const std::vector<std::string>& steps = Script::of_the_happy_run().steps;
  REQUIRE(steps.size() > 20);
  std::set<std::string> seen;
  for (std::size_t k = 0; k < steps.size(); ++k) {
    const auto row = expected_outcomes().find(steps[k]);
    REQUIRE_MESSAGE(row != expected_outcomes().end(), steps[k]);
    seen.insert(steps[k]);
    for (std::size_t f = 0; f < all_faults.size(); ++f) {
      CAPTURE(k);
      CAPTURE(steps[k]);
      CAPTURE(f);
      MatrixRun run;
      run.driver.faults[k] = all_faults[f];
      check_outcome(run.go(), row->second[f]);
      check_nothing_lost(run);
    }
  }
  CHECK(seen.size() == expected_outcomes().size());
}

TEST_CASE("issue: with two faults nothing is lost either, and what ends an issuance alone ends it with another") {
  const std::vector<std::string>& steps = Script::of_the_happy_run().steps;
  for (std::size_t k = 0; k < steps.size(); ++k) {
    for (std::size_t distance = 1; distance <= 3; ++distance) {
      for (std::size_t f = 0; f < all_faults.size(); ++f) {
        // Not all beside all: one partner for each.
        const std::size_t g = (f + k + distance) % all_faults.size();
        CAPTURE(k);
        CAPTURE(distance);
        CAPTURE(f);
        CAPTURE(g);
        MatrixRun run;
        run.driver.faults[k] = all_faults[f];
        run.driver.faults[k + distance] = all_faults[g];
        const Result<IssuedCertificate> issued = run.go();
        check_nothing_lost(run, 2);  // if the CA cannot be asked whether it was triggered, it is once more
        CAPTURE(outcome_text(issued));
        const Outcome first = expected_outcomes().at(steps[k])[f];
        if (first) CHECK_FALSE(issued.has_value());
      }
    }
  }
}

TEST_CASE("issue: what user code throws is an error, and everything that was presented is cleaned up") {
  using Step = CountingSolver::Step;
  using Trouble = CountingSolver::Trouble;
  struct Row {
    Step step;
    Trouble trouble;
    Outcome outcome;
  };
  const Row rows[] = {
      {Step::can_solve, Trouble::fails, Errc::not_offered},
      {Step::can_solve, Trouble::throws_error, Errc::io_failed},
      {Step::can_solve, Trouble::throws, Errc::solver_failed},
      {Step::begin_present, Trouble::throws_error, Errc::io_failed},
      {Step::begin_present, Trouble::throws, Errc::solver_failed},
      {Step::end_present, Trouble::fails, Errc::solver_failed},
      {Step::end_present, Trouble::throws_error, Errc::io_failed},
      {Step::end_present, Trouble::throws, Errc::solver_failed},
      {Step::ready, Trouble::fails, Errc::solver_failed},
      {Step::ready, Trouble::throws_error, Errc::io_failed},
      {Step::ready, Trouble::throws, Errc::solver_failed},
      {Step::response, Trouble::fails, Errc::solver_failed},
      {Step::response, Trouble::throws_error, Errc::io_failed},
      {Step::response, Trouble::throws, Errc::solver_failed},
      {Step::begin_cleanup, Trouble::throws_error, succeeds},
      {Step::begin_cleanup, Trouble::throws, succeeds},
      {Step::end_cleanup, Trouble::fails, succeeds},
      {Step::end_cleanup, Trouble::throws_error, succeeds},
      {Step::end_cleanup, Trouble::throws, succeeds},
  };
  for (const Row& row : rows) {
    const int calls = row.step == Step::ready ? 1 : 3;
    for (int after = 0; after < calls; ++after) {
      for (const std::size_t width : {1, 12}) {
        CAPTURE(static_cast<int>(row.step));
        CAPTURE(static_cast<int>(row.trouble));
        CAPTURE(after);
        MatrixRun run;
        run.request.width = width;
        run.solver.step = row.step;
        run.solver.trouble = row.trouble;
        run.solver.after = after;
        const Result<IssuedCertificate> issued = run.go();
        check_outcome(issued, row.outcome);
        check_nothing_lost(run);
        if (!issued) CHECK(std::string(issued.error().what()).find(doing_of(row.step)) == 0);
        const bool presenting = row.step == Step::begin_present || row.step == Step::end_present;
        if (presenting && width == 1) CHECK(run.solver.presented.size() == static_cast<std::size_t>(after) + 1);
        const bool cleaning = row.step == Step::begin_cleanup || row.step == Step::end_cleanup;
        CHECK(run.saw(IssueProgress::Step::cleanup_failed) == cleaning);
        // A name that cannot be presented keeps the CA from validating the others.
        const bool before_triggering = row.step <= Step::ready;
        if (before_triggering) CHECK(run.ca.triggered == std::vector<int>{0, 0, 0});
      }
    }
  }
}

TEST_CASE("issue: callbacks that throw anything end it before the CA has something that was not stored") {
  MatrixRun order;
  order.request.keep_order = [](const std::string&) { throw std::runtime_error("disk"); };
  check_outcome(order.go(), Errc::solver_failed);
  CHECK(order.solver.presented.empty());
  MatrixRun key;
  key.request.keep_key = [](const PrivateKey&) { throw 7; };
  check_outcome(key.go(), Errc::solver_failed);
  CHECK(key.ca.finalized_key.empty());
  check_nothing_lost(key);
  MatrixRun progress;
  progress.request.on_progress = [](const IssueProgress&) { throw 7; };
  check_outcome(progress.go(), succeeds);
}

TEST_CASE("issue: what is stored and made is independent of the flow, which may be gone when it runs") {
  std::function<Result<void>()> left_behind;
  std::vector<std::string> kept;
  {
    MatrixRun run;
    run.request.keep_key = {};
    run.request.keep_order = [&kept](const std::string& url) { kept.push_back(url); };
    Execution<Result<IssuedCertificate>> execution(MatrixRun::whole(run), [] { return Instant(); });
    while (Ask* ask = execution.next()) {
      if (ask->kind() == Ask::Kind::call) {
        left_behind = static_cast<CallAsk*>(ask)->function;
        break;
      }
      auto& send = static_cast<SendAsk&>(*ask);
      execution.answer(send, run.ca.handle(send.request));
    }
  }
  REQUIRE(left_behind);
  CHECK(left_behind().has_value());
  CHECK(kept == std::vector<std::string>{"https://ca.test/order/1"});
}

TEST_CASE("issue: cancelled at any ask it ends as cancelled, whatever is left to do") {
  for (std::size_t k = 0; k < Script::of_the_happy_run().steps.size(); ++k) {
    CAPTURE(k);
    MatrixRun run;
    run.driver.faults[k] = Fault::cancelled;
    check_outcome(run.go(), Errc::cancelled);
    check_nothing_lost(run);
    // Nothing is presented or triggered any more; only the clean-up still asks.
    CHECK(run.driver.asks <= k + 1 + 2 * run.ca.names.size());
  }
}
