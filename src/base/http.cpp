#include "culmen/http.hpp"

namespace culmen {

namespace {

class HttpFailureCategory final : public std::error_category {
 public:
  const char* name() const noexcept override { return "culmen-http"; }
  /// Empty: Error::what() would add it to a detail() that says more.
  std::string message(int) const override { return {}; }
};

const std::error_category& http_failure_category() noexcept {
  static const HttpFailureCategory category;
  return category;
}

}  // namespace

std::optional<std::string_view> HttpResponse::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers)
    if (name == lower_case_name) return value;
  return std::nullopt;
}

std::vector<std::string_view> HttpResponse::all_headers(std::string_view lower_case_name) const {
  std::vector<std::string_view> found;
  for (const auto& [name, value] : headers)
    if (name == lower_case_name) found.push_back(value);
  return found;
}

HttpFailure http_failure(const Error& error) noexcept {
  const std::error_code code = error.system_code();
  if (code.category() == http_failure_category()) return static_cast<HttpFailure>(code.value());
  // The system's own errors come from connecting.
  return code && error.code() == Errc::connection_failed ? HttpFailure::not_sent : HttpFailure::other;
}

std::error_code make_error_code(HttpFailure failure) noexcept {
  return {static_cast<int>(failure), http_failure_category()};
}

}  // namespace culmen
