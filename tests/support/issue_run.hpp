// One issuance against a FakeCa, and what must be true after it, however it ended.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "culmen/engine.hpp"
#include "support/counting_solver.hpp"
#include "support/fake_ca.hpp"
#include "support/scripted_driver.hpp"

namespace culmen::test {

/// One issuance by a new account, with everything it leaves behind.
struct Run {
  explicit Run(std::vector<std::string> names) : ca(names), driver(ca), request(names) {
    request.keep_key = [this](const PrivateKey& key) { kept_keys.push_back(key); };
    request.keep_order = [this](const std::string& url) { kept_orders.push_back(url); };
    request.on_progress = [this](const IssueProgress& progress) { steps.push_back(progress.step); };
  }

  static Flow<Result<IssuedCertificate>> whole(Run& run) {
    SessionOptions options;
    Result<engine::Session> session = co_await engine::connect("https://ca.test/dir", options);
    if (!session) co_return session.error();
    AccountOptions account_options;
    account_options.agree_tos = true;
    Result<Account> account = co_await engine::new_account(*session, account_key(), account_options);
    if (!account) co_return account.error();
    std::vector<ChallengeSolver*> solvers(1, &run.solver);
    co_return co_await engine::issue(*session, *account, run.request, solvers);
  }

  Result<IssuedCertificate> go() { return driver.drive(whole(*this)); }

  static const AccountKey& account_key() {
    static const AccountKey key = AccountKey::generate("ec:P-256");
    return key;
  }

  bool saw(IssueProgress::Step step) const { return std::ranges::find(steps, step) != steps.end(); }
  int count(const std::string& line) const { return static_cast<int>(std::ranges::count(ca.log, line)); }

  FakeCa ca;
  ScriptedDriver driver;
  CountingSolver solver;
  IssueRequest request;
  std::vector<PrivateKey> kept_keys;
  std::vector<std::string> kept_orders;
  std::vector<IssueProgress::Step> steps;
};

inline void check_nothing_lost(const Run& run, int most_triggers = 1) {
  CHECK(run.solver.presented == run.solver.cleaned_up);
  for (const auto& [token, times] : run.solver.presented) CHECK(times == 1);
  for (std::size_t i = 0; i < run.ca.names.size(); ++i) {
    if (!run.ca.failing_attempts.contains(run.ca.names[i])) CHECK(run.ca.triggered[i] <= most_triggers);
  }
  if (!run.ca.finalized_key.empty()) {
    const bool kept = std::ranges::any_of(
        run.kept_keys, [&](const PrivateKey& key) { return key.public_key_der() == run.ca.finalized_key; });
    CHECK_MESSAGE(kept, "the CA has a CSR for a key that was not stored before");
  }
  const std::set<std::string> used(run.ca.nonces_used.begin(), run.ca.nonces_used.end());
  CHECK_MESSAGE(used.size() == run.ca.nonces_used.size(), "a nonce was used twice");
}

}  // namespace culmen::test
