#include "storage/pair.hpp"

#include <charconv>
#include <system_error>

namespace culmen::storage {

namespace {

constexpr std::string_view pair_mark = "culmen-pair 1 ";

std::string size_text(const std::optional<std::string>& value) { return value ? std::to_string(value->size()) : "-"; }

/// Removes a size, or "-", and the character after it from `text`. False if there is none.
bool take_size(std::string_view& text, char end, std::optional<std::size_t>& size) {
  const std::size_t length = text.find(end);
  if (length == std::string_view::npos || length == 0) return false;
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length + 1);
  if (word == "-") return true;
  std::size_t number = 0;
  const auto [rest, failed] = std::from_chars(word.data(), word.data() + word.size(), number);
  size = number;
  return failed == std::errc() && rest == word.data() + word.size();
}

}  // namespace

std::string pair_text(const Pair& pair) {
  return std::string(pair_mark) + size_text(pair.private_key) + ' ' + size_text(pair.certificate) + '\n' +
         pair.private_key.value_or("") + pair.certificate.value_or("");
}

std::optional<Pair> pair_of(std::string_view text) {
  if (!text.starts_with(pair_mark)) return std::nullopt;
  text.remove_prefix(pair_mark.size());
  std::optional<std::size_t> key_size, certificate_size;
  if (!take_size(text, ' ', key_size) || !take_size(text, '\n', certificate_size)) return std::nullopt;
  if (key_size.value_or(0) > text.size() || text.size() - key_size.value_or(0) != certificate_size.value_or(0))
    return std::nullopt;
  Pair pair;
  if (key_size) pair.private_key = text.substr(0, *key_size);
  if (certificate_size) pair.certificate = text.substr(key_size.value_or(0));
  return pair;
}

}  // namespace culmen::storage
