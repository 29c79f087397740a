#include "http/system_roots.hpp"

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "culmen/atomic_file.hpp"
#include "culmen/error.hpp"

namespace culmen::http {

namespace {

std::size_t count_certificates(std::string_view pem) {
  constexpr std::string_view begin = "-----BEGIN ";
  std::size_t count = 0;
  for (std::size_t at = 0; (at = pem.find(begin, at)) != std::string_view::npos; at += begin.size()) ++count;
  return count;
}

/// Files named as OpenSSL looks certificates up: "8 hexadecimal digits.number".
std::size_t count_hashed_files(const std::filesystem::path& folder) {
  std::size_t count = 0;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::string_view name = entry->path().native();
    name.remove_prefix(name.rfind('/') + 1);
    const bool hashed = name.size() > 9 && name[8] == '.' && name.find_first_not_of("0123456789abcdef") == 8 &&
                        name.find_first_not_of("0123456789", 9) == std::string_view::npos;
    if (hashed) ++count;
  }
  return count;
}

}  // namespace

bool folder_suffices(const std::filesystem::path& file, const std::filesystem::path& folder) {
  try {
    const auto roots = read_file(file);
    return roots && count_hashed_files(folder) >= count_certificates(*roots);
  } catch (const Error&) {
    return false;  // curl says what is wrong with the file when it needs it
  }
}

bool folder_is_known_to_suffice(const std::filesystem::path& file, const std::filesystem::path& folder) {
  static std::mutex mutex;
  static std::map<std::pair<std::filesystem::path, std::filesystem::path>, bool> known;
  const std::lock_guard lock(mutex);
  const auto [entry, is_new] = known.try_emplace(std::pair(file, folder), false);
  if (is_new) entry->second = folder_suffices(file, folder);
  return entry->second;
}

}  // namespace culmen::http
