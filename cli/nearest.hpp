// The word that somebody may have meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace culmen::cli {

/// The one of `known` that differs least from `text`; empty if none is near.
std::string nearest(std::string_view text, const std::vector<std::string>& known);

/// Whether one character that is inserted, removed or replaced makes one of the other.
bool differs_by_one(std::string_view one, std::string_view other);

/// The one of `known` that is `text` but for case, hyphens and colons; empty: none.
std::string written_alike(std::string_view text, const std::vector<std::string>& known);

}  // namespace culmen::cli
