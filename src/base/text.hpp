// Small text functions: ASCII only, independent of the locale.
#pragma once

#include <string>
#include <string_view>

namespace culmen::base {

/// Without the characters of `blank` at both ends.
std::string_view trimmed(std::string_view text, std::string_view blank = " \t\r\n") noexcept;

/// A to Z become a to z; everything else stays.
std::string to_lower(std::string_view text);

}  // namespace culmen::base
