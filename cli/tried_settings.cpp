#include "tried_settings.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace culmen::cli {

Settings settings_to_try(const Host& host, const SettingFlags& flags, const std::string& name) {
  const std::optional<Settings> before = host.settings_of(name, flags.names());
  Settings settings = flags.merged(before);
  if (name.empty() || !before) return settings;
  std::vector<std::string> names = before->spec.names;
  for (const std::string& given : settings.spec.names) {
    if (std::find(names.begin(), names.end(), given) == names.end()) names.push_back(given);
  }
  settings.spec.names = std::move(names);
  check_settings(settings);
  return settings;
}

}  // namespace culmen::cli
