// The ways in which the CA can be told to misbehave.
#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/base64.hpp"
#include "base/link.hpp"
#include "base/time.hpp"
#include "crypto/ca.hpp"
#include "culmen/certificate.hpp"
#include "culmen/csr.hpp"
#include "culmen/error.hpp"
#include "culmen/test_ca.hpp"

using namespace culmen;
using namespace culmen::testca;
namespace json = boost::json;

namespace {

struct Faulty {
  explicit Faulty(const TestCaFaults& faults, int alternate_roots = 0) : ca(options(faults, alternate_roots)) {
    caller.register_account();
  }
  static TestCaOptions options(const TestCaFaults& faults, int alternate_roots) {
    TestCaOptions options;
    options.seed = 7;
    options.faults = faults;
    options.alternate_roots = alternate_roots;
    return options;
  }
  InProcess ca;
  AcmeCaller caller = ca.caller();
};

}  // namespace

TEST_CASE("nonces refused by percent") {
  TestCaFaults faults;
  Faulty f(faults);
  faults.reject_nonces_percent = 30;
  f.ca.server.set_faults(faults);
  int refused = 0;
  for (int i = 0; i < 200; ++i) {
    Reply reply = f.caller.post(f.caller.account_url);
    if (reply.status == 200) continue;
    CHECK(problem_of(reply) == "badNonce 400");
    CHECK_FALSE(reply.header("replay-nonce").empty());
    ++refused;
  }
  CHECK(refused > 30);
  CHECK(refused < 90);
}

TEST_CASE("processing for some polls, with Retry-After in both forms") {
  TestCaFaults faults;
  faults.processing_polls = 2;
  faults.retry_after = "3";
  Faulty f(faults);
  Reply created = f.caller.new_order({"a.example"});
  CHECK(created.header("retry-after") == "3");
  json::object order = body_of(created);
  f.caller.answer_challenges(order);
  Reply finalized = f.caller.finalize(order, {"a.example"}, PrivateKey::generate());
  CHECK(text_at(body_of(finalized), "status") == "processing");
  CHECK_FALSE(body_of(finalized).contains("certificate"));
  CHECK(finalized.header("retry-after") == "3");
  std::string url(created.header("location"));
  CHECK(text_at(body_of(f.caller.post(url)), "status") == "processing");
  faults.retry_after = "date:60";
  f.ca.server.set_faults(faults);
  Reply dated = f.caller.post(url);
  CHECK(text_at(body_of(dated), "status") == "processing");
  auto wait = base::parse_retry_after(dated.header("retry-after"), dated.header("date"), f.ca.server.now());
  REQUIRE(wait);
  CHECK(wait->count() >= 59);
  CHECK(wait->count() <= 60);
  Reply done = f.caller.post(url);
  CHECK(text_at(body_of(done), "status") == "valid");
  CHECK(done.header("retry-after").empty());
}

TEST_CASE("authorizations that look pending for some reads") {
  TestCaFaults faults;
  faults.pending_polls = 2;
  Faulty f(faults);
  Reply created = f.caller.new_order({"a.example"});
  json::object order = body_of(created);
  f.caller.answer_challenges(order);
  std::string url(order.at("authorizations").at(0).as_string());
  CHECK(text_at(body_of(f.caller.post(url)), "status") == "pending");
  CHECK(text_at(body_of(f.caller.post(std::string(created.header("location")))), "status") == "pending");
  CHECK(text_at(body_of(f.caller.post(url)), "status") == "valid");
  CHECK(text_at(body_of(f.caller.post(std::string(created.header("location")))), "status") == "ready");
}

TEST_CASE("identifiers in another order") {
  TestCaFaults faults;
  faults.reorder_identifiers = true;
  Faulty f(faults);
  json::object order = body_of(f.caller.new_order({"a.example", "b.example"}));
  CHECK(text_at(order.at("identifiers").at(0).as_object(), "value") == "b.example");
  std::vector<std::string> names = {"a.example", "b.example", "c.example"};
  CHECK(pem_to_der(f.caller.issue(names, PrivateKey::generate())).size() == 2);
}

TEST_CASE("finalize without Location, and the ready race") {
  TestCaFaults faults;
  faults.no_location_on_finalize = true;
  faults.ready_race = true;
  Faulty f(faults);
  json::object order = body_of(f.caller.new_order({"a.example"}));
  f.caller.answer_challenges(order);
  CHECK(problem_of(f.caller.finalize(order, {"a.example"}, PrivateKey::generate())) == "orderNotReady 403");
  Reply second = f.caller.finalize(order, {"a.example"}, PrivateKey::generate());
  CHECK(second.status == 200);
  CHECK(second.header("location").empty());
}

TEST_CASE("a strange directory") {
  TestCaFaults faults;
  faults.strange_directory = true;
  Faulty f(faults);
  json::object directory = body_of(f.caller.get(f.caller.url("/directory")));
  CHECK(directory.at("meta").at("caaIdentities").is_null());
  CHECK(directory.at("meta").at("termsOfService").is_null());
  CHECK(directory.contains("futureEndpoint"));
  CHECK(text_at(directory, "newOrder") == f.caller.url("/acme/new-order"));
}

TEST_CASE("odd links are still links") {
  TestCaFaults faults;
  faults.odd_links = true;
  Faulty f(faults, 2);
  json::object order = body_of(f.caller.new_order({"a.example"}));
  f.caller.answer_challenges(order);
  std::string url = text_at(body_of(f.caller.finalize(order, {"a.example"}, PrivateKey::generate())), "certificate");
  Reply reply = f.caller.post(url);
  std::vector<base::Link> links = base::parse_link(reply.header("link"), url);
  std::vector<std::string> alternates;
  for (const base::Link& link : links)
    for (const std::string& relation : link.relations)
      if (relation == "alternate") alternates.push_back(link.target);
  CHECK(alternates == std::vector<std::string>{url + "/1", url + "/2"});
  CHECK(reply.header("link").find("https://") == std::string_view::npos);
}

TEST_CASE("authorizations reused, and orders without any") {
  TestCaFaults faults;
  faults.reuse_authorizations = true;
  Faulty f(faults);
  json::object first = body_of(f.caller.new_order({"a.example"}));
  f.caller.answer_challenges(first);
  json::object second = body_of(f.caller.new_order({"a.example"}));
  CHECK(second.at("authorizations") == first.at("authorizations"));
  CHECK(text_at(second, "status") == "ready");
  CHECK(text_at(body_of(f.caller.new_order({"*.a.example"})), "status") == "pending");
  AcmeCaller other = f.ca.caller();
  other.register_account();
  CHECK(text_at(body_of(other.new_order({"a.example"})), "status") == "pending");

  faults.reuse_authorizations = false;
  faults.empty_authorization_list = true;
  f.ca.server.set_faults(faults);
  json::object empty = body_of(f.caller.new_order({"b.example"}));
  CHECK(empty.at("authorizations").as_array().empty());
  CHECK(text_at(empty, "status") == "ready");
}

TEST_CASE("no list of orders, chains with CRLF") {
  TestCaFaults faults;
  faults.no_orders_list = true;
  faults.crlf_chain = true;
  Faulty f(faults);
  CHECK_FALSE(body_of(f.caller.post(f.caller.account_url)).contains("orders"));
  std::string chain = f.caller.issue({"a.example"}, PrivateKey::generate());
  CHECK(chain.find("-----\r\n\r\n\r\n-----BEGIN") != std::string::npos);
  CHECK(chain.ends_with("-----"));
  CHECK(pem_to_der(chain).size() == 2);
}

TEST_CASE("planned faults: which request, how often, and what") {
  Faulty f{TestCaFaults()};
  TestCaFault busy("order", TestCaFault::Kind::status);
  busy.skip = 1;
  busy.times = 2;
  busy.status = 503;
  busy.problem_type = "rateLimited";
  busy.retry_after = "1";
  f.ca.server.plan(busy);
  Reply created = f.caller.new_order({"a.example"});
  std::string url(created.header("location"));
  CHECK(f.caller.post(url).status == 200);
  for (int i = 0; i < 2; ++i) {
    Reply reply = f.caller.post(url);
    CHECK(problem_of(reply) == "rateLimited 503");
    CHECK(reply.header("retry-after") == "1");
    CHECK_FALSE(reply.header("replay-nonce").empty());
  }
  CHECK(f.caller.post(url).status == 200);

  TestCaFault html("*", TestCaFault::Kind::status);
  html.status = 502;
  f.ca.server.plan(html);
  Reply page = f.caller.get(f.caller.url("/directory"));
  CHECK(page.status == 502);
  CHECK(page.header("content-type") == "text/html");

  f.ca.server.plan(TestCaFault("directory", TestCaFault::Kind::garbage));
  Reply garbage = f.caller.get(f.caller.url("/directory"));
  CHECK(garbage.status == 200);
  CHECK(!garbage.body.empty());
  f.ca.server.plan(TestCaFault("directory", TestCaFault::Kind::oversized));
  CHECK(f.caller.get(f.caller.url("/directory")).delivery == Reply::Delivery::endless);
}

TEST_CASE("a connection dropped before and after the work is done") {
  Faulty f{TestCaFaults()};
  f.ca.server.plan(TestCaFault("new-order", TestCaFault::Kind::drop_before));
  f.ca.server.plan(TestCaFault("new-order", TestCaFault::Kind::drop_after));
  std::string list = text_at(body_of(f.caller.post(f.caller.account_url)), "orders");
  CHECK(f.caller.new_order({"a.example"}).delivery == Reply::Delivery::close);
  CHECK(body_of(f.caller.post(list)).at("orders").as_array().empty());
  CHECK(f.caller.new_order({"a.example"}).delivery == Reply::Delivery::close);
  CHECK(body_of(f.caller.post(list)).at("orders").as_array().size() == 1);
  CHECK(f.caller.new_order({"a.example"}).status == 201);
}

TEST_CASE("requests are counted by resource") {
  Faulty f{TestCaFaults()};
  f.ca.server.reset_counts();
  f.caller.new_order({"a.example"});
  f.caller.new_order({"b.example"});
  std::map<std::string, int> counts = f.ca.server.request_counts();
  CHECK(counts["new-order"] == 2);
  CHECK(counts["new-nonce"] == 2);
  CHECK(counts["total"] == 4);
}

TEST_CASE("a failed challenge that stays pending, validated once for each POST") {
  TestCaFaults faults;
  faults.failed_challenge_stays_pending = true;
  Faulty f(faults);
  f.ca.server.force_validation("a.example", false);
  Reply created = f.caller.new_order({"a.example"});
  json::object order = body_of(created);
  std::string authz(order.at("authorizations").at(0).as_string());
  f.caller.answer_challenges(order);
  json::object pending = body_of(f.caller.post(authz));
  CHECK(text_at(pending, "status") == "pending");
  bool found = false;
  for (const json::value& challenge : pending.at("challenges").as_array()) {
    CHECK(text_at(challenge.as_object(), "status") == "pending");
    if (text_at(challenge.as_object(), "type") == "http-01") found = challenge.as_object().contains("error");
  }
  CHECK(found);
  CHECK(text_at(body_of(f.caller.post(std::string(created.header("location")))), "status") == "pending");
  f.ca.server.force_validation("a.example", true);
  CHECK(text_at(body_of(f.caller.post(authz)), "status") == "pending");
  f.caller.answer_challenges(order);
  CHECK(text_at(body_of(f.caller.post(authz)), "status") == "valid");
  CHECK(text_at(body_of(f.caller.post(std::string(created.header("location")))), "status") == "ready");
}

TEST_CASE("certificates for other names, another key, or another time than asked for") {
  const PrivateKey key = PrivateKey::generate();
  const auto leaf_with = [&key](const TestCaFaults& faults) {
    Faulty f(faults);
    return Certificate::from_pem(f.caller.issue({"a.example", "b.example"}, key));
  };
  const auto names = [](const Certificate& leaf) {
    std::vector<std::string> values;
    for (const Identifier& identifier : leaf.identifiers) values.push_back(identifier.value);
    return values;
  };
  const auto now = std::chrono::system_clock::now();
  TestCaFaults faults;
  faults.extra_names = {"evil.example", "192.0.2.1"};
  CHECK(names(leaf_with(faults)) == std::vector<std::string>{"a.example", "b.example", "evil.example", "192.0.2.1"});
  faults = {};
  faults.missing_name = true;
  CHECK(names(leaf_with(faults)) == std::vector<std::string>{"a.example"});
  {
    Faulty f(faults);
    CHECK(Certificate::from_pem(f.caller.issue({"a.example"}, key)).identifiers.empty());
  }
  faults = {};
  faults.other_public_key = true;
  CHECK_FALSE(leaf_with(faults).matches(key));
  faults = {};
  CHECK(leaf_with(faults).matches(key));
  faults.validity = TestCaFaults::Validity::expired;
  CHECK(leaf_with(faults).not_after < now);
  faults.validity = TestCaFaults::Validity::not_yet_valid;
  CHECK(leaf_with(faults).not_before > now + std::chrono::hours(24));
  faults.validity = TestCaFaults::Validity::empty;
  const Certificate empty = leaf_with(faults);
  CHECK(empty.not_before == empty.not_after);
}

TEST_CASE("authorizations that nobody asked for") {
  TestCaFaults faults;
  faults.extra_authorizations = {"a.example", "victim.example", "*.victim.example"};
  Faulty f(faults);
  json::object order = body_of(f.caller.new_order({"a.example"}));
  std::vector<std::string> names;
  for (const json::value& url : order.at("authorizations").as_array())
    names.push_back(
        text_at(body_of(f.caller.post(std::string(url.as_string()))).at("identifier").as_object(), "value"));
  CHECK(names == std::vector<std::string>{"a.example", "a.example", "victim.example", "victim.example"});
  CHECK(order.at("identifiers").as_array().size() == 1);
}

TEST_CASE("requests that are ignored without an error") {
  TestCaFaults faults;
  faults.ignore_validity = true;
  faults.ignore_profile = true;
  faults.ignore_must_staple = true;
  faults.ignore_contacts = true;
  TestCaOptions options;
  options.faults = faults;
  options.profiles = {{"short", "lives briefly"}};
  InProcess ca(options);
  AcmeCaller caller = ca.caller();
  CHECK_FALSE(body_of(caller.register_account(R"({"contact":["mailto:a@b.example"]})")).contains("contact"));
  CHECK_FALSE(body_of(caller.post(caller.account_url, R"({"contact":["mailto:c@b.example"]})")).contains("contact"));
  json::object order = body_of(caller.post(caller.url("/acme/new-order"),
                                           R"({"identifiers":[{"type":"dns","value":"a.example"}],"profile":"short",
                                               "notAfter":"2031-01-01T00:00:00Z"})"));
  CHECK_FALSE(order.contains("profile"));
  CHECK_FALSE(order.contains("notAfter"));
  caller.answer_challenges(order);
  CsrOptions csr_options;
  csr_options.must_staple = true;
  const PrivateKey key = PrivateKey::generate();
  const Bytes csr = build_csr(std::vector<std::string>{"a.example"}, key, csr_options);
  json::object done = body_of(
      caller.post(text_at(order, "finalize"), json::serialize(json::object{{"csr", base::base64url_encode(csr)}})));
  const Bytes leaf = pem_to_der(caller.post(text_at(done, "certificate")).body).at(0);
  for (const crypto::OidValue& extension : crypto::certificate_extensions(leaf))
    CHECK(extension.oid != "1.3.6.1.5.5.7.1.24");
}

TEST_CASE("planned faults: 404 and 410 on any resource, and newOrder refused for its \"replaces\"") {
  Faulty f{TestCaFaults()};
  const PrivateKey key = PrivateKey::generate();
  const std::string chain = f.caller.issue({"a.example"}, key);
  const std::string id = certificate_id(Certificate::from_pem(chain).der);
  for (const int status : {404, 410}) {
    for (const char* resource : {"directory", "new-nonce", "new-order", "account", "renewal-info"}) {
      TestCaFault gone(resource, TestCaFault::Kind::status);
      gone.status = status;
      gone.problem_type = "malformed";
      f.ca.server.plan(gone);
    }
    CHECK(problem_of(f.caller.get(f.caller.url("/directory"))) == "malformed " + std::to_string(status));
    CHECK(f.caller.get(f.caller.url("/acme/new-nonce")).status == status);
    CHECK(f.caller.new_order({"a.example"}).status == status);
    CHECK(f.caller.post(f.caller.account_url).status == status);
    CHECK(f.caller.get(f.caller.url("/acme/renewal-info/" + id)).status == status);
  }
  const std::vector<std::pair<std::string, int>> refusals = {
      {"alreadyReplaced", 409}, {"malformed", 400}, {"rateLimited", 429}, {"serverInternal", 500}};
  for (const auto& [type, status] : refusals) {
    TestCaFault refusal("new-order", TestCaFault::Kind::status);
    refusal.status = status;
    refusal.problem_type = type;
    f.ca.server.plan(refusal);
    const Reply refused =
        f.caller.post(f.caller.url("/acme/new-order"),
                      R"({"identifiers":[{"type":"dns","value":"a.example"}],"replaces":")" + id + "\"}");
    CHECK(problem_of(refused) == type + " " + std::to_string(status));
    CHECK(f.caller.new_order({"a.example"}).status == 201);
  }
}

TEST_CASE("everything at once: each fault comes up, as often as its percentage says, and the same for a seed") {
  const auto tally = [](std::uint64_t seed) {
    TestCaOptions options;
    options.seed = seed;
    InProcess ca(options);
    AcmeCaller caller = ca.caller();
    caller.register_account();
    ca.server.set_faults(TestCaFaults::everything(5));
    std::map<std::string, int> seen;
    for (int i = 0; i < 600; ++i) {
      const Reply reply = caller.get(caller.url("/directory"));
      std::string what = std::to_string(reply.status);
      if (reply.delivery == Reply::Delivery::close) what = "closed";
      if (reply.after > std::chrono::milliseconds(0)) what = "slow";
      if (reply.status == 200 && reply.body.find("newNonce") == std::string::npos) what = "garbage";
      if (reply.status == 503 || reply.status == 429) CHECK(reply.header("retry-after") == "5");
      ++seen[what];
    }
    return seen;
  };
  const std::map<std::string, int> seen = tally(3);
  for (const char* what : {"500", "503", "429", "garbage", "slow"}) {
    REQUIRE_MESSAGE(seen.contains(what), what);
    CHECK(seen.at(what) > 10);
    CHECK(seen.at(what) < 60);
  }
  CHECK(seen.at("closed") > 30);
  CHECK(seen.at("200") > 300);
  CHECK(tally(3) == seen);
  CHECK(tally(4) != seen);
}

TEST_CASE("faults that make no sense are refused") {
  TestCaOptions options;
  options.faults.drop_before_percent = 60;
  options.faults.slow_percent = 41;
  CHECK_THROWS_AS(TestCa{options}, Error);
  options.faults = {};
  TestCa ca(options);
  TestCaFaults faults;
  faults.extra_names = {"not a name"};
  CHECK_THROWS_AS(ca.set_faults(faults), Error);
  faults = {};
  faults.extra_authorizations = {""};
  CHECK_THROWS_AS(ca.set_faults(faults), Error);
}
