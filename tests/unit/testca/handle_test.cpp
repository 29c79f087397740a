// TestCa::handle(): the CA without sockets, on the caller's clock.
#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "acme_caller.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"
#include "culmen/test_ca.hpp"

using namespace culmen;
using namespace culmen::testca;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

constexpr std::string_view base_url = "https://test-ca.invalid";

TimedResponse fetch(TestCa& ca, std::string_view path, HttpMethod method = HttpMethod::get) {
  const HttpRequest request(method, std::string(base_url) + std::string(path));
  return ca.handle(request);
}

/// A TestCa that was not started, its clock, and one who calls it by hand.
struct Unstarted {
  explicit Unstarted(TestCaOptions options = {}) : ca(with_clock(std::move(options))) {
    caller.register_account(R"({"contact":["mailto:a@b.example"]})");
  }

  /// The way of a request through the public types and back.
  Reply exchange(const Request& request) {
    HttpRequest converted;
    converted.method = request.method == "POST"   ? HttpMethod::post
                       : request.method == "HEAD" ? HttpMethod::head
                                                  : HttpMethod::get;
    converted.url = std::string(base_url) + request.target;
    converted.body = request.body;
    converted.content_type = std::string(request.header("content-type"));
    const TimedResponse timed = ca.handle(converted);
    after = timed.after;
    lost = timed.response ? std::nullopt : std::optional<Errc>(timed.response.error().code());
    Reply reply(timed.response ? timed.response->status : 0);
    if (!timed.response) return reply;
    for (const auto& [name, value] : timed.response->headers) reply.add(name, value);
    reply.body = timed.response->body;
    return reply;
  }

  TestCaOptions with_clock(TestCaOptions options) {
    options.seed = 5;
    options.clock = [this] { return now; };
    if (!options.validate) options.validate = [](const TestCaValidation&) { return std::nullopt; };
    return options;
  }

  json::object read(const std::string& url) { return body_of(caller.post(url)); }
  std::string authz_status(const json::object& order) {
    return text_at(read(std::string(order.at("authorizations").at(0).as_string())), "status");
  }

  TimePoint now{std::chrono::seconds(1'800'000'000)};
  std::chrono::milliseconds after{0};
  std::optional<Errc> lost;
  TestCa ca;
  AcmeCaller caller{[this](const Request& request) { return exchange(request); }, std::string(base_url)};
};

}  // namespace

TEST_CASE("handle: a certificate without start, on the clock that was given") {
  Unstarted u;
  CHECK(u.ca.directory_url() == "https://test-ca.invalid/directory");
  const Certificate leaf = Certificate::from_pem(u.caller.issue({"a.example"}, PrivateKey::generate()));
  CHECK(leaf.not_before == u.now);
  CHECK(u.ca.now() == u.now);
  u.ca.advance_clock(90s);
  CHECK(u.ca.now() == u.now + 90s);
  for (const Certificate& ca : read_chain(u.ca.root_pem())) {
    CHECK(ca.not_before < std::chrono::system_clock::now());
    CHECK(ca.not_after > u.now + 24h * 3000);
  }
  TestCaOptions other;
  other.base_url = "https://other.test/ca";
  CHECK(TestCa(std::move(other)).directory_url() == "https://other.test/ca/directory");
  TestCaOptions bad;
  bad.base_url = "https://other.test/";
  CHECK_THROWS_AS(TestCa{std::move(bad)}, Error);
}

TEST_CASE("handle: neither sockets nor threads") {
  const auto entries = [](const char* folder) {
    return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
  };
  const auto threads = entries("/proc/self/task"), descriptors = entries("/proc/self/fd");
  Unstarted u;
  u.caller.issue({"a.example"}, PrivateKey::generate());
  CHECK(entries("/proc/self/task") == threads);
  CHECK(entries("/proc/self/fd") == descriptors);
}

TEST_CASE("handle: headers in lower case, HEAD without a body, and no other server's URLs") {
  Unstarted u;
  const TimedResponse directory = fetch(u.ca, "/directory");
  REQUIRE(directory.response);
  CHECK(directory.response->status == 200);
  CHECK(directory.response->url == u.ca.directory_url());
  CHECK(directory.response->header("content-type") == "application/json");
  const TimedResponse nonce = fetch(u.ca, "/acme/new-nonce", HttpMethod::head);
  REQUIRE(nonce.response);
  CHECK(nonce.response->header("replay-nonce").has_value());
  CHECK(nonce.response->body.empty());
  CHECK(fetch(u.ca, "/nothing", HttpMethod::head).response->body.empty());
  const TimedResponse elsewhere =
      u.ca.handle(HttpRequest(HttpMethod::get, "https://test-ca.invalid.example/directory"));
  REQUIRE(!elsewhere.response);
  CHECK(elsewhere.response.error().code() == Errc::connection_failed);
}

TEST_CASE("handle: it works while the CA is started, too") {
  TestCaOptions options;
  options.skip_validation = true;
  TestCa ca(std::move(options));
  ca.start();
  const TimedResponse directory = ca.handle(HttpRequest(HttpMethod::get, ca.directory_url()));
  REQUIRE(directory.response);
  CHECK(directory.response->status == 200);
  CHECK_FALSE(fetch(ca, "/directory").response.has_value());
}

TEST_CASE("handle: lost connections, endless bodies and slow answers") {
  Unstarted u;
  u.ca.plan(TestCaFault("new-order", TestCaFault::Kind::drop_before));
  u.ca.plan(TestCaFault("new-order", TestCaFault::Kind::drop_after));
  u.caller.new_order({"a.example"});
  CHECK(u.lost == Errc::connection_failed);
  CHECK(u.ca.sizes().orders == 0);
  u.caller.new_order({"a.example"});
  CHECK(u.lost == Errc::connection_failed);
  CHECK(u.ca.sizes().orders == 1);
  u.ca.plan(TestCaFault("directory", TestCaFault::Kind::oversized));
  CHECK(fetch(u.ca, "/directory").response.error().code() == Errc::response_too_large);
  TestCaFault slow("new-order", TestCaFault::Kind::slow);
  slow.delay = 1500ms;
  u.ca.plan(slow);
  CHECK(u.caller.new_order({"b.example"}).status == 201);
  CHECK(u.after == 1500ms);
  CHECK(u.ca.sizes().orders == 2);
  CHECK(u.caller.new_order({"c.example"}).status == 201);
  CHECK(u.after == 0ms);
}

TEST_CASE("handle: the validate function decides, and sees what it needs") {
  TestCaOptions options;
  std::vector<TestCaValidation> seen;
  TestCa* within = nullptr;
  options.validate = [&](const TestCaValidation& validation) -> std::optional<std::string> {
    seen.push_back(validation);
    within->request_counts();  // the CA is not locked
    if (validation.identifier.value == "throws.example") throw std::runtime_error("broken validator");
    if (validation.identifier.value == "bad.example") return "the answer is 42";
    return std::nullopt;
  };
  Unstarted u(std::move(options));
  within = &u.ca;
  const json::object order = body_of(u.caller.new_order({"good.example"}));
  u.caller.answer_challenges(order);
  CHECK(u.authz_status(order) == "valid");
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].identifier == Identifier("dns", "good.example"));
  CHECK_FALSE(seen[0].wildcard);
  CHECK(seen[0].type == "http-01");
  CHECK(seen[0].account_url == u.caller.account_url);
  CHECK(seen[0].key_authorization.starts_with(seen[0].token + "."));

  const Reply bad = u.caller.new_order({"bad.example"});
  u.caller.answer_challenges(body_of(bad));
  const json::object failed = u.read(std::string(bad.header("location")));
  CHECK(text_at(failed, "status") == "invalid");
  CHECK(json::serialize(failed).find("the answer is 42") != std::string::npos);

  const Reply thrown = u.caller.new_order({"throws.example"});
  u.caller.answer_challenges(body_of(thrown));
  CHECK(json::serialize(u.read(std::string(thrown.header("location")))).find("broken validator") != std::string::npos);

  const json::object wild = body_of(u.caller.new_order({"*.good.example"}));
  u.caller.answer_challenges(wild, "dns-01");
  CHECK(seen.back().wildcard);
  CHECK(seen.back().identifier.value == "good.example");
}

TEST_CASE("handle: validation over the network without start fails, and says what to do") {
  TestCa ca;
  AcmeCaller caller(
      [&ca](const Request& request) {
        HttpRequest converted(request.method == "POST" ? HttpMethod::post : HttpMethod::head,
                              std::string(base_url) + request.target);
        converted.body = request.body;
        converted.content_type = std::string(request.header("content-type"));
        const TimedResponse timed = ca.handle(converted);
        Reply reply(timed.response->status);
        for (const auto& [name, value] : timed.response->headers) reply.add(name, value);
        reply.body = timed.response->body;
        return reply;
      },
      std::string(base_url));
  caller.register_account();
  const Reply created = caller.new_order({"a.example"});
  caller.answer_challenges(body_of(created));
  const std::string order = caller.post(std::string(created.header("location"))).body;
  CHECK_MESSAGE(order.find("TestCaOptions::validate") != std::string::npos, order);
}

TEST_CASE("delays: outcomes become visible on the CA's clock") {
  TestCaOptions options;
  options.validation_delay = 60s;
  options.issuance_delay = 30s;
  Unstarted u(std::move(options));
  const Reply created = u.caller.new_order({"a.example"});
  const std::string url(created.header("location"));
  const json::object order = body_of(created);
  u.caller.answer_challenges(order);
  CHECK(u.authz_status(order) == "pending");
  u.now += 59s;
  CHECK(u.authz_status(order) == "pending");
  CHECK(text_at(u.read(url), "status") == "pending");
  u.now += 1s;
  CHECK(text_at(u.read(url), "status") == "ready");
  const json::object authz = u.read(std::string(order.at("authorizations").at(0).as_string()));
  CHECK(text_at(authz, "status") == "valid");
  CHECK(text_at(u.read(text_at(authz.at("challenges").at(0).as_object(), "url")), "validated") ==
        text_at(authz.at("challenges").at(0).as_object(), "validated"));

  const json::object finalized = body_of(u.caller.finalize(order, {"a.example"}, PrivateKey::generate()));
  CHECK(text_at(finalized, "status") == "processing");
  u.now += 29s;
  CHECK(text_at(u.read(url), "status") == "processing");
  u.now += 1s;
  CHECK(text_at(u.read(url), "status") == "valid");
}

TEST_CASE("delays: failures and forced outcomes are delayed too, and a second POST changes nothing") {
  TestCaOptions options;
  options.validation_delay = 10s;
  Unstarted u(std::move(options));
  u.ca.force_validation("a.example", false);
  const json::object order = body_of(u.caller.new_order({"a.example"}));
  u.caller.answer_challenges(order);
  u.now += 9s;
  u.caller.answer_challenges(order);
  CHECK(u.authz_status(order) == "pending");
  u.now += 1s;
  CHECK(u.authz_status(order) == "invalid");
}

TEST_CASE("endpoints that move: the old URLs answer 404, accounts and orders stay where they are") {
  Unstarted u;
  const Reply created = u.caller.new_order({"a.example"});
  u.ca.set_endpoint_prefix("/v2");
  CHECK(fetch(u.ca, "/acme/new-nonce").response->status == 404);
  CHECK(fetch(u.ca, "/acme/renewal-info/x.y").response->status == 404);
  const json::value directory = json::parse(fetch(u.ca, "/directory").response->body);
  CHECK(directory.at("newOrder").as_string() == "https://test-ca.invalid/v2/acme/new-order");
  CHECK(directory.at("renewalInfo").as_string() == "https://test-ca.invalid/v2/acme/renewal-info");
  CHECK(fetch(u.ca, "/v2/acme/new-nonce").response->status == 204);
  CHECK(fetch(u.ca, "/v2/directory").response->status == 404);
  const auto nonce = [&u] {
    return std::string(*fetch(u.ca, "/v2/acme/new-nonce", HttpMethod::head).response->header("replay-nonce"));
  };
  const std::string old_order(created.header("location"));
  CHECK(u.caller.post_signed(old_order, u.caller.kid_header(nonce(), old_order), "", u.caller.key).status == 200);
  const std::string moved = std::string(base_url) + "/v2/acme/new-order";
  CHECK(u.caller
            .post_signed(moved, u.caller.kid_header(nonce(), moved),
                         R"({"identifiers":[{"type":"dns","value":"b.example"}]})", u.caller.key)
            .status == 201);
  u.ca.set_endpoint_prefix("");
  CHECK(fetch(u.ca, "/acme/new-nonce").response->status == 204);
  CHECK(fetch(u.ca, "/v2/acme/new-nonce").response->status == 404);
  CHECK_THROWS_AS(u.ca.set_endpoint_prefix("v2"), Error);
}

TEST_CASE("what has expired is forgotten, what is needed is not") {
  TestCaOptions options;
  options.order_lifetime = 1h;
  options.authorization_lifetime = 2h;
  options.certificate_lifetime = 4h;
  options.nonce_lifetime = 1h;
  options.keep_expired = 20min;
  Unstarted u(std::move(options));
  const PrivateKey key = PrivateKey::generate();
  const Certificate leaf = Certificate::from_pem(u.caller.issue({"a.example"}, key));
  const Reply pending = u.caller.new_order({"b.example"});
  for (int i = 0; i < 5; ++i) u.caller.nonce();
  TestCaSizes sizes = u.ca.sizes();
  CHECK(sizes.accounts == 1);
  CHECK(sizes.orders == 2);
  CHECK(sizes.authorizations == 2);
  CHECK(sizes.certificates == 1);
  CHECK(sizes.nonces >= 5);

  u.now += 70min;  // both orders have expired, and are still there
  CHECK(text_at(u.read(std::string(pending.header("location"))), "status") == "invalid");
  u.now += 20min;
  CHECK(u.caller.post(std::string(pending.header("location"))).status == 404);
  sizes = u.ca.sizes();
  CHECK(sizes.orders == 0);
  CHECK(sizes.authorizations == 1);
  CHECK(sizes.certificates == 1);
  CHECK(sizes.nonces < 5);
  CHECK(body_of(u.caller.post(u.caller.account_url + "/orders")).at("orders").as_array().empty());
  // The certificate outlives its order: it can be replaced, downloaded and revoked.
  CHECK(u.ca.issued().size() == 1);
  CHECK_FALSE(u.ca.is_revoked(der_to_pem(leaf.der)));

  u.now += 1h;
  u.caller.nonce();
  CHECK(u.ca.sizes().authorizations == 0);
  CHECK(u.ca.sizes().certificates == 1);
  u.now += 2h;
  u.caller.nonce();
  sizes = u.ca.sizes();
  CHECK(sizes.certificates == 0);
  CHECK(u.ca.issued().empty());
  CHECK(sizes.accounts == 1);
  CHECK(pem_to_der(u.caller.issue({"a.example"}, key)).size() == 2);
}

TEST_CASE("what an order refers to is kept as long as the order") {
  TestCaOptions options;
  options.order_lifetime = 2h;
  options.certificate_lifetime = 30min;
  options.keep_expired = 0s;
  Unstarted u(std::move(options));
  u.caller.post(u.caller.url("/acme/new-authz"), R"({"identifier":{"type":"dns","value":"early.example"}})");
  u.now += 1h;
  const Reply early = u.caller.new_order({"early.example"});  // its authorization expires an hour before it
  const Reply created = u.caller.new_order({"a.example"});
  u.caller.answer_challenges(body_of(created));
  u.caller.finalize(body_of(created), {"a.example"}, PrivateKey::generate());
  u.now += 90min;
  CHECK(u.ca.sizes().authorizations == 2);
  const std::string url = text_at(u.read(std::string(created.header("location"))), "certificate");
  CHECK(pem_to_der(u.caller.post(url).body).size() == 2);
  CHECK(text_at(u.read(std::string(early.header("location"))), "status") == "invalid");
  u.now += 1h;
  CHECK(u.caller.post(url).status != 200);
  CHECK(u.ca.sizes().authorizations == 1);  // a valid one
}

TEST_CASE("a replaced certificate stays replaced when the order is forgotten, unless the order came to nothing") {
  TestCaOptions options;
  options.order_lifetime = 1h;
  options.keep_expired = 0s;
  Unstarted u(std::move(options));
  const PrivateKey key = PrivateKey::generate();
  const Certificate first = Certificate::from_pem(u.caller.issue({"a.example"}, key));
  const std::string request =
      R"({"identifiers":[{"type":"dns","value":"a.example"}],"replaces":")" + certificate_id(first.der) + "\"}";
  const auto order_again = [&] { return u.caller.post(u.caller.url("/acme/new-order"), request); };
  CHECK(order_again().status == 201);
  CHECK(problem_of(order_again()) == "alreadyReplaced 409");
  u.now += 61min;
  const Reply second = order_again();
  REQUIRE(second.status == 201);
  u.caller.answer_challenges(body_of(second));
  CHECK(u.caller.finalize(body_of(second), {"a.example"}, key).status == 200);
  u.now += 61min;
  CHECK(problem_of(order_again()) == "alreadyReplaced 409");
  CHECK(u.ca.sizes().orders == 0);
}
