#include "base/text.hpp"

namespace culmen::base {

std::string_view trimmed(std::string_view text, std::string_view blank) noexcept {
  const std::size_t first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string without_credentials(std::string_view url) {
  const std::size_t slashes = url.find("//");
  const std::string scheme(url.substr(0, slashes == std::string_view::npos ? 0 : slashes + 2));
  std::string_view rest = url.substr(scheme.size());
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) rest.remove_prefix(at + 1);
  const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  const std::size_t colon = host.find(':');
  const bool is_port = colon == std::string_view::npos || host.starts_with('[') ||
                       host.find_first_not_of("0123456789", colon + 1) == std::string_view::npos;
  return scheme + (is_port ? std::string(rest) : "***");
}

std::string newer_format_text(std::uint64_t found, std::uint64_t known) {
  return "its format is " + std::to_string(found) + ", and this version of culmen reads formats up to " +
         std::to_string(known) + ": a newer version wrote it; use that one";
}

}  // namespace culmen::base
