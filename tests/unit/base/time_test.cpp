#include "base/time.hpp"

#include <doctest/doctest.h>

#include <string>

namespace culmen::base {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

TimePoint at(std::int64_t unix_seconds) { return TimePoint(seconds(unix_seconds)); }

std::string rfc3339(std::string_view text) {
  const auto time = parse_rfc3339(text);
  return time ? format_rfc3339(*time) : "(none)";
}

std::string http_date(std::string_view text) {
  const auto time = parse_http_date(text);
  return time ? format_http_date(*time) : "(none)";
}

TEST_CASE("RFC 3339: the RFC's own examples") {
  CHECK(parse_rfc3339("1985-04-12T23:20:50.52Z") == at(482196050) + 520ms);
  CHECK(rfc3339("1996-12-19T16:39:57-08:00") == "1996-12-20T00:39:57Z");
  CHECK(rfc3339("1990-12-31T23:59:60Z") == "1991-01-01T00:00:00Z");
  CHECK(rfc3339("1990-12-31T15:59:60-08:00") == "1991-01-01T00:00:00Z");
  CHECK(rfc3339("1937-01-01T12:00:27.87+00:20") == "1937-01-01T11:40:27Z");
}

TEST_CASE("RFC 3339: offsets, fractions, letters") {
  const std::pair<std::string, std::string> vectors[] = {
      {"2027-01-02T04:00:00Z", "2027-01-02T04:00:00Z"},
      {"2027-01-02t04:00:00z", "2027-01-02T04:00:00Z"},
      {"2027-01-02 04:00:00Z", "2027-01-02T04:00:00Z"},
      {"2027-01-02T04:00:00+05:30", "2027-01-01T22:30:00Z"},
      {"2027-01-02T04:00:00-00:00", "2027-01-02T04:00:00Z"},
      {"2027-01-02T04:00:00+23:59", "2027-01-01T04:01:00Z"},
      {"2027-01-02T04:00:00.1234567890123456789012345Z", "2027-01-02T04:00:00Z"},
      {"2027-01-02T04:00:00.999999999+00:00", "2027-01-02T04:00:00Z"},
      {"2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z"},
      {"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"},
      {"2038-01-19T03:14:08Z", "2038-01-19T03:14:08Z"},
      {"1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59Z"},
  };
  for (const auto& vector : vectors) {
    const auto& text = vector.first;
    const auto& expected = vector.second;
    CAPTURE(text);
    CHECK(rfc3339(text) == expected);
  }
  CHECK(parse_rfc3339("1969-12-31T23:59:59.5Z") == at(0) - 500ms);
  CHECK(parse_rfc3339("2038-01-19T03:14:08Z") == at(2147483648));
  CHECK(parse_rfc3339("1970-01-01T00:00:00.123456789Z") ==
        TimePoint(std::chrono::duration_cast<TimePoint::duration>(123456789ns)));
}

TEST_CASE("RFC 3339: what is not a time is refused") {
  for (const std::string text : {"",
                                 "2027",
                                 "2027-01-02",
                                 "2027-01-02T04:00:00",
                                 "2027-01-02T04:00Z",
                                 "2027-1-2T04:00:00Z",
                                 "27-01-02T04:00:00Z",
                                 "2027-00-02T04:00:00Z",
                                 "2027-13-02T04:00:00Z",
                                 "2027-01-00T04:00:00Z",
                                 "2027-01-32T04:00:00Z",
                                 "2027-02-29T04:00:00Z",
                                 "1900-02-29T04:00:00Z",
                                 "2027-01-02T24:00:00Z",
                                 "2027-01-02T04:60:00Z",
                                 "2027-01-02T04:00:61Z",
                                 "2027-01-02T04:00:60Z",
                                 "2027-01-02T23:59:60+01:00",
                                 "2027-01-02T04:00:00.Z",
                                 "2027-01-02T04:00:00,5Z",
                                 "2027-01-02T04:00:00+24:00",
                                 "2027-01-02T04:00:00+01:60",
                                 "2027-01-02T04:00:00+0100",
                                 "2027-01-02T04:00:00+01",
                                 "2027-01-02T04:00:00ZZ",
                                 " 2027-01-02T04:00:00Z",
                                 "2027-01-02T04:00:00Z ",
                                 "2027-01-02T04:00:00Z\n",
                                 "+2027-01-02T04:00:00Z",
                                 "-027-01-02T04:00:00Z",
                                 "2027-01-02T-4:00:00Z",
                                 "2027/01/02T04:00:00Z",
                                 "12027-01-02T04:00:00Z",
                                 "2027-01-02T04:00:00\xc2\xb2Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_rfc3339(text));
  }
}

TEST_CASE("RFC 3339: what system_clock cannot hold is refused, not wrapped around") {
  const int last_year =
      static_cast<int>(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(TimePoint::max())).year());
  if (last_year < 9999) {
    CHECK_FALSE(parse_rfc3339("9999-12-31T23:59:59Z"));
    CHECK_FALSE(parse_rfc3339("0001-01-01T00:00:00Z"));
    CHECK_FALSE(parse_rfc3339("2262-04-11T23:47:16.9Z"));
  }
  CHECK(rfc3339("2262-04-11T23:47:15.9Z") == "2262-04-11T23:47:15Z");
  CHECK(rfc3339("1677-09-21T00:12:45Z") == "1677-09-21T00:12:45Z");
}

TEST_CASE("RFC 3339: fractions are cut when written") {
  CHECK(format_rfc3339(at(0) + 999ms) == "1970-01-01T00:00:00Z");
  CHECK(format_rfc3339(at(0) - 1ms) == "1969-12-31T23:59:59Z");
  CHECK(format_rfc3339(at(4102444799)) == "2099-12-31T23:59:59Z");
}

TEST_CASE("HTTP dates: the three forms of RFC 9110 section 5.6.7 are the same moment") {
  for (const std::string text :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994", " Sun, 06 Nov 1994 08:49:37 GMT\t"}) {
    CAPTURE(text);
    CHECK(parse_http_date(text) == at(784111777));
    CHECK(http_date(text) == "Sun, 06 Nov 1994 08:49:37 GMT");
  }
  CHECK(http_date("Wednesday, 19-Jan-38 03:14:08 GMT") == "Tue, 19 Jan 2038 03:14:08 GMT");
  CHECK(http_date("Thu, 29 Feb 2024 23:59:59 GMT") == "Thu, 29 Feb 2024 23:59:59 GMT");
  CHECK(http_date("Tue, 30 Jun 2015 23:59:60 GMT") == "Wed, 01 Jul 2015 00:00:00 GMT");
}

TEST_CASE("HTTP dates: every weekday and month is written right") {
  std::string written;
  for (int day = 0; day < 7; ++day) written += format_http_date(at(0) + std::chrono::days(day)).substr(0, 3);
  CHECK(written == "ThuFriSatSunMonTueWed");
  for (int month = 1; month <= 12; ++month) {
    const std::chrono::sys_days first(std::chrono::year(2027) / month / 1);
    CHECK(parse_http_date(format_http_date(first)) == TimePoint(first));
  }
}

TEST_CASE("HTTP dates: what is not one is refused") {
  for (const std::string text :
       {"", "Sun", "Sun, 6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000", "sun, 06 nov 1994 08:49:37 gmt", "Xyz, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Xyz 1994 08:49:37 GMT", "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT", "Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94", "1994-11-06T08:49:37Z",
        "Fri, 31 Dec 9999 23:59:59 GMTx"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_http_date(text));
  }
}

TEST_CASE("Retry-After: seconds") {
  const TimePoint now = at(1'800'000'000);
  CHECK(parse_retry_after("0", "", now) == 0s);
  CHECK(parse_retry_after("120", "", now) == 120s);
  CHECK(parse_retry_after(" 3\t", "", now) == 3s);
  CHECK(parse_retry_after("0000000000000000000000007", "", now) == 7s);
  CHECK(parse_retry_after("21600", "", now, 1h) == 1h);
  CHECK(parse_retry_after("3600", "", now, 1h) == 1h);
  CHECK(parse_retry_after("3599", "", now, 1h) == 3599s);
  CHECK(parse_retry_after("99999999999999999999999999999999", "", now) == std::chrono::hours(24 * 30));
  CHECK(parse_retry_after("18446744073709551617", "", now) == std::chrono::hours(24 * 30));
}

TEST_CASE("Retry-After: dates, against the clock or against the response's own Date") {
  const TimePoint now = *parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", "", now) == 60s);
  CHECK(parse_retry_after("Sunday, 06-Nov-94 08:50:37 GMT", "", now) == 60s);
  CHECK(parse_retry_after("Sun Nov  6 08:50:37 1994", "", now) == 60s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", "", now) == 0s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:36 GMT", "", now) == 0s);
  CHECK(parse_retry_after("Thu, 01 Jan 1970 00:00:00 GMT", "", now) == 0s);
  CHECK(parse_retry_after("Mon, 07 Nov 1994 08:49:37 GMT", "", now) == 24h);
  // Half a second into the present: a whole minute still, not 59 s.
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", "", now + 500ms) == 60s);
  // The local clock is a year ahead.
  const TimePoint wrong = now + std::chrono::hours(24 * 365);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", wrong) == 60s);
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", "garbage", now) == 60s);
  // Beyond what system_clock can hold, and still an answer.
  CHECK(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", "", now, 1h) == 1h);
}

TEST_CASE("Retry-After: garbage is no answer") {
  for (const std::string text : {"", " ", "-1", "+1", "1.5", "1e3", "0x10", "soon", "60 s", "1,2", "\xd9\xa3",
                                 "1994-11-06T08:49:37Z", "Sun, 32 Nov 1994 08:49:37 GMT"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_retry_after(text, "", at(0)));
  }
}

}  // namespace
}  // namespace culmen::base
