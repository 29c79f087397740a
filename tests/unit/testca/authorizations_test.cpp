// RFC 8555 §7.5 and §8.
#include <doctest/doctest.h>

#include <set>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/base64.hpp"
#include "base/time.hpp"

using namespace culmen;
using namespace culmen::testca;
namespace json = boost::json;

namespace {

json::object first_authz(AcmeCaller& caller, const json::object& order) {
  return body_of(caller.post(std::string(order.at("authorizations").at(0).as_string())));
}

std::set<std::string> offered(const json::object& authz) {
  std::set<std::string> types;
  for (const json::value& challenge : authz.at("challenges").as_array())
    types.insert(text_at(challenge.as_object(), "type"));
  return types;
}

json::object challenge_of(const json::object& authz, std::string_view type) {
  for (const json::value& challenge : authz.at("challenges").as_array())
    if (text_at(challenge.as_object(), "type") == type) return challenge.as_object();
  FAIL("no challenge of that type");
  return {};
}

using Types = std::set<std::string>;

}  // namespace

TEST_CASE("which challenges are offered for what") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  caller.register_account();
  json::object name = first_authz(caller, body_of(caller.new_order({"a.example"})));
  CHECK(offered(name) == Types{"http-01", "dns-01", "tls-alpn-01"});
  CHECK_FALSE(name.contains("wildcard"));
  json::object wildcard = first_authz(caller, body_of(caller.new_order({"*.a.example"})));
  CHECK(offered(wildcard) == Types{"dns-01"});
  CHECK(wildcard.at("wildcard").as_bool());
  CHECK(text_at(wildcard.at("identifier").as_object(), "value") == "a.example");
  json::object address = first_authz(caller, body_of(caller.new_order({"192.0.2.7"})));
  CHECK(offered(address) == Types{"http-01", "tls-alpn-01"});
  CHECK(text_at(address.at("identifier").as_object(), "type") == "ip");

  std::set<std::string> tokens;
  for (const json::value& challenge : name.at("challenges").as_array()) {
    std::string token = text_at(challenge.as_object(), "token");
    REQUIRE(base::base64url_decode(token));
    CHECK(base::base64url_decode(token)->size() * 8 >= 128);
    tokens.insert(token);
  }
  CHECK(tokens.size() == 3);
}

TEST_CASE("a challenge is triggered by {} and by nothing else") {
  std::vector<ValidationJob> jobs;
  std::vector<ValidationDone> pending;
  InProcess ca({}, {{"http-01", [&](const ValidationJob& job, ValidationDone done) {
                       jobs.push_back(job);
                       pending.push_back(std::move(done));
                     }}});
  AcmeCaller caller = ca.caller();
  caller.register_account();
  json::object order = body_of(caller.new_order({"a.example"}));
  std::string authz_url(order.at("authorizations").at(0).as_string());
  json::object authz = body_of(caller.post(authz_url));
  json::object challenge = challenge_of(authz, "http-01");
  std::string url = text_at(challenge, "url");

  CHECK(text_at(body_of(caller.post(url)), "status") == "pending");  // POST-as-GET only looks
  CHECK(problem_of(caller.post(url, R"({"keyAuthorization":"x"})")) == "malformed 400");
  CHECK(problem_of(caller.post(url, "[]")) == "malformed 400");
  CHECK(jobs.empty());
  AcmeCaller other = ca.caller();
  other.register_account();
  CHECK(problem_of(other.post(url, "{}")) == "unauthorized 403");
  CHECK(problem_of(other.post(authz_url)) == "unauthorized 403");

  Reply reply = caller.post(url, "{}");
  CHECK(reply.status == 200);
  CHECK(text_at(body_of(reply), "status") == "processing");
  bool has_up = false;
  for (const auto& [name, value] : reply.headers)
    has_up = has_up || (name == "Link" && value == "<" + authz_url + ">;rel=\"up\"");
  CHECK(has_up);
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0].identifier == Identifier("dns", "a.example"));
  CHECK(jobs[0].key_authorization == text_at(challenge, "token") + "." + caller.key.thumbprint());
  caller.post(url, "{}");  // again, while it is being looked at
  CHECK(jobs.size() == 1);

  pending[0](std::nullopt);
  authz = body_of(caller.post(authz_url));
  CHECK(text_at(authz, "status") == "valid");
  CHECK(base::parse_rfc3339(text_at(authz, "expires")));
  CHECK(offered(authz) == Types{"http-01"});
  CHECK(base::parse_rfc3339(text_at(challenge_of(authz, "http-01"), "validated")));
  CHECK(caller.post(url, "{}").status == 200);
  CHECK(jobs.size() == 1);
}

TEST_CASE("a failed challenge takes its authorization with it") {
  InProcess ca({}, {{"http-01", [](const ValidationJob&, const ValidationDone& done) {
                       done(make_problem(400, "connection", "192.0.2.7: connection refused"));
                     }}});
  AcmeCaller caller = ca.caller();
  caller.register_account();
  json::object order = body_of(caller.new_order({"a.example"}));
  caller.answer_challenges(order);
  json::object authz = first_authz(caller, order);
  CHECK(text_at(authz, "status") == "invalid");
  CHECK(offered(authz) == Types{"http-01"});
  json::object error = challenge_of(authz, "http-01").at("error").as_object();
  CHECK(text_at(error, "type") == "urn:ietf:params:acme:error:connection");
  CHECK(text_at(error, "detail") == "192.0.2.7: connection refused");
}

TEST_CASE("a challenge type without a validator says so") {
  InProcess ca({}, {{"http-01", [](const ValidationJob&, const ValidationDone& done) { done(std::nullopt); }}});
  AcmeCaller caller = ca.caller();
  caller.register_account();
  json::object order = body_of(caller.new_order({"*.a.example"}));
  caller.answer_challenges(order, "dns-01");
  json::object authz = first_authz(caller, order);
  CHECK(text_at(authz, "status") == "invalid");
  std::string detail = text_at(challenge_of(authz, "dns-01").at("error").as_object(), "detail");
  CHECK(detail.find("no validator for dns-01") != std::string::npos);
}

TEST_CASE("an outcome can be forced, and left to be found out again") {
  int looked = 0;
  InProcess ca({}, {{"http-01", [&](const ValidationJob&, const ValidationDone& done) {
                       ++looked;
                       done(std::nullopt);
                     }}});
  AcmeCaller caller = ca.caller();
  caller.register_account();
  auto outcome = [&] {
    json::object order = body_of(caller.new_order({"a.example"}));
    caller.answer_challenges(order);
    return text_at(first_authz(caller, order), "status");
  };
  ca.server.force_validation("a.example", false);
  CHECK(outcome() == "invalid");
  ca.server.force_validation("a.example", true);
  CHECK(outcome() == "valid");
  CHECK(looked == 0);
  ca.server.force_validation("a.example", std::nullopt);
  CHECK(outcome() == "valid");
  CHECK(looked == 1);
}

TEST_CASE("the key authorization is that of the key when the response arrives") {
  std::string seen;
  InProcess ca({}, {{"http-01", [&](const ValidationJob& job, const ValidationDone& done) {
                       seen = job.key_authorization;
                       done(std::nullopt);
                     }}});
  AcmeCaller caller = ca.caller();
  caller.register_account();
  json::object order = body_of(caller.new_order({"a.example"}));
  PrivateKey fresh = PrivateKey::generate("ed25519");
  std::string url = caller.url("/acme/key-change");
  json::object header{{"alg", "EdDSA"}, {"jwk", json::parse(fresh.public_jwk())}, {"url", url}};
  json::object body{{"account", caller.account_url}, {"oldKey", json::parse(caller.key.public_jwk())}};
  REQUIRE(caller.post(url, jws_text(json::serialize(header), json::serialize(body), fresh)).status == 200);
  caller.key = fresh;
  caller.answer_challenges(order);
  CHECK(seen.ends_with("." + fresh.thumbprint()));
}

TEST_CASE("deactivating an authorization") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  caller.register_account();
  Reply created = caller.new_order({"a.example"});
  json::object order = body_of(created);
  caller.answer_challenges(order);
  std::string url(order.at("authorizations").at(0).as_string());
  CHECK(problem_of(caller.post(url, R"({"status":"valid"})")) == "malformed 400");
  CHECK(problem_of(caller.post(url, "{}")) == "malformed 400");
  CHECK(text_at(body_of(caller.post(url, R"({"status":"deactivated"})")), "status") == "deactivated");
  CHECK(problem_of(caller.post(url, R"({"status":"deactivated"})")) == "malformed 400");
  CHECK(text_at(body_of(caller.post(std::string(created.header("location")))), "status") == "invalid");
  CHECK(problem_of(caller.finalize(order, {"a.example"}, PrivateKey::generate())) == "orderNotReady 403");
}

TEST_CASE("pre-authorization, where it is offered") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  caller.register_account();
  std::string url = caller.url("/acme/new-authz");
  CHECK(text_at(body_of(caller.get(caller.url("/directory"))), "newAuthz") == url);
  CHECK(problem_of(caller.post(url, R"({"identifier":{"type":"dns","value":"*.a.example"}})")) == "malformed 400");
  CHECK(problem_of(caller.post(url, R"({"identifier":{"type":"dns","value":"a_b.example"}})")) == "malformed 400");
  CHECK(problem_of(caller.post(url, R"({})")) == "malformed 400");
  Reply created = caller.post(url, R"({"identifier":{"type":"dns","value":"a.example"}})");
  CHECK(created.status == 201);
  CHECK(text_at(body_of(created), "status") == "pending");
  std::string authz_url(created.header("location"));
  caller.answer_challenges({{"authorizations", json::array{authz_url}}});
  CHECK(text_at(body_of(caller.post(authz_url)), "status") == "valid");
  json::object order = body_of(caller.new_order({"a.example"}));
  CHECK(order.at("authorizations") == json::value(json::array{authz_url}));
  CHECK(text_at(order, "status") == "ready");

  TestCaOptions options;
  options.pre_authorization = false;
  InProcess without(options);
  AcmeCaller denied = without.caller();
  denied.register_account();
  CHECK_FALSE(body_of(denied.get(denied.url("/directory"))).contains("newAuthz"));
  CHECK(problem_of(denied.post(url, R"({"identifier":{"type":"dns","value":"a.example"}})")) == "malformed 404");
}
