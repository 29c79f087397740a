// STAR (RFC 8739) at the test CA, by hand.
#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/base64.hpp"
#include "base/time.hpp"
#include "culmen/certificate.hpp"

using namespace culmen;
using namespace culmen::testca;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

constexpr auto day = 24h;

TestCaOptions with_star() {
  TestCaOptions options;
  options.auto_renewal = true;
  options.auto_renewal_max_duration = 30 * day;
  return options;
}

struct StarBench {
  explicit StarBench(TestCaOptions options = with_star()) : ca(std::move(options)), caller(ca.caller()) {
    caller.register_account();
    start = std::chrono::floor<std::chrono::seconds>(ca.server.now());
  }
  json::object renewal(int end_days, std::int64_t lifetime) const {
    return json::object{{"end-date", base::format_rfc3339(start + end_days * day)}, {"lifetime", lifetime}};
  }
  Reply order(const json::object& asked, json::object more = {}) {
    more["identifiers"] = json::array{json::object{{"type", "dns"}, {"value", "a.example"}}};
    more["auto-renewal"] = asked;
    return caller.post(caller.url("/acme/new-order"), json::serialize(more));
  }
  /// Up to the first certificate; the order's URL.
  std::string begin(const json::object& asked) {
    const Reply placed = order(asked);
    REQUIRE_MESSAGE(placed.status == 201, placed.body);
    caller.answer_challenges(body_of(placed));
    const json::object done = body_of(caller.finalize(body_of(placed), {"a.example"}, key));
    CHECK(text_at(done, "status") == "valid");
    CHECK_FALSE(done.contains("certificate"));
    star_url = text_at(done, "star-certificate");
    return std::string(placed.header("location"));
  }
  Certificate fetch() {
    const Reply reply = caller.post(star_url);
    REQUIRE_MESSAGE(reply.status == 200, reply.body);
    const Certificate leaf = Certificate::from_pem(reply.body);
    CHECK(base::parse_http_date(reply.header("cert-not-before")) == leaf.not_before);
    CHECK(base::parse_http_date(reply.header("cert-not-after")) == leaf.not_after);
    CHECK(leaf.matches(key));
    CHECK(leaf.identifiers == std::vector<Identifier>{Identifier::dns("a.example")});
    return leaf;
  }
  InProcess ca;
  AcmeCaller caller;
  PrivateKey key = PrivateKey::generate("ec:P-256");
  TimePoint start;
  std::string star_url;
};

}  // namespace

TEST_CASE("STAR: the RFC's own example of lifetimes") {
  // RFC 8739 §3.5: four days each, predated by three, from the 10th to the 20th.
  StarBench bench;
  json::object asked = bench.renewal(10, 345600);
  asked["start-date"] = base::format_rfc3339(bench.start);
  asked["lifetime-adjust"] = 259200;
  bench.begin(asked);
  struct Row {
    int days, not_before, not_after;
  };
  int today = 0;
  for (const Row& row : {Row{0, 0, 4}, Row{1, 1, 8}, Row{4, 1, 8}, Row{5, 5, 10}, Row{9, 5, 10}}) {
    CAPTURE(row.days);
    bench.ca.server.advance_clock((row.days - today) * day);
    today = row.days;
    const Certificate leaf = bench.fetch();
    CHECK(leaf.not_before == bench.start + row.not_before * day);
    CHECK(leaf.not_after == bench.start + row.not_after * day);
    CHECK(bench.fetch().serial == leaf.serial);
  }
  bench.ca.server.advance_clock(1 * day + 10s);
  CHECK(problem_of(bench.caller.post(bench.star_url)) == "autoRenewalExpired 403");
}

TEST_CASE("STAR: the next certificate is there at the half of the present one's life") {
  StarBench bench;
  bench.begin(bench.renewal(20, 2 * 86400));
  const Certificate first = bench.fetch();
  CHECK(first.not_after - first.not_before == 2 * day);
  bench.ca.server.advance_clock(1 * day - 60s);
  CHECK(bench.fetch().serial == first.serial);
  bench.ca.server.advance_clock(70s);
  const Certificate second = bench.fetch();
  CHECK(second.serial != first.serial);
  CHECK(second.not_before <= bench.ca.server.now());
  CHECK(second.not_after == first.not_after + 2 * day);
  bench.ca.server.advance_clock(10 * day);  // nobody asked meanwhile
  const Certificate later = bench.fetch();
  CHECK(later.not_before <= bench.ca.server.now());
  CHECK(later.not_after > bench.ca.server.now() + 1 * day - 60s);
  CHECK(bench.ca.server.issued().size() == 3);
}

TEST_CASE("STAR: a start to come") {
  StarBench bench;
  json::object asked = bench.renewal(20, 2 * 86400);
  asked["start-date"] = base::format_rfc3339(bench.start + 3 * day);
  bench.begin(asked);
  CHECK(bench.fetch().not_before == bench.start + 3 * day);
}

TEST_CASE("STAR: what may not be asked for") {
  StarBench bench;
  json::object good = bench.renewal(10, 86400);
  const auto refused = [&](const char* member, const auto& wanted) {
    json::object asked = good;
    const json::value value(wanted);
    if (value.is_null())
      asked.erase(member);
    else
      asked[member] = value;
    return problem_of(bench.order(asked));
  };
  CHECK(refused("end-date", nullptr) == "malformed 400");
  CHECK(refused("end-date", "tomorrow") == "malformed 400");
  CHECK(refused("end-date", base::format_rfc3339(bench.start - 1h)) == "malformed 400");
  CHECK(refused("end-date", base::format_rfc3339(bench.start + 31 * day)) == "malformed 400");
  CHECK(refused("start-date", base::format_rfc3339(bench.start + 10 * day)) == "malformed 400");
  CHECK(refused("lifetime", nullptr) == "malformed 400");
  CHECK(refused("lifetime", "86400") == "malformed 400");
  CHECK(refused("lifetime", -1) == "malformed 400");
  CHECK(refused("lifetime", 3599) == "malformed 400");
  CHECK(refused("lifetime-adjust", -1) == "malformed 400");
  CHECK(problem_of(bench.order(good, {{"notAfter", base::format_rfc3339(bench.start + 1 * day)}})) == "malformed 400");
  CHECK(bench.order(good).status == 201);

  const json::object meta = body_of(bench.caller.get("https://ca.test/directory")).at("meta").as_object();
  CHECK(meta.at("auto-renewal").as_object().at("min-lifetime") == 3600);
  CHECK(meta.at("auto-renewal").as_object().at("max-duration") == 30 * 86400);
  CHECK(meta.at("auto-renewal").as_object().at("allow-certificate-get") == true);
}

TEST_CASE("STAR: fetched by GET only where that was granted") {
  StarBench bench;
  bench.begin(bench.renewal(10, 86400));
  CHECK(problem_of(bench.caller.get(bench.star_url)) == "malformed 405");
  AcmeCaller stranger = bench.ca.caller();
  stranger.register_account();
  CHECK(problem_of(stranger.post(bench.star_url)) == "unauthorized 403");

  json::object asked = bench.renewal(10, 86400);
  asked["allow-certificate-get"] = true;
  const std::string order = bench.begin(asked);
  CHECK(body_of(bench.caller.post(order)).at("auto-renewal").as_object().at("allow-certificate-get") == true);
  const Reply got = bench.caller.get(bench.star_url);
  REQUIRE(got.status == 200);
  CHECK(Certificate::from_pem(got.body).serial == bench.fetch().serial);
  CHECK(got.header("cache-control").starts_with("public, max-age=43"));  // half a day, less the seconds since
  CHECK(got.header("content-type") == "application/pem-certificate-chain");
  CHECK(bench.caller.get(bench.caller.url("/acme/star/none")).status == 404);

  TestCaOptions never = with_star();
  never.auto_renewal_certificate_get = false;
  StarBench strict(never);
  json::object wish = strict.renewal(10, 86400);
  wish["allow-certificate-get"] = true;
  const std::string refused = strict.begin(wish);
  CHECK_FALSE(body_of(strict.caller.post(refused)).at("auto-renewal").as_object().contains("allow-certificate-get"));
  CHECK(strict.caller.get(strict.star_url).status == 405);
}

TEST_CASE("STAR: canceled, and never revoked") {
  StarBench bench;
  const Reply early = bench.order(bench.renewal(10, 86400));
  const std::string cancel = R"({"status":"canceled"})";
  CHECK(problem_of(bench.caller.post(std::string(early.header("location")), cancel)) ==
        "autoRenewalCancellationInvalid 400");

  const std::string order = bench.begin(bench.renewal(10, 86400));
  const json::object revocation{{"certificate", base::base64url_encode(bench.fetch().der)}};
  CHECK(problem_of(bench.caller.post(bench.caller.url("/acme/revoke-cert"), json::serialize(revocation))) ==
        "autoRenewalRevocationNotSupported 403");
  CHECK(problem_of(bench.caller.post(order, R"({"status":"cancelled"})")) == "malformed 400");
  const Reply done = bench.caller.post(order, cancel);
  REQUIRE(done.status == 200);
  CHECK(text_at(body_of(done), "status") == "canceled");
  CHECK(problem_of(bench.caller.post(bench.star_url)) == "autoRenewalCanceled 403");
  CHECK(problem_of(bench.caller.post(order, cancel)) == "autoRenewalCancellationInvalid 400");
  CHECK(text_at(body_of(bench.caller.post(order)), "status") == "canceled");

  // An ordinary order is not canceled.
  const std::string ordinary(bench.caller.new_order({"b.example"}).header("location"));
  CHECK(problem_of(bench.caller.post(ordinary, cancel)) == "malformed 400");
}
