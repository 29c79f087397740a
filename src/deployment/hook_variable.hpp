// What hooks are told in the environment.
#pragma once

#include <string>
#include <vector>

namespace culmen::deployment {

/// With spaces between the texts. Linux limits the length of a variable: of many texts it has those from the front, and
/// "…" as its last word.
std::string hook_variable(const std::vector<std::string>& texts);

}  // namespace culmen::deployment
