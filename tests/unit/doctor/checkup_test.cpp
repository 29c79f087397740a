// The CA, its clock, the account and the limits, in virtual time.
#include <doctest/doctest.h>

#include "base/time.hpp"
#include "culmen/checkup.hpp"
#include "culmen/directory.hpp"
#include "culmen/engine.hpp"
#include "culmen/rate_ledger.hpp"
#include "culmen/records.hpp"
#include "culmen/stored_accounts.hpp"
#include "support/text.hpp"
#include "support/virtual_world.hpp"

using namespace culmen;
using Verdict = Finding::Verdict;
using std::chrono::seconds;

namespace {

const std::string letsencrypt = resolve_directory_url("letsencrypt");

/// A CA at Let's Encrypt's URL that says what time it is, and a storage.
struct Ward {
  test::VirtualWorld world;
  std::shared_ptr<Storage> storage = memory_storage();
  seconds ahead{0};  ///< The clock here, of the CA's.
  bool says_date = true;
  VirtualDriver driver{world.clock, [this](const HttpRequest& request) {
                         HttpRequest same = request;
                         if (request.url == letsencrypt) same.url = world.ca.directory_url();
                         TimedResponse response = world.ca.handle(same);
                         if (!response.response) return response;
                         auto& headers = response.response->headers;
                         std::erase_if(headers, [](const auto& header) { return header.first == "date"; });
                         const std::string date = base::format_http_date(world.clock.now() - ahead);
                         if (says_date) headers.emplace_back("date", date);
                         return response;
                       }};

  Account make_account() {
    const engine::Session session = driver.drive(engine::connect(letsencrypt)).value();
    LeaseOptions lease;
    lease.owner = "test";
    const auto options = [] {
      AccountOptions agreed;
      agreed.agree_tos = true;
      return agreed;
    };
    return driver.drive(register_stored_account(storage, session, "", options, false, lease)).value();
  }
  std::vector<Finding> findings() {
    CheckupRequest request;
    request.spec.names = {"192.0.2.1"};
    request.spec.cas = {"letsencrypt"};
    request.spec.challenge = "http-01";
    request.storage = storage;
    return driver.drive(check_up(std::move(request))).value();
  }
  Finding finding(const std::string& check) {
    for (const Finding& one : findings()) {
      if (one.check == check) return one;
    }
    return Finding(Verdict::note, check, "", "no finding");
  }
};

}  // namespace

TEST_CASE("doctor: the clock against the CA's") {
  Ward ward;
  CHECK(ward.finding("clock").verdict == Verdict::good);
  ward.ahead = seconds(300);
  CHECK(ward.finding("clock").verdict == Verdict::note);
  CHECK(ward.finding("clock").found == "the clock is 300 s ahead of the CA's");
  ward.ahead = seconds(-7200);
  CHECK(ward.finding("clock").verdict == Verdict::machine);
  CHECK(contains(ward.finding("clock").found, "the clock is 7200 s behind the CA's"));
  ward.says_date = false;
  CHECK(ward.finding("clock").verdict == Verdict::note);
}

TEST_CASE("doctor: the account: none, valid, ended elsewhere, damaged, and nothing is made") {
  Ward ward;
  CHECK(ward.finding("account").found == "there is none here yet");
  CHECK(ward.driver.drive(ward.storage->list("", "", 1000, false)).value().empty());
  const Account account = ward.make_account();
  CHECK(ward.finding("account").verdict == Verdict::good);
  CHECK(contains(ward.finding("account").found, " is valid"));
  const engine::Session session = ward.driver.drive(engine::connect(letsencrypt)).value();
  ward.driver.drive(engine::deactivate_account(session, account)).value();
  CHECK(ward.finding("account").verdict == Verdict::refused);
  ward.driver.drive(write_one(*ward.storage, Write(account_key_of(letsencrypt), "damaged"))).value();
  CHECK(ward.finding("account").verdict == Verdict::machine);
}

TEST_CASE("doctor: what the ledger would refuse") {
  Ward ward;
  const Account account = ward.make_account();
  CHECK(ward.finding("limits").verdict == Verdict::good);
  const std::vector<RateLimit> limits = known_rate_limits(letsencrypt);
  RateLedger ledger;
  CountedOrder order;
  order.names = {"192.0.2.1"};
  for (int i = 0; i < 5; ++i) {
    ledger.count_order(limits, order, ward.world.clock.now());
    ledger.count_certificate(limits, order, ward.world.clock.now());
  }
  ward.driver.drive(write_one(*ward.storage, Write(rates_key(letsencrypt, account.url), ledger.to_json()))).value();
  const Finding full = ward.finding("limits");
  CHECK(full.verdict == Verdict::temporary);
  CHECK(contains(full.found, "the CA's limits do not allow an order before 20"));
}

TEST_CASE("doctor: what is not valid is an error, not a finding") {
  Ward ward;
  const auto code = [&](CheckupRequest request) {
    request.storage = ward.storage;
    const Result<std::vector<Finding>> checked = ward.driver.drive(check_up(std::move(request)));
    return checked ? std::string() : std::string(to_string(checked.error().code()));
  };
  CheckupRequest request;
  CHECK(code(request) == "invalid_argument");
  request.spec.cas = {"letsencrypt"};
  request.spec.names = {"a..b"};
  CHECK(code(request) == "invalid_argument");
  request.spec.names = {"a.example"};
  request.dns_servers = {"ns.example"};
  CHECK(code(request) == "invalid_argument");
}
