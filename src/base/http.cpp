#include "culmen/http.hpp"

namespace culmen {

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

}  // namespace culmen
