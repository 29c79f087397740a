// The rule for each request when its response is lost, the server fails, a reply is odd, or the endpoints have moved.
// docs/requests.md has the table.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "crypto/key.hpp"
#include "culmen/engine.hpp"
#include "jose/jwk.hpp"
#include "support/fake_ca.hpp"
#include "support/issue_run.hpp"
#include "support/scripted_driver.hpp"

using namespace culmen;
using namespace culmen::test;
using namespace std::chrono_literals;

namespace {

const AccountKey& next_key() {
  static const AccountKey key = AccountKey::generate();
  return key;
}

boost::json::object jwk_of(const AccountKey& key) {
  return boost::json::parse(jose::public_jwk(crypto::public_parts(key.private_key()))).as_object();
}

/// A CA with a session and an account, and a nonce at hand: the first ask of a verb is its own request.
struct Bench {
  explicit Bench(SessionOptions options = {}) : ca({"example.com"}), driver(ca) {
    ca.account_jwk = jwk_of(Run::account_key());
    Result<engine::Session> connected = driver.drive(engine::connect("https://ca.test/dir", options));
    REQUIRE(connected.has_value());
    session = *connected;
    REQUIRE(driver.drive(engine::get_account(session, account)).has_value());
    forget();
  }
  void forget() {
    ca.log.clear();
    ca.requests.clear();
    driver.asks = 0;
    driver.script.clear();
    driver.waited = 0us;
  }
  int count(const std::string& line) const { return static_cast<int>(std::ranges::count(ca.log, line)); }

  Result<Order> new_order(const std::string& replaces = {}) {
    OrderRequest request(std::vector<Identifier>(1, Identifier::dns("example.com")));
    request.replaces = replaces;
    return driver.drive(engine::new_order(session, account, request));
  }

  FakeCa ca;
  ScriptedDriver driver;
  engine::Session session;
  Account account{"https://ca.test/acct/1", Run::account_key()};
};

using Verb = std::function<bool(Bench&)>;

/// What a request does when its response is lost and when it failed on the way: all survive both.
struct Rule {
  std::string request;
  Verb verb;
  std::vector<std::string> after_lost;  ///< What is sent when the response was lost.
};

std::vector<Rule> rules() {
  std::vector<Rule> rules;
  const auto add = [&rules](std::string request, std::vector<std::string> after_lost, Verb verb) {
    rules.push_back(Rule{std::move(request), std::move(verb), std::move(after_lost)});
  };
  const Account account("https://ca.test/acct/1", Run::account_key());
  add("newAccount", {"POST /new-account", "POST /new-account"}, [](Bench& b) {
    AccountOptions options;
    options.agree_tos = true;
    return b.driver.drive(engine::new_account(b.session, Run::account_key(), options)).has_value();
  });
  add("find account", {"POST /new-account", "POST /new-account"},
      [](Bench& b) { return b.driver.drive(engine::find_account(b.session, Run::account_key())).has_value(); });
  add("account", {"POST /acct/1", "POST /acct/1"},
      [account](Bench& b) { return b.driver.drive(engine::get_account(b.session, account)).has_value(); });
  add("update account", {"POST /acct/1", "POST /acct/1"}, [account](Bench& b) {
    return b.driver.drive(engine::update_account(b.session, account, std::vector<std::string>{"mailto:a@b.test"}))
        .has_value();
  });
  add("deactivate account", {"POST /acct/1", "POST /acct/1"}, [account](Bench& b) {
    const Result<Account> gone = b.driver.drive(engine::deactivate_account(b.session, account));
    return gone && gone->status == AccountStatus::deactivated && b.ca.deactivated;
  });
  add("keyChange", {"POST /key-change", "POST /new-account"}, [account](Bench& b) {
    const Result<Account> changed = b.driver.drive(engine::key_change(b.session, account, next_key()));
    return changed && changed->thumbprint() == next_key().thumbprint() && b.ca.account_jwk == jwk_of(next_key());
  });
  add("newOrder", {"POST /new-order", "POST /new-order"}, [](Bench& b) { return b.new_order().has_value(); });
  add("order", {"POST /order/1", "POST /order/1"}, [account](Bench& b) {
    return b.driver.drive(engine::get_order(b.session, account, "https://ca.test/order/1")).has_value();
  });
  add("newAuthz", {"POST /new-authz", "POST /new-authz"}, [account](Bench& b) {
    return b.driver.drive(engine::new_authorization(b.session, account, Identifier::dns("example.com"))).has_value();
  });
  add("authorization", {"POST /authz/0", "POST /authz/0"}, [account](Bench& b) {
    return b.driver.drive(engine::get_authorization(b.session, account, "https://ca.test/authz/0")).has_value();
  });
  add("deactivate authorization", {"POST /authz/0", "POST /authz/0"}, [account](Bench& b) {
    const Result<Authorization> gone =
        b.driver.drive(engine::deactivate_authorization(b.session, account, "https://ca.test/authz/0"));
    return gone && gone->status == AuthorizationStatus::deactivated && b.ca.authorization_deactivated;
  });
  add("challenge", {"POST /chall/0", "POST /chall/0"}, [account](Bench& b) {
    Challenge challenge;
    challenge.type = "http-01";
    challenge.url = "https://ca.test/chall/0";
    return b.driver.drive(engine::trigger_challenge(b.session, account, challenge)).has_value() &&
           b.ca.triggered[0] == 1;
  });
  add("finalize", {"POST /finalize/1", "POST /order/1"}, [account](Bench& b) {
    b.ca.authorized_before = true;
    Order order;
    order.url = "https://ca.test/order/1";
    order.finalize = "https://ca.test/finalize/1";
    const Bytes csr = build_csr({"example.com"}, next_key().private_key());
    return b.driver.drive(engine::finalize(b.session, account, order, csr)).has_value() && b.ca.issued;
  });
  add("certificate", {"POST /cert/1", "POST /cert/1"}, [account](Bench& b) {
    b.ca.finalized_key = next_key().private_key().public_key_der();
    return b.driver.drive(engine::download_chain(b.session, account, "https://ca.test/cert/1")).has_value();
  });
  add("certificate by GET", {"GET /cert/1", "GET /cert/1"}, [](Bench& b) {
    b.ca.finalized_key = next_key().private_key().public_key_der();
    return b.driver.drive(engine::get_certificate("https://ca.test/cert/1")).has_value();
  });
  add("revokeCert", {"POST /revoke", "POST /revoke"}, [account](Bench& b) {
    return b.driver.drive(engine::revoke_certificate(b.session, account, Bytes(3, 0))).has_value() && b.ca.revoked;
  });
  return rules;
}

}  // namespace

TEST_CASE("requests: each survives a lost response, a lost request and a server that fails once") {
  for (const Rule& rule : rules()) {
    CAPTURE(rule.request);
    for (const Fault fault : {Fault::lost_after, Fault::lost_before, Fault::server_error}) {
      CAPTURE(static_cast<int>(fault));
      Bench bench;
      bench.driver.faults[0] = fault;
      CHECK(rule.verb(bench));
      std::erase(bench.ca.log, "HEAD /nonce");
      if (fault == Fault::lost_after) CHECK(bench.ca.log == rule.after_lost);
      CHECK(bench.driver.waited <= (fault == Fault::server_error ? 500ms : 0ms));
    }
  }
}

TEST_CASE("requests: a server that never answers or always fails is given up, after a bounded number and time") {
  for (const Rule& rule : rules()) {
    CAPTURE(rule.request);
    for (const Fault fault : {Fault::lost_before, Fault::server_error}) {
      Bench bench;
      for (std::size_t k = 0; k < 200; ++k) bench.driver.faults[k] = fault;
      CHECK_FALSE(rule.verb(bench));
      CHECK(bench.driver.asks <= 40);
      CHECK(bench.driver.waited <= 30s);
    }
  }
}

TEST_CASE("requests: what is looked up is not sent again to a server that asks to wait or will not change its mind") {
  for (const Rule& rule : rules()) {
    const std::string path = rule.after_lost.front().substr(rule.after_lost.front().find('/'));
    CAPTURE(rule.request);
    for (const auto& [failure, retry_after] : {std::pair(503, "3600"), {500, "3600"}, {501, ""}, {505, ""}}) {
      const int status = failure;
      CAPTURE(status);
      Bench bench;
      int sent = 0;
      bench.driver.instead = [&, status = status, wait = std::string(retry_after)](
                                 const HttpRequest& request) -> std::optional<HttpResponse> {
        const bool is_look = request.body.find(R"("payload":"")") != std::string::npos;
        if (!request.url.ends_with(path) || (is_look && sent > 0)) return {};
        ++sent;
        HttpResponse response;
        response.status = status;
        response.url = request.url;
        if (!wait.empty()) response.headers.emplace_back("retry-after", wait);
        return response;
      };
      (void)rule.verb(bench);
      CHECK(sent <= 1);
    }
  }
}

TEST_CASE("finalize: a response that is lost after orderNotReady is looked up too") {
  Bench bench;
  bench.ca.authorized_before = true;
  bench.ca.not_ready = 1;
  Order order;
  order.url = "https://ca.test/order/1";
  order.finalize = "https://ca.test/finalize/1";
  bench.driver.faults[2] = Fault::lost_after;  // the CSR, the order, and the CSR again
  const Bytes csr = build_csr({"example.com"}, next_key().private_key());
  const Result<Order> finalized = bench.driver.drive(engine::finalize(bench.session, bench.account, order, csr));
  CHECK(bench.count("POST /finalize/1") == 2);
  REQUIRE(finalized.has_value());
  CHECK(finalized->status == OrderStatus::valid);
}

TEST_CASE("key_change: a second request may be refused because the first one arrived after the look") {
  Bench bench;
  bench.driver.faults[0] = Fault::lost_before;
  bench.driver.instead = [&](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (!request.url.ends_with("/key-change")) return {};
    HttpResponse response = bench.ca.handle(request);  // the first, which was late
    response.status = 401;
    response.body = R"({"type":"urn:ietf:params:acme:error:unauthorized","detail":"unknown key"})";
    return response;
  };
  const Result<Account> changed = bench.driver.drive(engine::key_change(bench.session, bench.account, next_key()));
  REQUIRE(changed.has_value());
  CHECK(changed->thumbprint() == next_key().thumbprint());
}

TEST_CASE("requests: the directory and nonces are asked for again, like all that changes nothing") {
  for (const Fault fault : {Fault::lost_before, Fault::lost_after, Fault::server_error}) {
    FakeCa ca({"example.com"});
    ScriptedDriver driver(ca);
    driver.faults[0] = fault;
    const Result<engine::Session> session = driver.drive(engine::connect("https://ca.test/dir"));
    REQUIRE(session.has_value());
    driver.asks = 0;
    const Account account("https://ca.test/acct/1", Run::account_key());
    CHECK(driver.drive(engine::get_account(*session, account)).has_value());  // begins with a nonce
    CHECK(std::ranges::count(ca.log, "HEAD /nonce") == (fault == Fault::lost_before ? 1 : 2));
  }
}

TEST_CASE("requests: Retry-After of a rate limit at the directory is obeyed") {
  FakeCa ca({"example.com"});
  Execution<Result<engine::Session>> execution(engine::connect("https://ca.test/dir"), [] { return Instant(); });
  auto& first = static_cast<SendAsk&>(*execution.next());
  HttpResponse busy;
  busy.status = 429;
  busy.url = first.request.url;
  busy.headers.emplace_back("retry-after", "7");
  execution.answer(first, busy);
  Ask* then = execution.next();
  REQUIRE(then);
  REQUIRE(then->kind() == Ask::Kind::wait);
  CHECK(static_cast<WaitAsk*>(then)->duration == 7s);
}

TEST_CASE("requests: replies that nobody needs may be odd") {
  const Account account("https://ca.test/acct/1", Run::account_key());
  const std::pair<std::string, std::string> needless[] = {
      {"newAccount", "POST /new-account"},
      {"update account", "POST /acct/1"},
      {"deactivate account", "POST /acct/1"},
      {"keyChange", "POST /key-change"},
      {"newOrder", "POST /new-order"},
      {"newAuthz", "POST /new-authz"},
      {"deactivate authorization", "POST /authz/0"},
      {"challenge", "POST /chall/0"},
      {"finalize", "POST /finalize/1"},
      {"revokeCert", "POST /revoke"},
  };
  const std::vector<Rule> all = rules();
  for (const auto& [request, line] : needless) {
    const std::string name = request;
    CAPTURE(name);
    const auto rule = std::ranges::find(all, name, &Rule::request);
    REQUIRE(rule != all.end());
    Bench bench;
    bench.ca.odd_replies[line] = 1;
    CHECK(rule->verb(bench));
  }
  Run run({"a.example.com", "b.example.com"});
  run.ca.odd_replies = {{"POST /new-account", 1},
                        {"POST /new-order", 1},
                        {"POST /chall/0", 1},
                        {"POST /chall/1", 1},
                        {"POST /finalize/1", 1}};
  CHECK(run.go().has_value());
  check_nothing_lost(run);
}

TEST_CASE("key_change: after an odd reply and after a cancellation the CA is asked which key counts") {
  Bench odd;
  odd.ca.odd_replies["POST /key-change"] = 1;
  const Result<Account> changed = odd.driver.drive(engine::key_change(odd.session, odd.account, next_key()));
  REQUIRE(changed.has_value());
  CHECK(changed->thumbprint() == next_key().thumbprint());
  CHECK(odd.ca.log == std::vector<std::string>{"POST /key-change", "POST /new-account"});

  // Cancelled while the request was out. The first time it arrived, the second time it did not.
  for (const bool arrived : {true, false}) {
    CAPTURE(arrived);
    Bench bench;
    if (arrived) bench.ca.account_jwk = jwk_of(next_key());
    bench.driver.faults[0] = Fault::cancelled;
    const Result<Account> outcome = bench.driver.drive(engine::key_change(bench.session, bench.account, next_key()));
    CHECK(outcome.has_value() == arrived);
    if (arrived) CHECK(outcome->thumbprint() == next_key().thumbprint());
    if (!arrived) CHECK(outcome.error().code() == Errc::cancelled);
    CHECK(bench.count("POST /new-account") == (arrived ? 1 : 2));
    // The caller waits for the end of what it cancelled: not for long.
    for (const HttpRequest& request : bench.ca.requests) CHECK(request.time_limit <= 5s);
  }
}

TEST_CASE("new_order: replaces is dropped for what is about it, and for nothing else") {
  const std::pair<std::pair<int, std::string>, bool> rows[] = {
      {{409, "alreadyReplaced"}, true},     {{409, "conflict"}, true},
      {{404, "malformed"}, true},           {{400, "malformed"}, true},
      {{403, "unauthorized"}, true},        {{429, "rateLimited"}, false},
      {{403, "rateLimited"}, false},        {{500, "serverInternal"}, false},
      {{400, "rejectedIdentifier"}, false}, {{403, "caa"}, false},
      {{400, "invalidProfile"}, false},
  };
  for (const auto& [problem, dropped] : rows) {
    const auto refusal = problem;
    CAPTURE(refusal.second);
    Run run({"a.example.com"});
    run.ca.refuse_order = refusal;
    run.request.replaces = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
    CHECK(run.go().has_value() == dropped);
    CHECK(run.saw(IssueProgress::Step::replaces_dropped) == dropped);
    const bool repeated = dropped || refusal.first == 500;  // a server that fails is asked once more
    CHECK(run.count("POST /new-order") == (repeated ? 2 : 1));
  }
}

TEST_CASE("the directory is fetched again when it is old, and kept when that fails") {
  SessionOptions options;
  options.directory_lifetime = 3600s;
  Bench bench(options);
  bench.ca.directory_meta = R"({"website":"https://new.test"})";
  CHECK(bench.new_order().has_value());
  CHECK(bench.count("GET /dir") == 0);
  bench.driver.time.steady += 3601s;
  CHECK(bench.new_order().has_value());
  CHECK(bench.new_order().has_value());
  CHECK(bench.count("GET /dir") == 1);
  CHECK(bench.session.directory().meta.website == "https://new.test");

  bench.driver.time.steady += 3601s;
  bench.forget();
  for (const std::size_t k : {0, 2, 4, 6}) bench.driver.faults[k] = Fault::server_error;  // each try but not the pauses
  CHECK(bench.new_order().has_value());
  CHECK(bench.session.directory().meta.website == "https://new.test");
  bench.driver.faults.clear();
  bench.forget();
  CHECK(bench.new_order().has_value());
  CHECK(bench.count("GET /dir") == 0);  // not before each request
}

TEST_CASE("an endpoint that has moved is found through the directory, once") {
  for (const int status : {404, 410}) {
    Bench bench;
    bench.ca.version = "/v2";
    bench.ca.endpoint_status = status;
    CHECK(bench.new_order().has_value());
    CHECK(bench.ca.log == std::vector<std::string>{"POST /new-order", "GET /dir", "POST /v2/new-order"});
    CHECK(bench.session.directory().new_order == "https://ca.test/v2/new-order");
    CHECK(bench.driver.drive(engine::revoke_certificate(bench.session, bench.account, Bytes(3, 0))).has_value());
  }
  // Nothing has moved: the error is reported, and the directory not fetched for every error.
  Bench bench;
  bench.ca.refuse_order = std::pair(404, std::string("malformed"));
  for (int i = 0; i < 3; ++i) CHECK(bench.new_order("replaced").error().code() == Errc::malformed);
  CHECK(bench.count("GET /dir") == 1);
  CHECK(bench.count("POST /new-order") == 3);
}

TEST_CASE("an endpoint that has moved is found by all flows that ask for it at the same time") {
  Bench bench;
  bench.ca.version = "/v2";
  const auto both = [](engine::Session session, Account account) -> Flow<Result<void>> {
    std::vector<Flow<Result<Order>>> orders;
    for (int i = 0; i < 3; ++i) {
      OrderRequest request(std::vector<Identifier>(1, Identifier::dns("example.com")));
      orders.push_back(engine::new_order(session, account, request));
    }
    const std::vector<Result<Order>> placed = co_await all(std::move(orders));
    for (const Result<Order>& order : placed) {
      if (!order) co_return order.error();
    }
    co_return Result<void>();
  };
  const Result<void> placed = bench.driver.drive(both(bench.session, bench.account));
  REQUIRE_MESSAGE(placed.has_value(), (placed ? "" : placed.error().what()));
  CHECK(bench.count("POST /v2/new-order") == 3);
}

TEST_CASE("nonces and renewal information: moved endpoints are found too") {
  Bench bench;
  bench.ca.version = "/v2";
  bench.driver.time.steady += 1000s;  // nonces are too old
  CHECK(bench.driver.drive(engine::get_account(bench.session, bench.account)).has_value());
  CHECK(bench.ca.log == std::vector<std::string>{"HEAD /nonce", "GET /dir", "HEAD /v2/nonce", "POST /acct/1"});
}

TEST_CASE("renewal information: a CA that does not answer costs ten seconds at most, once") {
  Run run({"a.example.com"});
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE(issued.has_value());
  Bench bench;
  REQUIRE(bench.driver.drive(engine::get_renewal_info(bench.session, issued->chain_pem)).has_value());
  REQUIRE(bench.ca.requests.size() == 1);
  CHECK(bench.ca.requests[0].time_limit == 10s);

  const auto limit = [] {
    Instant late;
    late.steady += 10s;
    return late;
  };
  int asked = 0;
  Execution<Result<RenewalInfo>> execution(engine::get_renewal_info(bench.session, issued->chain_pem),
                                           [&] { return asked == 0 ? Instant() : limit(); });
  while (Ask* ask = execution.next()) {
    ++asked;
    execution.answer(static_cast<SendAsk&>(*ask), Error(Errc::timeout, "waiting", "scripted"));
  }
  REQUIRE(execution.done());
  CHECK(asked == 1);
  CHECK(execution.result().error().code() == Errc::timeout);
}

TEST_CASE("accounts: contacts that the CA does not keep are in the warnings") {
  Bench bench;
  AccountOptions options;
  options.agree_tos = true;
  options.contacts = {"mailto:one@example.com"};
  bench.ca.contacts = options.contacts;
  CHECK(bench.driver.drive(engine::new_account(bench.session, Run::account_key(), options))->warnings.empty());
  bench.ca.keeps_contacts = false;
  const Result<Account> ignored = bench.driver.drive(engine::new_account(bench.session, Run::account_key(), options));
  REQUIRE(ignored->warnings.size() == 1);
  CHECK(ignored->warnings[0].find("the CA shows none") != std::string::npos);
  const std::vector<std::string> others = {"mailto:two@example.com"};
  CHECK(bench.driver.drive(engine::update_account(bench.session, bench.account, others))->warnings.size() == 1);
}

TEST_CASE("errors: a URL that the CA made up is its fault, not the caller's") {
  Bench bench;
  Execution<Result<Order>> execution(engine::get_order(bench.session, bench.account, "gopher://ca.test/order"),
                                     [] { return Instant(); });
  auto& ask = static_cast<SendAsk&>(*execution.next());
  execution.answer(ask, Error(Errc::invalid_argument, "sending", "the scheme has to be https"));
  execution.next();
  REQUIRE(execution.done());
  CHECK(execution.result().error().code() == Errc::bad_response);
}

TEST_CASE("requests: a CA that was asked for by https cannot lead its client to http") {
  // Every kind of request: the directory, nonces, an issuance, renewal information, and certificates without an
  // account.
  Bench bench;
  CHECK(bench.driver.asks == 0);
  Run run({"a.example.com", "b.example.com"});
  const Result<IssuedCertificate> issued = run.go();
  REQUIRE_MESSAGE(issued, issued.error().what());
  (void)bench.driver.drive(engine::get_renewal_info(bench.session, issued->chain_pem));
  (void)bench.driver.drive(engine::get_certificate("https://ca.test/certificate/1"));
  (void)bench.driver.drive(engine::get_star_certificate("https://ca.test/certificate/1"));
  CHECK(bench.driver.asks >= 3);
  CHECK(run.driver.asks > 10);
  CHECK(bench.driver.may_use_http == 0);
  CHECK(run.driver.may_use_http == 0);
}
