// Hexadecimal text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"

namespace culmen::base {

std::string hex_encode(ByteView bytes);
std::optional<Bytes> hex_decode(std::string_view text);

}  // namespace culmen::base
