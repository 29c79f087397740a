#include "storage/account_names.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <charconv>
#include <system_error>
#include <vector>

#include "culmen/error.hpp"

namespace culmen::storage {

namespace {

// Groups with very many members do not fit, and count as nameless.
constexpr std::size_t entry_size = 1 << 20;

}  // namespace

std::string user_name(uid_t user) {
  std::vector<char> buffer(entry_size);
  passwd entry{};
  passwd* found = nullptr;
  if (getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return std::to_string(user);
  return printable(found->pw_name);
}

std::string group_name(gid_t number) {
  std::vector<char> buffer(entry_size);
  group entry{};
  group* found = nullptr;
  if (getgrgid_r(number, &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return std::to_string(number);
  return printable(found->gr_name);
}

std::optional<gid_t> find_group(const std::string& text) {
  std::vector<char> buffer(entry_size);
  group entry{};
  group* found = nullptr;
  if (getgrnam_r(text.c_str(), &entry, buffer.data(), buffer.size(), &found) == 0 && found) return found->gr_gid;
  gid_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed == std::errc() && end == text.data() + text.size()) return number;
  return std::nullopt;
}

std::string join_command(gid_t group) { return "usermod -aG " + group_name(group) + " " + user_name(geteuid()); }

}  // namespace culmen::storage
