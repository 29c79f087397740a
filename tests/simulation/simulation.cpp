#include "simulation.hpp"

#include <algorithm>
#include <optional>

#include "culmen/certificate.hpp"
#include "culmen/engine.hpp"
#include "support/virtual_world.hpp"

namespace culmen::test {

namespace {

using std::chrono::minutes;
using std::chrono::seconds;

TestCaOptions ca_options(const SimulationOptions& options) {
  TestCaOptions ca;
  ca.seed = options.seed;
  ca.certificate_lifetime = options.certificate_lifetime;
  ca.order_lifetime = std::chrono::hours(1);
  ca.authorization_lifetime = std::chrono::hours(1);
  ca.nonce_lifetime = std::chrono::hours(1);
  ca.keep_expired = minutes(30);
  ca.validation_delay = seconds(3);
  ca.issuance_delay = seconds(2);
  ca.faults = TestCaFaults::everything(options.fault_percent);
  return ca;
}

/// What one session remembers between two issuances.
struct SessionMemory {
  explicit SessionMemory(std::string name_) : name(std::move(name_)) {}
  std::string name;
  AccountKey key = AccountKey::generate();
  std::optional<engine::Session> session;
  std::optional<Account> account;
};

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options)
      : options_(options), world_(ca_options(options)), end_(VirtualWorld::start + options.duration) {}

  SimulationResult run() {
    for (int i = 0; i < options_.sessions; ++i) {
      std::string name = "host" + std::to_string(i) + ".example";
      world_.driver.start<Result<void>>(
          keep_fresh(name, seconds(7 * i)), [this](const Result<void>& ended) { result_.ended += ended ? 1 : 0; },
          name);
    }
    for (std::chrono::hours hour(1); hour <= options_.duration; ++hour) {
      world_.driver.run_until(VirtualWorld::start + hour);
      result_.sizes.push_back(world_.ca.sizes());
    }
    world_.driver.run();
    result_.requests = world_.ca.request_counts();
    result_.left_presented = world_.web.size();
    return std::move(result_);
  }

 private:
  Flow<Result<void>> keep_fresh(std::string name, seconds begin) {
    SessionMemory memory(std::move(name));
    int failures = 0;
    Result<void> waited = co_await wait(begin);
    while (waited) {
      const Instant instant = co_await now();
      if (instant.wall >= end_) break;
      const bool issued = co_await issue_once(memory);
      failures = issued ? 0 : failures + 1;
      const auto back_off = std::min<seconds>(seconds(30) * (1 << std::min(failures, 10)), minutes(20));
      const seconds pause = issued ? seconds(options_.certificate_lifetime) * 2 / 3 : back_off;
      waited = co_await wait(pause);
    }
    co_return waited;
  }

  Flow<bool> issue_once(SessionMemory& memory) {
    if (!memory.session) {
      Result<engine::Session> session = co_await engine::connect(world_.ca.directory_url());
      if (!session) co_return count("connect", session.error());
      memory.session = *session;
    }
    if (!memory.account) {
      const AccountOptions account_options;
      Result<Account> account = co_await engine::new_account(*memory.session, memory.key, account_options);
      if (!account) co_return count("account", account.error());
      memory.account = *account;
    }
    IssueRequest request(std::vector<std::string>(1, memory.name));
    request.identifiers.push_back(Identifier::dns("www." + memory.name));
    const std::vector<ChallengeSolver*> solvers(1, &world_.solver);
    Result<IssuedCertificate> issued = co_await engine::issue(*memory.session, *memory.account, request, solvers);
    if (!issued) co_return count("issue", issued.error());
    ++result_.outcomes["issued"];
    const Certificate leaf = Certificate::from_pem(issued->chain_pem);
    if (!leaf.matches(*issued->key) || leaf.identifiers != request.identifiers) ++result_.wrong_certificates;
    co_return true;
  }

  bool count(const std::string& step, const Error& error) {
    ++result_.outcomes[step + ": " + std::string(to_string(error.code()))];
    return false;
  }

  const SimulationOptions options_;
  VirtualWorld world_;
  const VirtualClock::TimePoint end_;
  SimulationResult result_;
};

}  // namespace

SimulationResult simulate(const SimulationOptions& options) { return Simulation(options).run(); }

}  // namespace culmen::test
