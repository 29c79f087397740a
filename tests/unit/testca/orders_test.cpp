// RFC 8555 §7.4: what an order may ask for, and what becomes of it.
#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/time.hpp"

using namespace culmen;
using namespace culmen::testca;
namespace json = boost::json;

namespace {

std::string ask(AcmeCaller& caller, const json::object& payload) {
  return problem_of(caller.post(caller.url("/acme/new-order"), json::serialize(payload)));
}

json::object identifier(std::string_view type, std::string_view value) { return {{"type", type}, {"value", value}}; }

}  // namespace

TEST_CASE("newOrder: 201, Location, and an order with everything in it") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  caller.register_account();
  Reply reply = caller.new_order({"a.example", "*.b.example", "192.0.2.7", "2001:db8::1"});
  REQUIRE(reply.status == 201);
  json::object order = body_of(reply);
  CHECK(text_at(order, "status") == "pending");
  CHECK(base::parse_rfc3339(text_at(order, "expires")));
  CHECK(order.at("identifiers").as_array().size() == 4);
  CHECK(order.at("authorizations").as_array().size() == 4);
  CHECK(text_at(order, "finalize") == std::string(reply.header("location")) + "/finalize");
  CHECK_FALSE(order.contains("certificate"));
  CHECK(body_of(caller.post(std::string(reply.header("location")))) == order);
  CHECK(problem_of(caller.post(std::string(reply.header("location")), "{}")) == "malformed 400");

  AcmeCaller other = ca.caller();
  other.register_account();
  CHECK(problem_of(other.post(std::string(reply.header("location")))) == "unauthorized 403");
  CHECK(problem_of(other.finalize(order, {"a.example"}, PrivateKey::generate())) == "unauthorized 403");
}

TEST_CASE("identifiers that are not written as they must be") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  caller.register_account();
  for (const char* name :
       {"a.example.", "a..example", "-", "under_score.example", "f\xc3\xbc.example", "192.0.2.1", "2001:db8::1",
        "a.*.example", "*.*.example", "*", "a b.example", "", "https://a.example", "a.example:443"})
    CHECK_MESSAGE(ask(caller, {{"identifiers", json::array{identifier("dns", name)}}}) == "malformed 400", name);
  for (const char* address : {"2001:DB8::1", "2001:db8:0:0:0:0:0:1", "[2001:db8::1]", "192.0.2.256", "192.0.2.1/32",
                              "a.example", "*.192.0.2.1"})
    CHECK_MESSAGE(ask(caller, {{"identifiers", json::array{identifier("ip", address)}}}) == "malformed 400", address);
  CHECK(ask(caller, {{"identifiers", json::array{identifier("email", "a@example.com")}}}) ==
        "unsupportedIdentifier 400");
  CHECK(ask(caller, {{"identifiers", json::array{}}}) == "malformed 400");
  CHECK(ask(caller, {{"identifiers", "a.example"}}) == "malformed 400");
  CHECK(ask(caller, {{"identifiers", json::array{"a.example"}}}) == "malformed 400");
  CHECK(ask(caller, {{"identifiers", json::array{json::object{{"type", "dns"}}}}}) == "malformed 400");
  CHECK(ask(caller, {}) == "malformed 400");
  json::array many;
  for (int i = 0; i < 101; ++i) many.push_back(identifier("dns", "n" + std::to_string(i) + ".example"));
  CHECK(ask(caller, {{"identifiers", many}}) == "malformed 400");
  many.pop_back();
  CHECK(caller.post(caller.url("/acme/new-order"), json::serialize(json::object{{"identifiers", many}})).status == 201);
}

TEST_CASE("names are lower-cased and doubles dropped") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  caller.register_account();
  json::object payload{{"identifiers", json::array{identifier("dns", "A.Example"), identifier("dns", "a.example")}}};
  json::object order = body_of(caller.post(caller.url("/acme/new-order"), json::serialize(payload)));
  CHECK(order.at("identifiers") == json::value(json::array{identifier("dns", "a.example")}));
  CHECK(order.at("authorizations").as_array().size() == 1);
}

TEST_CASE("blocked names: one plain problem, several as subproblems, mixed as compound") {
  TestCaOptions options;
  options.blocked_names = {"bad.example", "worse.example"};
  InProcess ca(options);
  AcmeCaller caller = ca.caller();
  caller.register_account();
  Reply one = caller.new_order({"bad.example"});
  CHECK(problem_of(one) == "rejectedIdentifier 400");
  CHECK_FALSE(body_of(one).contains("subproblems"));
  CHECK_FALSE(body_of(one).contains("identifier"));
  CHECK(problem_of(caller.new_order({"*.bad.example"})) == "rejectedIdentifier 400");

  Reply several = caller.new_order({"good.example", "bad.example", "worse.example"});
  CHECK(problem_of(several) == "rejectedIdentifier 400");
  json::array subproblems = body_of(several).at("subproblems").as_array();
  REQUIRE(subproblems.size() == 2);
  CHECK(subproblems[0].at("identifier") == json::value(identifier("dns", "bad.example")));
  CHECK(subproblems[1].at("identifier") == json::value(identifier("dns", "worse.example")));

  json::object mixed{
      {"identifiers", json::array{identifier("dns", "bad.example"), identifier("email", "x@y.example")}}};
  CHECK(ask(caller, mixed) == "compound 400");
}

TEST_CASE("validity and profiles are checked, and echoed when honoured") {
  TestCaOptions options;
  options.profiles = {{"short", "six days"}, {"standard", "the usual"}};
  InProcess ca(options);
  AcmeCaller caller = ca.caller();
  caller.register_account();
  auto at = [&](std::chrono::hours later) { return base::format_rfc3339(ca.server.now() + later); };
  using std::chrono::hours;
  json::object payload{{"identifiers", json::array{identifier("dns", "a.example")}}};
  auto with = [&](std::initializer_list<std::pair<const char*, std::string>> members) {
    json::object copy = payload;
    for (const auto& [name, value] : members) copy[name] = value;
    return copy;
  };
  CHECK(ask(caller, with({{"notAfter", "tomorrow"}})) == "malformed 400");
  CHECK(ask(caller, with({{"notAfter", at(hours(-1))}})) == "malformed 400");
  CHECK(ask(caller, with({{"notBefore", at(hours(5))}, {"notAfter", at(hours(4))}})) == "malformed 400");
  CHECK(ask(caller, with({{"notAfter", at(hours(24 * 366 * 20))}})) == "malformed 400");
  CHECK(ask(caller, with({{"profile", "gold"}})) == "invalidProfile 400");

  std::string from = at(hours(1)), until = at(hours(5));
  json::object asked = with({{"notBefore", from}, {"notAfter", until}, {"profile", "standard"}});
  json::object order = body_of(caller.post(caller.url("/acme/new-order"), json::serialize(asked)));
  CHECK(text_at(order, "notBefore") == from);
  CHECK(text_at(order, "notAfter") == until);
  CHECK(text_at(order, "profile") == "standard");
  CHECK(text_at(body_of(caller.new_order({"b.example"})), "profile") == "short");
  CHECK(body_of(caller.get(caller.url("/directory"))).at("meta").at("profiles").as_object().size() == 2);
}

TEST_CASE("orders follow their authorizations and the clock") {
  TestCaOptions options;
  options.order_lifetime = std::chrono::hours(1);
  InProcess ca(options);
  AcmeCaller caller = ca.caller();
  caller.register_account();
  auto status = [&](const Reply& created) {
    return text_at(body_of(caller.post(std::string(created.header("location")))), "status");
  };
  Reply ready = caller.new_order({"a.example", "b.example"});
  caller.answer_challenges(body_of(ready));
  CHECK(status(ready) == "ready");

  Reply failed = caller.new_order({"c.example", "d.example"});
  ca.server.force_validation("d.example", false);
  caller.answer_challenges(body_of(failed));
  json::object order = body_of(caller.post(std::string(failed.header("location"))));
  CHECK(text_at(order, "status") == "invalid");
  json::object error = order.at("error").as_object();
  CHECK(text_at(error, "type") == "urn:ietf:params:acme:error:incorrectResponse");
  CHECK(error.at("subproblems").at(0).at("identifier") == json::value(identifier("dns", "d.example")));

  Reply abandoned = caller.new_order({"e.example"});
  std::string authz(body_of(abandoned).at("authorizations").at(0).as_string());
  ca.server.advance_clock(std::chrono::hours(2));
  CHECK(status(abandoned) == "invalid");
  CHECK(status(ready) == "invalid");
  CHECK(text_at(body_of(caller.post(authz)), "status") == "expired");
}
