// The name that somebody may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace culmen::manager {

/// What is added to an error about a name that is not known: the one of `known` with the fewest characters to insert,
/// remove, replace or swap, at most a third of all; all of `known` if there is none.
std::string suggestion(std::string_view text, const std::vector<std::string>& known);

}  // namespace culmen::manager
