// The verbs against a scripted CA: what goes over the wire, nonces, badNonce, busy servers, faults at every ask.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "crypto/key.hpp"
#include "culmen/driver.hpp"
#include "culmen/engine.hpp"
#include "jose/jwk.hpp"
#include "support/fake_ca.hpp"
#include "support/scripted_driver.hpp"

using namespace culmen;
using namespace culmen::test;

namespace {

const AccountKey& account_key() {
  static const AccountKey key = AccountKey::generate("ec:P-256");
  return key;
}
const AccountKey& other_key() {
  static const AccountKey key = AccountKey::generate("ec:P-384");
  return key;
}
Account known_account() { return Account("https://ca.test/acct/1", account_key()); }

AccountOptions agreeing() {
  AccountOptions options;
  options.agree_tos = true;
  return options;
}

engine::Session connected(FakeCa& ca, SessionOptions options = {}) {
  ScriptedDriver driver(ca);
  Result<engine::Session> session = driver.drive(engine::connect("https://ca.test/dir", options));
  REQUIRE(session.has_value());
  ca.log.clear();
  const std::string jwk = jose::public_jwk(crypto::public_parts(account_key().private_key()));
  ca.account_jwk = boost::json::parse(jwk).as_object();
  return *session;
}

int count_requests(const FakeCa& ca, const std::string& line) {
  return static_cast<int>(std::ranges::count(ca.log, line));
}

}  // namespace

TEST_CASE("nonces: fetched only when there is none, taken from every answer, used once") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  REQUIRE(driver.drive(engine::new_account(session, account_key(), agreeing())).has_value());
  for (int i = 0; i < 5; ++i) REQUIRE(driver.drive(engine::get_account(session, known_account())).has_value());
  CHECK(count_requests(ca, "HEAD /nonce") == 1);
  CHECK(std::set<std::string>(ca.nonces_used.begin(), ca.nonces_used.end()).size() == ca.nonces_used.size());
}

TEST_CASE("nonces: an error's nonce is kept too") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  CHECK_FALSE(driver.drive(engine::get_order(session, known_account(), "https://ca.test/nowhere")).has_value());
  CHECK(driver.drive(engine::get_account(session, known_account())).has_value());
  CHECK(count_requests(ca, "HEAD /nonce") == 1);
}

TEST_CASE("nonces: old ones are not used") {
  FakeCa ca({"example.com"});
  SessionOptions options;
  options.nonce_lifetime = std::chrono::seconds(60);
  const engine::Session session = connected(ca, options);
  ScriptedDriver driver(ca);
  REQUIRE(driver.drive(engine::get_account(session, known_account())).has_value());
  driver.time.steady += std::chrono::seconds(61);
  REQUIRE(driver.drive(engine::get_account(session, known_account())).has_value());
  CHECK(count_requests(ca, "HEAD /nonce") == 2);
}

TEST_CASE("badNonce: sent again exactly once by a verb, with the nonce of the error") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  ca.bad_nonces = 1;
  REQUIRE(driver.drive(engine::get_account(session, known_account())).has_value());
  CHECK(count_requests(ca, "POST /acct/1") == 2);
  CHECK(count_requests(ca, "HEAD /nonce") == 1);
  REQUIRE(ca.nonces_used.size() == 2);
  CHECK(ca.nonces_used[1] == ca.nonces_given[1]);  // [0] came from HEAD, [1] with the error

  ca.bad_nonces = 2;
  ca.log.clear();
  const Result<Account> refused = driver.drive(engine::get_account(session, known_account()));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == Errc::bad_nonce);
  CHECK(count_requests(ca, "POST /acct/1") == 2);
}

TEST_CASE("badNonce: a session can be more patient, but not for ever") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca).with_nonce_retries(10);
  ScriptedDriver driver(ca);
  ca.bad_nonces = 10;
  CHECK(driver.drive(engine::get_account(session, known_account())).has_value());
  ca.bad_nonces = 1000;
  ca.log.clear();
  CHECK_FALSE(driver.drive(engine::get_account(session, known_account())).has_value());
  CHECK(count_requests(ca, "POST /acct/1") == 11);
}

TEST_CASE("busy servers: a Retry-After that fits is waited for, a long one is reported at once") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  ca.busy = 2;
  ca.busy_retry_after = "5";
  CHECK(driver.drive(engine::get_account(session, known_account())).has_value());
  CHECK(driver.waited == std::chrono::seconds(10));

  ca.busy = 1;
  ca.busy_retry_after = "86400";
  const std::chrono::microseconds before = driver.waited;
  const Result<Account> refused = driver.drive(engine::get_account(session, known_account()));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == Errc::rate_limited);
  CHECK(refused.error().retry_after() == std::chrono::seconds(86400));
  CHECK(is_worth_retrying(refused.error()));
  CHECK(driver.waited == before);

  ca.busy = 1000;
  ca.busy_retry_after = "1";
  ca.log.clear();
  CHECK_FALSE(driver.drive(engine::get_account(session, known_account())).has_value());
  CHECK(count_requests(ca, "POST /acct/1") == 1 + session.options().busy_retries);
}

TEST_CASE("connect: the directory is read, and what is wrong with it is said") {
  FakeCa ca({"example.com"});
  ca.directory_meta =
      R"({"termsOfService":null,"website":7,"externalAccountRequired":true,"profiles":{"short":"6 days"}})";
  const engine::Session session = connected(ca);
  CHECK(session.directory().meta.terms_of_service.empty());
  CHECK(session.directory().meta.external_account_required);
  CHECK(session.directory().meta.profiles.at("short") == "6 days");

  struct Answering {
    static Result<engine::Session> with(const std::string& body, int status = 200) {
      Execution<Result<engine::Session>> execution(engine::connect("https://ca.test/dir"), [] { return Instant(); });
      while (Ask* ask = execution.next()) {
        if (ask->kind() == Ask::Kind::wait) {
          execution.answer(static_cast<WaitAsk&>(*ask), Result<void>());
          continue;
        }
        auto& send = static_cast<SendAsk&>(*ask);
        HttpResponse response;
        response.status = status;
        response.url = send.request.url;
        response.body = body;
        execution.answer(send, response);
      }
      return execution.result();
    }
  };
  CHECK(std::string(Answering::with("<html>hello</html>").error().what()).find("not JSON") != std::string::npos);
  CHECK(std::string(
            Answering::with(R"({"newNonce":"https://ca.test/n","newAccount":"https://ca.test/a"})").error().what())
            .find("newOrder") != std::string::npos);
  CHECK(Answering::with("nothing here", 404).error().code() == Errc::http_status);
}

TEST_CASE("new_account: what the CA wants first is said before anything is sent") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  const Result<Account> not_agreed = driver.drive(engine::new_account(session, account_key(), AccountOptions()));
  REQUIRE_FALSE(not_agreed.has_value());
  CHECK(not_agreed.error().code() == Errc::user_action_required);
  CHECK(std::string(not_agreed.error().what()).find("https://ca.test/terms") != std::string::npos);
  CHECK(ca.log.empty());

  ca.directory_meta = R"({"externalAccountRequired":true})";
  const engine::Session binding = connected(ca);
  const Result<Account> unbound = driver.drive(engine::new_account(binding, account_key(), agreeing()));
  CHECK(unbound.error().code() == Errc::external_account_required);
  CHECK(ca.log.empty());

  AccountOptions wrong = agreeing();
  wrong.eab.emplace("kid", Bytes(32, 1), "HS999");
  const Result<Account> bad_alg = driver.drive(engine::new_account(binding, account_key(), wrong));
  CHECK(bad_alg.error().code() == Errc::invalid_argument);
  CHECK(ca.log.empty());
}

TEST_CASE("account verbs: payloads on the wire") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  AccountOptions options = agreeing();
  options.contacts = {"mailto:ops@example.com"};
  const Result<Account> account = driver.drive(engine::new_account(session, account_key(), options));
  REQUIRE(account.has_value());
  CHECK(account->created);
  CHECK(account->url == "https://ca.test/acct/1");
  CHECK(ca.payloads.back() == R"({"termsOfServiceAgreed":true,"contact":["mailto:ops@example.com"]})");

  REQUIRE(driver.drive(engine::find_account(session, account_key())).has_value());
  CHECK(ca.payloads.back() == R"({"onlyReturnExisting":true})");

  const Result<Account> updated =
      driver.drive(engine::update_account(session, *account, std::vector<std::string>{"mailto:new@example.com"}));
  REQUIRE(updated.has_value());
  CHECK(updated->contacts == std::vector<std::string>{"mailto:new@example.com"});
  const Result<Account> cleared = driver.drive(engine::update_account(session, *account, std::vector<std::string>{}));
  REQUIRE(cleared.has_value());
  CHECK(cleared->contacts.empty());
  CHECK(ca.payloads.back() == R"({"contact":[]})");

  const Result<Account> fetched = driver.drive(engine::get_account(session, *account));
  REQUIRE(fetched.has_value());
  CHECK(ca.payloads.back().empty());
  CHECK(fetched->url == account->url);

  const Result<Account> changed = driver.drive(engine::key_change(session, *account, other_key()));
  REQUIRE(changed.has_value());
  CHECK(changed->thumbprint() == other_key().thumbprint());
  CHECK(changed->url == account->url);

  const Result<Account> gone = driver.drive(engine::deactivate_account(session, *account));
  REQUIRE(gone.has_value());
  CHECK(gone->status == AccountStatus::deactivated);
  CHECK(ca.payloads.back() == R"({"status":"deactivated"})");
}

TEST_CASE("key_change: when the answer is lost the CA is asked which key it knows") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  REQUIRE(driver.drive(engine::get_account(session, known_account())).has_value());
  driver.asks = 0;
  driver.faults[0] = Fault::lost_after;
  const Result<Account> changed = driver.drive(engine::key_change(session, known_account(), other_key()));
  REQUIRE(changed.has_value());
  CHECK(changed->thumbprint() == other_key().thumbprint());
  CHECK(count_requests(ca, "POST /new-account") == 1);
}

TEST_CASE("new_order: refused here what no CA would take") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  const OrderRequest nothing{std::vector<Identifier>()};
  CHECK(driver.drive(engine::new_order(session, known_account(), nothing)).error().code() == Errc::invalid_argument);
  OrderRequest unknown_profile(std::vector<Identifier>(1, Identifier::dns("example.com")));
  unknown_profile.profile = "nonesuch";
  CHECK(driver.drive(engine::new_order(session, known_account(), unknown_profile)).error().code() == Errc::not_offered);
  CHECK(ca.log.empty());
}

TEST_CASE("orders: the URL is the Location's, times and identifiers travel") {
  FakeCa ca({"example.com", "www.example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  OrderRequest request(std::vector<Identifier>(1, Identifier::dns("Example.COM.")));
  request.not_before = std::chrono::system_clock::time_point(std::chrono::seconds(1800000000));
  const Result<Order> order = driver.drive(engine::new_order(session, known_account(), request));
  REQUIRE(order.has_value());
  CHECK(ca.payloads.back() ==
        R"({"identifiers":[{"type":"dns","value":"example.com"}],"notBefore":"2027-01-15T08:00:00Z"})");
  CHECK(order->url == "https://ca.test/order/1");
  CHECK(order->status == OrderStatus::pending);
  CHECK(order->authorizations.size() == 2);
}

TEST_CASE("poll_order: gives up at its deadline") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  const Result<Order> order = driver.drive(
      engine::poll_order(session, known_account(), "https://ca.test/order/1", std::optional(std::chrono::seconds(30))));
  REQUIRE_FALSE(order.has_value());
  CHECK(order.error().code() == Errc::deadline);
  CHECK(driver.waited >= std::chrono::seconds(29));
  CHECK(driver.waited <= std::chrono::seconds(31));
  CHECK(count_requests(ca, "POST /order/1") < 40);  // growing intervals
}

TEST_CASE("poll_authorization: valid ends well, invalid says why") {
  FakeCa ca({"good.example.com", "bad.example.com"});
  ca.failing_name = "bad.example.com";
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  const Result<Authorization> pending =
      driver.drive(engine::get_authorization(session, known_account(), "https://ca.test/authz/1"));
  REQUIRE(pending.has_value());
  CHECK(pending->challenges.size() == 2);  // an unknown type is kept
  CHECK(pending->find_challenge("dns-01") == nullptr);
  CHECK_THROWS_AS(pending->challenge("dns-01"), Error);
  const Result<Challenge> triggered =
      driver.drive(engine::trigger_challenge(session, known_account(), pending->challenge("http-01")));
  REQUIRE(triggered.has_value());
  CHECK(ca.payloads.back() == "{}");
  CHECK(triggered->token == "token1");
  const Result<Authorization> failed =
      driver.drive(engine::poll_authorization(session, known_account(), "https://ca.test/authz/1"));
  REQUIRE_FALSE(failed.has_value());
  CHECK(failed.error().code() == Errc::authorization_invalid);
  CHECK(std::string(failed.error().what()).find("wrong answer") != std::string::npos);
}

TEST_CASE("revocation: reasons are checked here, 0 is left out") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  for (const int reason : {-1, 7, 11}) {
    CHECK(driver.drive(engine::revoke_certificate(session, known_account(), Bytes(3, 1), std::optional(reason)))
              .error()
              .code() == Errc::invalid_argument);
  }
  CHECK(ca.log.empty());
  REQUIRE(
      driver.drive(engine::revoke_certificate(session, known_account(), Bytes(3, 0), std::optional(4))).has_value());
  CHECK(ca.payloads.back() == R"({"certificate":"AAAA","reason":4})");
  ca.revoked = false;
  REQUIRE(driver.drive(engine::revoke_certificate_with_cert_key(session, other_key().private_key(), Bytes(3, 0)))
              .has_value());
  CHECK(ca.payloads.back() == R"({"certificate":"AAAA"})");
}

TEST_CASE("delegation: the list over its pages, one of them, and a certificate by GET") {
  FakeCa ca({"example.com"});
  ca.directory_meta = R"({"delegation-enabled":true})";
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  const Result<std::vector<std::string>> none = driver.drive(engine::list_delegations(session, known_account()));
  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().code() == Errc::not_offered);

  ca.delegations = {"/delegation/1", "https://ca.test/delegation/2", "/delegation/3"};
  const Result<std::vector<std::string>> listed = driver.drive(engine::list_delegations(session, known_account()));
  REQUIRE(listed.has_value());
  CHECK(*listed == std::vector<std::string>{"https://ca.test/delegation/1", "https://ca.test/delegation/2",
                                            "https://ca.test/delegation/3"});
  ca.log.clear();
  Account account = known_account();
  account.delegations = "https://ca.test/delegations/2";
  CHECK(driver.drive(engine::list_delegations(session, account))->size() == 1);
  CHECK(count_requests(ca, "POST /acct/1") == 0);

  const Result<Delegation> delegation = driver.drive(engine::get_delegation(session, account, listed->front()));
  REQUIRE(delegation.has_value());
  CHECK(delegation->url == "https://ca.test/delegation/1");
  CHECK(delegation->cname_map.at("a.") == "b.");
  CHECK(driver.drive(engine::get_delegation(session, account, "https://ca.test/nowhere")).error().code() ==
        Errc::malformed);

  CHECK(driver.drive(engine::get_certificate("")).error().code() == Errc::invalid_argument);
  CHECK(driver.drive(engine::get_certificate("https://ca.test/cert/1")).error().http_status() == 405);
  ca.finalized_key = PrivateKey::generate().public_key_der();
  const Result<CertificateChain> chain = driver.drive(engine::get_certificate("https://ca.test/cert/1"));
  REQUIRE(chain.has_value());
  CHECK(chain->pem.starts_with("-----BEGIN CERTIFICATE-----\n"));
  CHECK(count_requests(ca, "GET /cert/1") == 2);
}

TEST_CASE("lists: one whose pages lead in a circle ends in an error, with each page fetched once") {
  FakeCa ca({"example.com"});
  const engine::Session session = connected(ca);
  ScriptedDriver driver(ca);
  ca.delegations = {"/delegation/1", "/delegation/2", "/delegation/3"};
  ca.endless_list = true;
  Account account = known_account();
  account.delegations = "https://ca.test/delegations/0";
  const Result<std::vector<std::string>> listed = driver.drive(engine::list_delegations(session, account));
  REQUIRE_FALSE(listed.has_value());
  CHECK(listed.error().code() == Errc::bad_response);
  CHECK(std::ranges::count_if(ca.log, [](const std::string& line) { return line.starts_with("POST"); }) == 3);
}

TEST_CASE("delegation: an order is asked for only where the server has delegations") {
  FakeCa ca({"example.com"});
  ScriptedDriver driver(ca);
  OrderRequest request(std::vector<Identifier>(1, Identifier::dns("example.com")));
  request.delegation = "https://ca.test/delegation/1";
  request.allow_certificate_get = true;
  const engine::Session without = connected(ca);
  CHECK(driver.drive(engine::new_order(without, known_account(), request)).error().code() == Errc::not_offered);
  CHECK(ca.log.empty());
  ca.directory_meta = R"({"delegation-enabled":true})";
  const engine::Session session = connected(ca);
  REQUIRE(driver.drive(engine::new_order(session, known_account(), request)).has_value());
  CHECK(ca.payloads.back().find(R"("delegation":"https://ca.test/delegation/1","allow-certificate-get":true)") !=
        std::string::npos);
  request.delegation.clear();
  CHECK(driver.drive(engine::new_order(session, known_account(), request)).error().code() == Errc::not_offered);
}

TEST_CASE("every verb: a fault at any ask ends in an error or in success, never in a hang, a crash or a reused nonce") {
  using Verb = std::function<bool(ScriptedDriver&, const engine::Session&)>;
  const std::vector<std::pair<std::string, Verb>> verbs = {
      {"new_account",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::new_account(s, account_key(), agreeing())).has_value();
       }},
      {"find_account",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::find_account(s, account_key())).has_value();
       }},
      {"get_account",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::get_account(s, known_account())).has_value();
       }},
      {"update_account",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::update_account(s, known_account(), std::vector<std::string>())).has_value();
       }},
      {"key_change",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::key_change(s, known_account(), other_key())).has_value();
       }},
      {"deactivate_account",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::deactivate_account(s, known_account())).has_value();
       }},
      {"new_order",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d
             .drive(engine::new_order(s, known_account(),
                                      OrderRequest(std::vector<Identifier>(1, Identifier::dns("example.com")))))
             .has_value();
       }},
      {"get_order",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::get_order(s, known_account(), "https://ca.test/order/1")).has_value();
       }},
      {"poll_order",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::poll_order(s, known_account(), "https://ca.test/order/1")).has_value();
       }},
      {"get_authorization",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::get_authorization(s, known_account(), "https://ca.test/authz/0")).has_value();
       }},
      {"poll_authorization",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::poll_authorization(s, known_account(), "https://ca.test/authz/0")).has_value();
       }},
      {"deactivate_authorization",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::deactivate_authorization(s, known_account(), "https://ca.test/authz/0")).has_value();
       }},
      {"list_delegations",
       [](ScriptedDriver& d, const engine::Session& s) {
         d.ca.delegations = {"/delegation/1", "/delegation/2"};
         return d.drive(engine::list_delegations(s, known_account())).has_value();
       }},
      {"get_delegation",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::get_delegation(s, known_account(), "https://ca.test/delegation/1")).has_value();
       }},
      {"revoke_certificate",
       [](ScriptedDriver& d, const engine::Session& s) {
         return d.drive(engine::revoke_certificate(s, known_account(), Bytes(3, 0))).has_value();
       }},
  };
  for (const auto& entry : verbs) {
    const std::string& name = entry.first;
    const Verb& verb = entry.second;
    CAPTURE(name);
    FakeCa happy({"example.com"});
    happy.authorized_before = true;
    const engine::Session session = connected(happy);
    ScriptedDriver driver(happy);
    REQUIRE(verb(driver, session));
    REQUIRE(driver.asks >= 2);
    for (const Fault fault :
         {Fault::lost_before, Fault::lost_after, Fault::garbage, Fault::server_error, Fault::cancelled}) {
      for (std::size_t k = 0; k < driver.asks; ++k) {
        CAPTURE(static_cast<int>(fault));
        CAPTURE(k);
        FakeCa ca({"example.com"});
        ca.authorized_before = true;
        const engine::Session faulty_session = connected(ca);
        ScriptedDriver faulty(ca);
        faulty.faults[k] = fault;
        const bool ended_well = verb(faulty, faulty_session);
        if (fault == Fault::cancelled) CHECK_FALSE(ended_well);
        CHECK(faulty.asks < 200);
        CHECK(std::set<std::string>(ca.nonces_used.begin(), ca.nonces_used.end()).size() == ca.nonces_used.size());
      }
    }
  }
}
