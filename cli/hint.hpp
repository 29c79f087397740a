// Commands that messages name, as they can be copied.
#pragma once

#include <string>
#include <vector>

namespace culmen::cli {

/// From here on hints repeat --dir and --storage, as far as these words have them.
void remember_for_hints(const std::vector<std::string>& words);

/// "culmen " + `command`, with --dir and --storage as they were given to this program.
std::string hint(const std::string& command);

}  // namespace culmen::cli
