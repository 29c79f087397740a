// ARI (RFC 9773) at the test CA: the window, and `replaces` in new orders.
#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/base64.hpp"
#include "base/time.hpp"
#include "culmen/certificate.hpp"
#include "culmen/error.hpp"

using namespace culmen;
using namespace culmen::testca;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

struct Window {
  TimePoint start, end;
};

Window window_in(const Reply& reply) {
  REQUIRE_MESSAGE(reply.status == 200, reply.body);
  const json::object window = body_of(reply).at("suggestedWindow").as_object();
  return {base::parse_rfc3339(text_at(window, "start")).value(), base::parse_rfc3339(text_at(window, "end")).value()};
}

/// A CA, an account, and one certificate of it.
struct RenewalBench {
  explicit RenewalBench(TestCaOptions options = {}) : ca(std::move(options)), caller(ca.caller()) {
    caller.register_account();
    pem = caller.issue({"a.example", "b.example"}, PrivateKey::generate("ec:P-256"));
    leaf = Certificate::from_pem(pem);
    id = certificate_id(leaf.der);
  }
  Reply ask(const std::string& certificate) { return caller.get(caller.url("/acme/renewal-info/" + certificate)); }
  Reply order(AcmeCaller& who, const std::vector<std::string>& names, const std::string& replaces) {
    json::array identifiers;
    for (const std::string& name : names) identifiers.push_back(json::object{{"type", "dns"}, {"value", name}});
    return who.post(who.url("/acme/new-order"),
                    json::serialize(json::object{{"identifiers", identifiers}, {"replaces", replaces}}));
  }
  InProcess ca;
  AcmeCaller caller;
  std::string pem;
  Certificate leaf;
  std::string id;
};

}  // namespace

TEST_CASE("renewal info: around two thirds of a long life, half of a short one") {
  for (const std::chrono::seconds lifetime : {90 * 24h + 0s, 240h - 2s, 24h * 6 + 0s}) {
    TestCaOptions options;
    options.certificate_lifetime = lifetime;
    options.renewal_explanation_url = "https://ca.test/why";
    RenewalBench bench(options);
    const Reply reply = bench.ask(bench.id);
    const Window window = window_in(reply);
    const auto life = bench.leaf.not_after - bench.leaf.not_before;
    const TimePoint middle = bench.leaf.not_after - (lifetime < 240h ? life / 2 : life / 3);
    CHECK(window.start < middle);
    CHECK(window.end > middle);
    CHECK(window.end - window.start >= life / 50 - 2s);
    CHECK(window.end - window.start <= life / 50 + 2s);
    CHECK(reply.header("retry-after") == "21600");
    CHECK(reply.header("content-type") == "application/json");
    CHECK(text_at(body_of(reply), "explanationURL") == "https://ca.test/why");
  }
}

TEST_CASE("renewal info: moved by hand, and into the past when revoked") {
  RenewalBench bench;
  const auto now = std::chrono::floor<std::chrono::seconds>(bench.ca.server.now());
  bench.ca.server.set_renewal_window(bench.leaf.der, now + 1h, now + 2h);
  CHECK(window_in(bench.ask(bench.id)).start == now + 1h);
  CHECK(window_in(bench.ask(bench.id)).end == now + 2h);
  CHECK_THROWS_AS(bench.ca.server.set_renewal_window(bench.leaf.der, now, now), Error);
  CHECK_THROWS_AS(bench.ca.server.set_renewal_window(Bytes{1, 2}, now, now + 1h), Error);

  bench.ca.server.advance_clock(5h);
  const json::object revocation{{"certificate", base::base64url_encode(bench.leaf.der)}};
  REQUIRE(bench.caller.post(bench.caller.url("/acme/revoke-cert"), json::serialize(revocation)).status == 200);
  CHECK(window_in(bench.ask(bench.id)).end < bench.ca.server.now());
  CHECK(window_in(bench.ask(bench.id)).end > now + 4h);  // of the CA's clock
}

TEST_CASE("renewal info: identifiers that are none, or of no certificate of ours") {
  RenewalBench bench;
  const std::size_t dot = bench.id.find('.');
  const std::string key = bench.id.substr(0, dot), serial = bench.id.substr(dot + 1);
  for (const std::string& bad : {key, key + ".", "." + serial, bench.id + ".", bench.id + ".AQ", key + "=." + serial,
                                 bench.id + "=", key + ".AAE", key + ".gA", key + ".+A", key + "." + serial + "\n"}) {
    CAPTURE(bad);
    CHECK(problem_of(bench.ask(bad)) == "malformed 400");
  }
  CHECK(problem_of(bench.ask(key + ".AQ")) == "malformed 404");
  CHECK(problem_of(bench.ask("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE")) == "malformed 404");
  TestCaOptions without;
  without.renewal_info = false;
  InProcess other(without);
  CHECK_FALSE(body_of(other.caller().get("https://ca.test/directory")).contains("renewalInfo"));
  CHECK(text_at(body_of(bench.caller.get("https://ca.test/directory")), "renewalInfo") ==
        "https://ca.test/acme/renewal-info");
}

TEST_CASE("replaces: echoed, and refused for what it may not name") {
  RenewalBench bench;
  CHECK(problem_of(bench.order(bench.caller, {"a.example"}, "not-an-id")) == "malformed 400");
  CHECK(problem_of(bench.order(bench.caller, {"a.example"}, bench.id.substr(0, bench.id.find('.')) + ".AQ")) ==
        "malformed 404");
  CHECK(problem_of(bench.order(bench.caller, {"c.example"}, bench.id)) == "malformed 400");
  AcmeCaller stranger = bench.ca.caller();
  stranger.register_account();
  CHECK(problem_of(bench.order(stranger, {"a.example"}, bench.id)) == "unauthorized 403");

  const Reply placed = bench.order(bench.caller, {"b.example", "c.example"}, bench.id);
  REQUIRE(placed.status == 201);
  CHECK(text_at(body_of(placed), "replaces") == bench.id);
  CHECK(text_at(body_of(bench.caller.post(std::string(placed.header("location")))), "replaces") == bench.id);
  CHECK(problem_of(bench.order(bench.caller, {"a.example"}, bench.id)) == "alreadyReplaced 409");

  bench.ca.server.advance_clock(25h);  // the order that replaced it expires
  CHECK(bench.order(bench.caller, {"a.example"}, bench.id).status == 201);
}
