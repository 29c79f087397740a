#include "base/time.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "base/text.hpp"

namespace culmen::base {
namespace {

constexpr std::string_view blank = " \t";

using std::chrono::seconds;
using std::chrono::sys_seconds;

constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> days = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                  "Thursday", "Friday", "Saturday"};

/// Reads a text from left to right. The first thing that does not fit ends it: all that follows fails as well.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  bool ok() const noexcept { return ok_; }
  bool at_end() const noexcept { return ok_ && rest_.empty(); }

  void skip(std::string_view expected) {
    if (!take(expected)) ok_ = false;
  }
  /// Skips `expected` if it comes next.
  bool take(std::string_view expected) {
    if (!ok_ || !rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }
  char any_of(std::string_view choices) {
    if (!ok_ || rest_.empty() || choices.find(rest_.front()) == choices.npos) return fail();
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }
  int digits(std::size_t count) {
    if (rest_.size() < count) return fail();
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) value = value * 10 + (any_of("0123456789") - '0');
    return ok_ ? value : 0;
  }
  /// Nanoseconds of a fraction with at least one digit.
  std::int64_t fraction() {
    std::int64_t value = 0;
    std::int64_t unit = 100'000'000;
    std::size_t count = 0;
    for (; count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9'; ++count) {
      value += (rest_[count] - '0') * unit;
      unit /= 10;
    }
    if (count == 0) ok_ = false;
    rest_.remove_prefix(count);
    return value;
  }
  template <std::size_t N>
  int one_of(const std::array<std::string_view, N>& names, std::size_t length = std::string_view::npos) {
    for (std::size_t i = 0; i < N; ++i)
      if (take(names[i].substr(0, length))) return static_cast<int>(i);
    return fail();
  }

 private:
  char fail() noexcept {
    ok_ = false;
    return 0;
  }
  std::string_view rest_;
  bool ok_ = true;
};

struct Clock {
  int hour = 0;
  int minute = 0;
  int second = 0;
};

Clock scan_clock(Scanner& in) {
  Clock clock;
  clock.hour = in.digits(2);
  in.skip(":");
  clock.minute = in.digits(2);
  in.skip(":");
  clock.second = in.digits(2);
  return clock;
}

/// The UTC second of a civil time that is `offset` ahead of UTC. RFC 3339 §5.6 allows second 60 for a leap second,
/// which is the last second of a UTC day; it is the same as the second after it here.
std::optional<sys_seconds> civil(int year, int month, int day, Clock clock, seconds offset = {}) {
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok() || clock.hour > 23 || clock.minute > 59 || clock.second > 60) return std::nullopt;
  const sys_seconds time = std::chrono::sys_days(date) + std::chrono::hours(clock.hour) +
                           std::chrono::minutes(clock.minute) + seconds(clock.second) - offset;
  if (clock.second == 60 && time != std::chrono::floor<std::chrono::days>(time)) return std::nullopt;
  return time;
}

/// system_clock counts nanoseconds with libstdc++: it ends in 2262.
std::optional<TimePoint> to_time_point(sys_seconds time, std::chrono::nanoseconds fraction = {}) {
  constexpr auto first = std::chrono::ceil<seconds>(TimePoint::min());
  constexpr auto last = std::chrono::floor<seconds>(TimePoint::max());
  if (time < first || time >= last) return std::nullopt;
  return TimePoint(time) + std::chrono::duration_cast<TimePoint::duration>(fraction);
}

/// "Sun, 06 Nov 1994 08:49:37 GMT"
std::optional<sys_seconds> scan_imf_fixdate(std::string_view text) {
  Scanner in(text);
  in.one_of(days, 3);
  in.skip(", ");
  const int day = in.digits(2);
  in.skip(" ");
  const int month = in.one_of(months) + 1;
  in.skip(" ");
  const int year = in.digits(4);
  in.skip(" ");
  const Clock clock = scan_clock(in);
  in.skip(" GMT");
  if (!in.at_end()) return std::nullopt;
  return civil(year, month, day, clock);
}

/// "Sunday, 06-Nov-94 08:49:37 GMT"
std::optional<sys_seconds> scan_rfc850_date(std::string_view text) {
  Scanner in(text);
  in.one_of(days);
  in.skip(", ");
  const int day = in.digits(2);
  in.skip("-");
  const int month = in.one_of(months) + 1;
  in.skip("-");
  const int year = in.digits(2);
  in.skip(" ");
  const Clock clock = scan_clock(in);
  in.skip(" GMT");
  if (!in.at_end()) return std::nullopt;
  // RFC 9110 §5.6.7 wants a year that seems more than 50 years ahead to be in the past. 1970 is where time starts here,
  // which is the same thing until 2050 for every date that is not older than that.
  return civil(year < 70 ? 2000 + year : 1900 + year, month, day, clock);
}

/// "Sun Nov  6 08:49:37 1994"
std::optional<sys_seconds> scan_asctime_date(std::string_view text) {
  Scanner in(text);
  in.one_of(days, 3);
  in.skip(" ");
  const int month = in.one_of(months) + 1;
  in.skip(" ");
  const int day = in.take(" ") ? in.digits(1) : in.digits(2);
  in.skip(" ");
  const Clock clock = scan_clock(in);
  in.skip(" ");
  const int year = in.digits(4);
  if (!in.at_end()) return std::nullopt;
  return civil(year, month, day, clock);
}

std::optional<sys_seconds> scan_http_date(std::string_view text) {
  if (auto time = scan_imf_fixdate(text)) return time;
  if (auto time = scan_rfc850_date(text)) return time;
  return scan_asctime_date(text);
}

struct Civil {
  explicit Civil(TimePoint time)
      : day_start(std::chrono::floor<std::chrono::days>(time)),
        date(day_start),
        clock(std::chrono::floor<seconds>(time) - day_start) {}
  std::chrono::sys_days day_start;
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<seconds> clock;
};

}  // namespace

std::optional<TimePoint> parse_rfc3339(std::string_view text) {
  Scanner in(text);
  const int year = in.digits(4);
  in.skip("-");
  const int month = in.digits(2);
  in.skip("-");
  const int day = in.digits(2);
  in.any_of("Tt ");
  const Clock clock = scan_clock(in);
  const std::chrono::nanoseconds fraction(in.take(".") ? in.fraction() : 0);
  seconds offset{};
  if (const char sign = in.any_of("Zz+-"); sign == '+' || sign == '-') {
    const int hours = in.digits(2);
    in.skip(":");
    const int minutes = in.digits(2);
    if (hours > 23 || minutes > 59) return std::nullopt;
    offset = std::chrono::hours(hours) + std::chrono::minutes(minutes);
    if (sign == '-') offset = -offset;
  }
  if (!in.at_end()) return std::nullopt;
  const auto time = civil(year, month, day, clock, offset);
  if (!time) return std::nullopt;
  return to_time_point(*time, fraction);
}

std::string format_rfc3339(TimePoint time) {
  const Civil at(time);
  std::string text = "0000-00-00T00:00:00Z";
  // By hand: a manager says of each of its certificates when it is due, and snprintf() takes longer than all else.
  const auto put = [&text](std::size_t begin, std::size_t digits, unsigned number) {
    for (std::size_t i = begin + digits; i-- > begin; number /= 10) text[i] = static_cast<char>('0' + number % 10);
  };
  put(0, 4, static_cast<unsigned>(static_cast<int>(at.date.year())));
  put(5, 2, static_cast<unsigned>(at.date.month()));
  put(8, 2, static_cast<unsigned>(at.date.day()));
  put(11, 2, static_cast<unsigned>(at.clock.hours().count()));
  put(14, 2, static_cast<unsigned>(at.clock.minutes().count()));
  put(17, 2, static_cast<unsigned>(at.clock.seconds().count()));
  return text;
}

std::optional<TimePoint> parse_http_date(std::string_view text) {
  const auto time = scan_http_date(trimmed(text, blank));
  if (!time) return std::nullopt;
  return to_time_point(*time);
}

std::string format_http_date(TimePoint time) {
  const Civil at(time);
  const std::string_view day = days[std::chrono::weekday(at.day_start).c_encoding()].substr(0, 3);
  const std::string_view month = months[static_cast<unsigned>(at.date.month()) - 1];
  char text[64];
  std::snprintf(text, sizeof text, "%.3s, %02u %.3s %04d %02d:%02d:%02d GMT", day.data(),
                static_cast<unsigned>(at.date.day()), month.data(), static_cast<int>(at.date.year()),
                static_cast<int>(at.clock.hours().count()), static_cast<int>(at.clock.minutes().count()),
                static_cast<int>(at.clock.seconds().count()));
  return text;
}

std::optional<seconds> parse_retry_after(std::string_view value, std::string_view date_header, TimePoint now,
                                         seconds limit) {
  value = trimmed(value, blank);
  if (value.empty()) return std::nullopt;
  if (value.find_first_not_of("0123456789") == value.npos) {
    std::int64_t count = 0;
    for (char digit : value) {
      count = count * 10 + (digit - '0');
      if (count >= limit.count()) return limit;
    }
    return seconds(count);
  }
  const auto until = scan_http_date(value);
  if (!until) return std::nullopt;
  // Rounded up, never to ask again before the time the server named.
  const sys_seconds base = scan_http_date(trimmed(date_header, blank)).value_or(std::chrono::floor<seconds>(now));
  return std::clamp(*until - base, seconds(0), limit);
}

}  // namespace culmen::base
