// The name that somebody may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace culmen::manager {

/// The one of `known` with the fewest characters to insert, remove, replace or swap; empty if there is none.
std::string nearest_name(std::string_view text, const std::vector<std::string>& known);

}  // namespace culmen::manager
