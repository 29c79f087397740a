// STAR on the wire (RFC 8739).
#include <doctest/doctest.h>

#include "base/time.hpp"
#include "protocol/star.hpp"
#include "unit/protocol/present.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

Directory offering() {
  Directory directory;
  directory.meta.auto_renewal.emplace();
  directory.meta.auto_renewal->min_lifetime = 3600s;
  directory.meta.auto_renewal->max_duration = 30 * 24h;
  return directory;
}

StarOrderParams wanted() { return StarOrderParams({Identifier::dns("a.example")}, "2027-02-01T00:00:00Z", 259200s); }

}  // namespace

TEST_CASE("STAR: what is sent, what is not asked for is left out") {
  StarOrderParams params = wanted();
  CHECK(
      protocol::star_order_payload(params) ==
      R"({"identifiers":[{"type":"dns","value":"a.example"}],"auto-renewal":{"end-date":"2027-02-01T00:00:00Z","lifetime":259200}})");
  params.start_date = "2027-01-16T00:00:00Z";
  params.lifetime_adjust = 86400s;
  params.allow_certificate_get = true;
  CHECK(
      protocol::star_order_payload(params) ==
      R"({"identifiers":[{"type":"dns","value":"a.example"}],"auto-renewal":{"end-date":"2027-02-01T00:00:00Z","lifetime":259200,)"
      R"("start-date":"2027-01-16T00:00:00Z","lifetime-adjust":86400,"allow-certificate-get":true}})");
}

TEST_CASE("STAR: the CA's limits and bad dates are found before anything is sent") {
  CHECK(protocol::check_star_order(wanted(), offering(), present).has_value());
  CHECK(protocol::check_star_order(wanted(), Directory(), present).error().code() == Errc::not_offered);
  const auto refused = [](auto change) {
    StarOrderParams params = wanted();
    change(params);
    const Result<void> checked = protocol::check_star_order(params, offering(), present);
    return checked ? std::string("accepted") : std::string(to_string(checked.error().code()));
  };
  CHECK(refused([](StarOrderParams& p) { p.lifetime = 60s; }) == "invalid_argument");
  CHECK(refused([](StarOrderParams& p) { p.lifetime = 0s; }) == "invalid_argument");
  CHECK(refused([](StarOrderParams& p) { p.end_date = "2027-06-01T00:00:00Z"; }) == "invalid_argument");
  CHECK(refused([](StarOrderParams& p) { p.end_date = "next week"; }) == "invalid_argument");
  CHECK(refused([](StarOrderParams& p) { p.end_date = "2027-01-01T00:00:00Z"; }) == "invalid_argument");
  CHECK(refused([](StarOrderParams& p) { p.start_date = "2027-02-02T00:00:00Z"; }) == "invalid_argument");
  CHECK(refused([](StarOrderParams& p) { p.start_date = "today"; }) == "invalid_argument");
  CHECK(refused([](StarOrderParams& p) { p.identifiers.clear(); }) == "invalid_argument");
  CHECK(refused([](StarOrderParams& p) { p.allow_certificate_get = true; }) == "not_offered");
}

TEST_CASE("STAR: orders are read with what the server made of the wish") {
  HttpResponse response;
  response.status = 201;
  response.url = "https://ca.test/acme/new-order";
  response.headers.emplace_back("location", "https://ca.test/acme/order/1");
  response.body =
      R"({"status":"valid","identifiers":[],"authorizations":[],"finalize":"/f","star-certificate":"/acme/cert/star/1",
          "auto-renewal":{"start-date":"2027-01-16T00:00:00Z","end-date":"2027-02-01T00:00:00Z","lifetime":259200,"lifetime-adjust":86400}})";
  const Result<StarOrder> order = protocol::parse_star_order(response, "", present);
  REQUIRE(order.has_value());
  CHECK(order->url == "https://ca.test/acme/order/1");
  CHECK(order->star_certificate == "https://ca.test/acme/cert/star/1");
  CHECK(order->lifetime == 259200s);
  CHECK(order->lifetime_adjust == 86400s);
  CHECK_FALSE(order->allow_certificate_get);
  REQUIRE(order->end_date.has_value());
  CHECK(base::format_rfc3339(*order->end_date) == "2027-02-01T00:00:00Z");
}
