// ARI on the wire, and the certificate's identifier in it (RFC 9773).
#include <doctest/doctest.h>

#include "base/time.hpp"
#include "culmen/certificate.hpp"
#include "protocol/renewal_info.hpp"
#include "support/files.hpp"
#include "unit/protocol/present.hpp"

using namespace culmen;

namespace {

HttpResponse answer(std::string body) {
  HttpResponse response;
  response.status = 200;
  response.body = std::move(body);
  response.headers.emplace_back("retry-after", "21600");
  return response;
}

}  // namespace

TEST_CASE("ARI: the certificate's identifier is the RFC's") {
  const Certificate certificate = Certificate::from_pem(test_data("rfc9773-certificate.pem"));
  CHECK(certificate_id(certificate) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
  Certificate anonymous = certificate;
  anonymous.authority_key_identifier.clear();
  CHECK_THROWS_WITH_AS(certificate_id(anonymous), doctest::Contains("authority key identifier"), Error);
  Certificate numbered = certificate;
  numbered.serial = {0xff};
  CHECK(certificate_id(numbered).ends_with("._w"));
  numbered.serial = {0x00, 0xff};
  CHECK(certificate_id(numbered).ends_with(".AP8"));
}

TEST_CASE("ARI: one slash between the base and the identifier") {
  CHECK(protocol::renewal_info_url("https://ca.test/ari", "a.b") == "https://ca.test/ari/a.b");
  CHECK(protocol::renewal_info_url("https://ca.test/ari/", "a.b") == "https://ca.test/ari/a.b");
}

TEST_CASE("ARI: a window is read, one that is not is refused") {
  const Result<RenewalInfo> info = protocol::parse_renewal_info(
      answer(
          R"({"suggestedWindow":{"start":"2027-01-02T04:00:00Z","end":"2027-01-03T04:00:00+00:00"},"explanationURL":"https://ca.test/why"})"),
      present);
  REQUIRE(info.has_value());
  CHECK(base::format_rfc3339(info->window_start) == "2027-01-02T04:00:00Z");
  CHECK(info->window_end - info->window_start == std::chrono::hours(24));
  CHECK(info->explanation_url == "https://ca.test/why");
  CHECK(info->retry_after == std::chrono::seconds(21600));
  for (const char* bad :
       {R"({})", R"({"suggestedWindow":null})", R"({"suggestedWindow":{"start":"2027-01-02T04:00:00Z"}})",
        R"({"suggestedWindow":{"start":"2027-01-02T04:00:00Z","end":"2027-01-02T04:00:00Z"}})",
        R"({"suggestedWindow":{"start":"2027-01-03T04:00:00Z","end":"2027-01-02T04:00:00Z"}})",
        R"({"suggestedWindow":{"start":"tomorrow","end":"2027-01-02T04:00:00Z"}})", "soon"}) {
    CAPTURE(bad);
    CHECK(protocol::parse_renewal_info(answer(bad), present).error().code() == Errc::bad_response);
  }
}
