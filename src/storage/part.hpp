// Which texts are parts of keys.
#pragma once

#include <string_view>

namespace culmen::storage {

/// Whether storage_part() returns this text for some other.
bool is_part(std::string_view part) noexcept;

}  // namespace culmen::storage
