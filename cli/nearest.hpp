// The word that somebody may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace culmen::cli {

/// The one of `known` that differs least from `text`; empty if none is near.
std::string nearest(std::string_view text, const std::vector<std::string>& known);

}  // namespace culmen::cli
