#include "deployment/access.hpp"

#include <unistd.h>

#include <charconv>
#include <optional>
#include <system_error>

#include "culmen/error.hpp"
#include "storage/account_names.hpp"

namespace culmen {

namespace fs = std::filesystem;

namespace deployment {

namespace {

unsigned mode_of(const std::string& text) {
  unsigned mode = 0;
  std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  return mode;
}

}  // namespace

FileAccess access_of(const DeploymentSettings& settings) {
  FileAccess access;
  if (!settings.key_mode.empty()) access.mode = mode_of(settings.key_mode);
  if (settings.key_group.empty()) return access;
  const std::optional<gid_t> group = storage::find_group(settings.key_group);
  if (!group) {
    const std::string name = printable(settings.key_group);
    throw Error(Errc::io_failed, "giving files with the key to the group " + name,
                "there is no such group on this machine; create it with groupadd " + name + ", or name another group");
  }
  access.group = *group;
  return access;
}

void set_live_access(const fs::path& live, const FileAccess& access) {
  set_access(live, live.parent_path().parent_path().parent_path(), access);
}

}  // namespace deployment

void withdraw_access(const DeploymentSettings& before, const DeploymentSettings& after, const fs::path& live) {
  using deployment::key_mode;
  FileAccess access;
  if (!before.key_mode.empty() && after.key_mode.empty()) access.mode = key_mode;
  if (!before.key_group.empty() && after.key_group.empty()) {
    access.group = getegid();
    access.mode = after.key_mode.empty() ? key_mode : deployment::mode_of(after.key_mode);
  }
  if (access == FileAccess()) return;
  std::error_code failed;
  if (fs::exists(live, failed)) deployment::set_live_access(live, access);
  for (const std::string& path : {after.cert_key_is_input ? std::string() : after.cert_key, after.combined}) {
    if (const auto contents = path.empty() ? std::nullopt : read_file(path)) {
      (void)replace_file(path, *contents, key_mode, access);
    }
  }
}

}  // namespace culmen
