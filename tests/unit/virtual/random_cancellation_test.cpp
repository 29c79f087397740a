// Many issuances in one execution, cancelled or destroyed at a moment drawn by lot, in virtual time.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "culmen/engine.hpp"
#include "support/virtual_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;

namespace {

constexpr int issuances = 8;

/// How many runs: few in the test suite; `make chaos` wants a thousand.
int runs() {
  const char* const text = std::getenv("CULMEN_RANDOM_RUNS");
  return text ? std::atoi(text) : 40;
}

/// Takes its time to present and to clean up, with every kind of ask.
class SlowSolver final : public ChallengeSolver {
 public:
  explicit SlowSolver(VirtualWeb& web) : web_(web) {}
  std::string_view type() const noexcept override { return "http-01"; }
  Flow<Result<void>> present(ChallengeContext context) override {
    ++presented;
    Result<void> waited = co_await wait(70ms);
    if (!waited) co_return waited;
    std::function<Result<void>()> publish = [this, context]() -> Result<void> {
      web_[context.token] = context.key_authorization;
      return {};
    };
    co_return co_await call(std::move(publish));
  }
  Flow<Result<void>> cleanup(ChallengeContext context) override {
    Result<void> waited = co_await wait(30ms);
    if (!waited) co_return waited;
    web_.erase(context.token);
    ++cleaned_up;
    co_return Result<void>();
  }
  int presented = 0;
  int cleaned_up = 0;

 private:
  VirtualWeb& web_;
};

struct RandomRun {
  explicit RandomRun(std::uint32_t seed) : random(seed), world(options(seed)) {}
  static TestCaOptions options(std::uint32_t seed) {
    TestCaOptions ca;
    ca.seed = seed;
    ca.validation_delay = 1s;
    ca.issuance_delay = 1s;
    return ca;
  }
  int below(int limit) { return std::uniform_int_distribution<int>(0, limit - 1)(random); }

  std::mt19937 random;
  VirtualWorld world;
  SlowSolver solver{world.web};
  engine::Session session;
  Account account;
};

Flow<Result<void>> connect(RandomRun& run) {
  Result<engine::Session> session = co_await engine::connect(run.world.ca.directory_url());
  if (!session) co_return session.error();
  run.session = *session;
  const AccountOptions account_options;
  Result<Account> account = co_await engine::new_account(run.session, AccountKey::generate(), account_options);
  if (!account) co_return account.error();
  run.account = *account;
  co_return Result<void>();
}

using Outcomes = std::vector<Result<IssuedCertificate>>;

Flow<Outcomes> issue_all(RandomRun& run) {
  std::vector<Flow<Result<IssuedCertificate>>> parts;
  for (int i = 0; i < issuances; ++i) {
    const std::string name = "n" + std::to_string(i) + ".example";
    IssueRequest request(std::vector<std::string>{name, "www." + name});
    const std::vector<ChallengeSolver*> solvers(1, &run.solver);
    parts.push_back(engine::issue(run.session, run.account, std::move(request), solvers));
  }
  Outcomes outcomes = co_await all(std::move(parts));
  co_return outcomes;
}

}  // namespace

TEST_CASE("all(issue x 8), cancelled at random: all end, and whatever was presented is cleaned up") {
  int issued = 0;
  int cancelled = 0;
  for (int seed = 1; seed <= runs(); ++seed) {
    CAPTURE(seed);
    RandomRun run(static_cast<std::uint32_t>(seed));
    REQUIRE(run.world.driver.drive(connect(run)).has_value());
    bool ended = false;
    ExecutionBase& execution = run.world.driver.start<Outcomes>(issue_all(run), [&](const Outcomes& outcomes) {
      ended = true;
      for (const Result<IssuedCertificate>& outcome : outcomes) {
        if (outcome) {
          ++issued;
        } else {
          CHECK(outcome.error().code() == Errc::cancelled);
          ++cancelled;
        }
      }
    });
    run.world.driver.run_until(run.world.clock.now() + std::chrono::milliseconds(run.below(3000)));
    if (!ended) run.world.driver.cancel(execution);
    const auto cancelled_at = run.world.clock.now();
    run.world.driver.run();
    CHECK(ended);
    CHECK(run.world.clock.now() - cancelled_at < 1s);
    CHECK(run.solver.presented == run.solver.cleaned_up);
    CHECK(run.world.web.empty());
  }
  MESSAGE(issued, " issued, ", cancelled, " cancelled");
  CHECK(issued > 0);
  CHECK(cancelled > 0);
}

TEST_CASE("all(issue x 8), destroyed at random: nothing goes on, and what is left over does no harm") {
  for (int seed = 1; seed <= runs(); ++seed) {
    CAPTURE(seed);
    const auto run = std::make_unique<RandomRun>(static_cast<std::uint32_t>(seed));
    REQUIRE(run->world.driver.drive(connect(*run)).has_value());
    bool ended = false;
    bool cancelled = false;  // then it may end in time
    {
      VirtualDriver other(run->world.clock, [&run](const HttpRequest& request) {
        TimedResponse response = run->world.ca.handle(request);
        response.after += 20ms;
        return response;
      });
      ExecutionBase& execution = other.start<Outcomes>(issue_all(*run), [&ended](const Outcomes&) { ended = true; });
      other.run_until(run->world.clock.now() + std::chrono::milliseconds(run->below(1400)));
      if (run->below(2) == 0 && !ended) {
        cancelled = true;
        other.cancel(execution);
        other.run_until(run->world.clock.now() + std::chrono::milliseconds(run->below(30)));
      }
    }
    CHECK((cancelled || !ended));
    run->world.web.clear();
    // The session is as good as before.
    Result<IssuedCertificate> after = run->world.driver.drive(
        engine::issue(run->session, run->account, IssueRequest({"after.example"}), {&run->world.solver}));
    CHECK_MESSAGE(after, after.error().what());
  }
}
