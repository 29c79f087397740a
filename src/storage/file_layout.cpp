#include "storage/file_layout.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <tuple>
#include <utility>

#include "culmen/storage.hpp"
#include "storage/part.hpp"

namespace culmen::storage {

namespace {

constexpr std::size_t longest_name = 253;  // of a certificate of the program; file systems take 255
constexpr std::size_t chunk = 200;         // of a longer one

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

/// As the program names the folders of certificates.
bool is_certificate_folder(std::string_view name) {
  return !name.empty() && name.size() <= longest_name && name.front() != '.' && name.front() != '-' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_' || c == ':'; });
}

/// As the program names the folders of accounts.
bool is_account_folder(std::string_view name) {
  return !name.empty() && name.size() <= longest_name && name.front() != '.' &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '.' || c == '-' || c == '_' || c == '%'; });
}

// A folder of the program has the text of the part as its name, upper case too. Any other part is its own folder name:
// no folder of the program's is called so. For accounts, whose folders may contain "%", an "@" before it says so.

std::string certificate_folder(std::string_view part) {
  const std::optional<std::string> text = storage_part_text(part);
  return text && is_certificate_folder(*text) ? *text : split_name(part);
}

std::string account_folder(std::string_view part) {
  const std::optional<std::string> text = storage_part_text(part);
  return text && is_account_folder(*text) ? *text : split_name("@" + std::string(part));
}

/// Keys have no "+", so that it can stand for "/" in a name.
std::string flat_name(std::string_view key) {
  std::string name(key);
  std::replace(name.begin(), name.end(), '/', '+');
  return split_name(name);
}

std::pair<std::string, std::string> folder_and_file(const std::string& base, const std::string& name) {
  const std::size_t slash = name.rfind('/');
  if (slash == std::string::npos) return {base, name};
  return {base + "/" + name.substr(0, slash), name.substr(slash + 1)};
}

std::vector<std::string_view> parts_of(std::string_view key) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t length = key.find('/');
    parts.push_back(key.substr(0, length));
    if (length == std::string_view::npos) return parts;
    key.remove_prefix(length + 1);
  }
}

}  // namespace

Place place_of(std::string_view key) {
  const std::vector<std::string_view> parts = parts_of(key);
  Place place;
  if (parts.size() == 3 && parts[0] == "accounts" && parts[2] == "account") {
    place.kind = Place::Kind::account;
    place.folder = "accounts/" + account_folder(parts[1]);
    return place;
  }
  if (parts.size() == 3 && parts[0] == "certificates") {
    const std::string folder = "certificates/" + certificate_folder(parts[1]);
    const std::optional<std::uint64_t> number = generation_number(parts[2]);
    if (parts[2] == "record") place.kind = Place::Kind::record;
    if (parts[2] == "pending") place.kind = Place::Kind::pending;
    if (number) place.kind = Place::Kind::generation;
    place.generation = number.value_or(0);
    place.folder = place.kind == Place::Kind::record ? folder : folder + "/" + std::string(parts[2]);
    if (place.kind != Place::Kind::other) return place;
  }
  if (parts.size() == 3 && parts[0] == "keys" && parts[1] == "unused") {
    place.kind = Place::Kind::unused_key;
    std::tie(place.folder, place.file) = folder_and_file("keys/unused", split_name(parts[2]));
    return place;
  }
  place.kind = Place::Kind::other;
  std::tie(place.folder, place.file) = folder_and_file("state", flat_name(key));
  return place;
}

std::string lease_folder(std::string_view name) { return "leases/" + flat_name(name); }

std::string split_name(std::string_view name) {
  std::string path;
  if (name.size() > longest_name) {
    for (; name.size() > chunk; name.remove_prefix(chunk)) path += std::string(name.substr(0, chunk)) + "+/";
  }
  return path + std::string(name);
}

bool is_continued(std::string_view name) { return name.size() == chunk + 1 && name.ends_with('+'); }

std::optional<std::string> account_part(std::string_view folder) {
  if (is_account_folder(folder)) return storage_part(folder);
  if (!folder.starts_with('@')) return std::nullopt;
  folder.remove_prefix(1);
  const std::optional<std::string> text = storage_part_text(folder);
  if (!text || is_account_folder(*text)) return std::nullopt;
  return std::string(folder);
}

std::optional<std::string> certificate_part(std::string_view folder) {
  if (is_certificate_folder(folder)) return storage_part(folder);
  const std::optional<std::string> text = storage_part_text(folder);
  if (!text || is_certificate_folder(*text)) return std::nullopt;
  return std::string(folder);
}

std::optional<std::string> other_key(std::string_view file) {
  std::string key(file);
  std::replace(key.begin(), key.end(), '+', '/');
  for (const std::string_view part : parts_of(key)) {
    if (!is_part(part)) return std::nullopt;
  }
  const Place place = place_of(key);
  if (place.kind != Place::Kind::other) return std::nullopt;
  return key;
}

std::optional<std::uint64_t> generation_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size() || text.front() == '0') return std::nullopt;
  return number;
}

}  // namespace culmen::storage
