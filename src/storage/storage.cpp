#include "culmen/storage.hpp"

#include <utility>

#include "base/hex.hpp"
#include "culmen/bytes.hpp"
#include "culmen/error.hpp"
#include "storage/part.hpp"

namespace culmen {

namespace {

constexpr std::string_view empty_part = "%";  // as no other text is encoded

bool is_plain(char c, bool first) {
  // Upper case is encoded: there are file systems that do not tell it from lower case. A dot in front would hide the
  // file, and make ".." possible.
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '@' || (c == '.' && !first);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/// The octet that the three characters at `at` stand for; -1 if they are not "%" and two lower-case digits.
int encoded_octet(std::string_view part, std::size_t at) {
  if (part.size() - at < 3) return -1;
  const int high = hex_digit(part[at + 1]), low = hex_digit(part[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace

std::string storage_part(std::string_view text) {
  if (text.empty()) return std::string(empty_part);
  std::string part;
  part.reserve(text.size());
  for (const char c : text) {
    if (is_plain(c, part.empty())) {
      part += c;
    } else {
      part += '%' + base::hex_encode(as_bytes(std::string_view(&c, 1)));
    }
  }
  return part;
}

bool storage::is_part(std::string_view part) noexcept {
  if (part == empty_part) return true;
  for (std::size_t at = 0; at < part.size(); ++at) {
    const bool first = at == 0;
    if (part[at] != '%') {
      if (!is_plain(part[at], first)) return false;
      continue;
    }
    const int octet = encoded_octet(part, at);
    if (octet < 0 || is_plain(static_cast<char>(octet), first)) return false;
    at += 2;
  }
  return !part.empty();
}

std::optional<std::string> storage_part_text(std::string_view part) {
  if (!storage::is_part(part)) return std::nullopt;
  std::string text;
  if (part == empty_part) return text;
  for (std::size_t at = 0; at < part.size(); ++at) {
    if (part[at] != '%') {
      text += part[at];
      continue;
    }
    text += static_cast<char>(encoded_octet(part, at));
    at += 2;
  }
  return text;
}

Flow<Result<std::optional<StoredValue>>> load_one(Storage& storage, std::string key) {
  std::vector<std::string> keys;
  keys.push_back(std::move(key));
  Result<std::vector<std::optional<StoredValue>>> loaded = co_await storage.load(std::move(keys));
  if (!loaded) co_return loaded.error();
  if (loaded->size() == 1) co_return std::move(loaded->front());
  co_return Error(Errc::bad_response, "loading one key", "the storage returned another number of values");
}

Flow<Result<Revision>> write_one(Storage& storage, Write write) {
  std::vector<Write> writes;
  writes.push_back(std::move(write));
  Result<std::vector<Revision>> written = co_await storage.write(std::move(writes));
  if (!written) co_return written.error();
  if (written->size() == 1) co_return std::move(written->front());
  co_return Error(Errc::bad_response, "storing one key", "the storage returned another number of revisions");
}

}  // namespace culmen
