// RFC 3339, the HTTP date forms and Retry-After. A line feed parts Retry-After from the Date header.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/time.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto time = base::parse_rfc3339(text)) {
    const auto whole = std::chrono::floor<std::chrono::seconds>(*time);
    if (base::parse_rfc3339(base::format_rfc3339(*time)) != base::TimePoint(whole)) std::abort();
  }
  if (auto time = base::parse_http_date(text)) {
    if (base::parse_http_date(base::format_http_date(*time)) != time) std::abort();
  }
  const std::size_t line = text.find('\n');
  const std::string_view value = text.substr(0, line);
  const std::string_view date = line == text.npos ? std::string_view() : text.substr(line + 1);
  const std::chrono::seconds limit(3600);
  const base::TimePoint now(std::chrono::seconds(1'800'000'000));
  if (auto wait = base::parse_retry_after(value, date, now, limit)) {
    if (wait->count() < 0 || *wait > limit) std::abort();
  }
  return 0;
}
