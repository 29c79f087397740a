// The engine against TestCa::handle() in virtual time.
#include <doctest/doctest.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "culmen/certificate.hpp"
#include "culmen/engine.hpp"
#include "support/virtual_world.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;

namespace {

Flow<Result<IssuedCertificate>> first_certificate(VirtualWorld& world, std::vector<std::string> names,
                                                  std::chrono::seconds patience) {
  Result<engine::Session> session = co_await engine::connect(world.ca.directory_url());
  if (!session) co_return session.error();
  const AccountOptions account_options;
  Result<Account> account = co_await engine::new_account(*session, AccountKey::generate(), account_options);
  if (!account) co_return account.error();
  IssueRequest request(names);
  request.poll_deadline = patience;
  const std::vector<ChallengeSolver*> solvers(1, &world.solver);
  Result<IssuedCertificate> issued = co_await engine::issue(*session, *account, request, solvers);
  co_return issued;
}

/// Renews when two thirds of the lifetime are over.
Flow<Result<int>> keep_fresh(VirtualWorld& world, int renewals, std::set<Bytes>& serials) {
  Result<engine::Session> session = co_await engine::connect(world.ca.directory_url());
  if (!session) co_return session.error();
  const AccountOptions account_options;
  Result<Account> account = co_await engine::new_account(*session, AccountKey::generate(), account_options);
  if (!account) co_return account.error();
  const std::vector<ChallengeSolver*> solvers(1, &world.solver);
  int done = 0;
  for (; done <= renewals; ++done) {
    IssueRequest request(std::vector<std::string>(1, "long.example"));
    Result<IssuedCertificate> issued = co_await engine::issue(*session, *account, request, solvers);
    if (!issued) co_return issued.error();
    const Certificate leaf = Certificate::from_pem(issued->chain_pem);
    serials.insert(leaf.serial);
    const Instant instant = co_await now();
    const auto renew_at = leaf.not_before + (leaf.not_after - leaf.not_before) * 2 / 3;
    Result<void> waited = co_await wait(std::chrono::duration_cast<std::chrono::milliseconds>(renew_at - instant.wall));
    if (!waited) co_return waited.error();
  }
  co_return done;
}

}  // namespace

TEST_CASE("virtual time: a CA that takes minutes to validate and to issue costs milliseconds") {
  TestCaOptions options;
  options.validation_delay = 7min;
  options.issuance_delay = 11min;
  VirtualWorld world(std::move(options));
  const auto real_start = std::chrono::steady_clock::now();
  Result<IssuedCertificate> issued =
      world.driver.drive(first_certificate(world, std::vector<std::string>{"a.example", "b.example"}, 1h));
  const auto real = std::chrono::steady_clock::now() - real_start;
  REQUIRE_MESSAGE(issued, issued.error().what());
  const auto virtual_time = world.clock.now() - VirtualWorld::start;
  CHECK(virtual_time >= 18min);
  CHECK(virtual_time < 20min);
  CHECK(real < 5s);
  MESSAGE("virtual ", std::chrono::duration_cast<std::chrono::seconds>(virtual_time).count(), " s, real ",
          std::chrono::duration_cast<std::chrono::milliseconds>(real).count(), " ms");
  const Certificate leaf = Certificate::from_pem(issued->chain_pem);
  CHECK(leaf.matches(*issued->key));
  CHECK(leaf.not_before >= VirtualWorld::start + 7min);
  CHECK(leaf.not_before < VirtualWorld::start + 8min);
  CHECK(world.web.empty());
}

TEST_CASE("virtual time: a CA that takes longer than the caller's patience") {
  TestCaOptions options;
  options.validation_delay = 2h;
  VirtualWorld world(std::move(options));
  Result<IssuedCertificate> issued =
      world.driver.drive(first_certificate(world, std::vector<std::string>(1, "a.example"), 600s));
  REQUIRE(!issued);
  CHECK(issued.error().code() == Errc::deadline);
  CHECK(world.clock.now() - VirtualWorld::start < 11min);
  CHECK(world.web.empty());
}

TEST_CASE("virtual time: a certificate renewed twenty times over three years") {
  TestCaOptions options;
  options.certificate_lifetime = 24h * 83;
  options.keep_expired = 24h * 7;
  options.validation_delay = 5s;
  options.issuance_delay = 5s;
  VirtualWorld world(std::move(options));
  std::set<Bytes> serials;
  Result<int> done = world.driver.drive(keep_fresh(world, 20, serials));
  REQUIRE_MESSAGE(done, done.error().what());
  CHECK(*done == 21);
  CHECK(serials.size() == 21);
  CHECK(world.clock.now() - VirtualWorld::start > 24h * 365 * 3);
  CHECK(world.web.empty());
  // Renewed every 55 days, so only the last order and authorization are left, and the certificates of 90 days.
  const TestCaSizes sizes = world.ca.sizes();
  CHECK(sizes.orders <= 1);
  CHECK(sizes.authorizations <= 1);
  CHECK(sizes.certificates <= 2);
  CHECK(world.ca.issued().size() == sizes.certificates);
}
