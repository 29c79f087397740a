// Times as ACME and HTTP write them. No clock: the present is an argument.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace culmen::base {

using TimePoint = std::chrono::system_clock::time_point;

/// RFC 3339 with any number of fraction digits and any offset.
std::optional<TimePoint> parse_rfc3339(std::string_view text);
/// "2027-01-02T04:00:00Z"; fractions are cut.
std::string format_rfc3339(TimePoint time);
/// The three date forms of RFC 9110 §5.6.7.
std::optional<TimePoint> parse_http_date(std::string_view text);
/// "Sun, 06 Nov 1994 08:49:37 GMT".
std::string format_http_date(TimePoint time);

/// Retry-After (RFC 9110 §10.2.3), seconds or a date, as seconds from `now`; `date_header` is the response's own Date,
/// which replaces `now` as the base of a date when it is there (the local clock may be off). Past dates are 0; negative
/// numbers and garbage are nullopt; anything over `limit` is `limit`.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view value, std::string_view date_header,
                                                      TimePoint now,
                                                      std::chrono::seconds limit = std::chrono::hours(24 * 30));

}  // namespace culmen::base
