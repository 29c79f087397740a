#include "testca/http_message.hpp"

#include <algorithm>

namespace culmen::testca {
namespace {

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::string_view Request::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers)
    if (name == lower_case_name) return value;
  return {};
}

bool Request::has_header(std::string_view lower_case_name) const {
  return std::ranges::any_of(headers, [&](const auto& header) { return header.first == lower_case_name; });
}

void Reply::remove(std::string_view name) {
  std::erase_if(headers, [&](const auto& header) { return equal_ignoring_case(header.first, name); });
}

std::string_view Reply::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (equal_ignoring_case(key, name)) return value;
  return {};
}

}  // namespace culmen::testca
