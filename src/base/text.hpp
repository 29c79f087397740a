// Small text functions: ASCII only, independent of the locale.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace culmen::base {

/// Without the characters of `blank` at both ends.
std::string_view trimmed(std::string_view text, std::string_view blank = " \t\r\n") noexcept;

/// A to Z become a to z; everything else stays.
std::string to_lower(std::string_view text);

/// A URL for messages, without user and password; "***" where the host should be when a password may be there.
std::string without_credentials(std::string_view url);

/// What is said of stored data that a newer version wrote.
std::string newer_format_text(std::uint64_t found, std::uint64_t known);

}  // namespace culmen::base
