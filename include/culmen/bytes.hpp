// Octets: DER, signatures, digests.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace culmen {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// The octets of a text. A view, like as_text(): the text must outlive it.
inline ByteView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
/// Octets as text, without conversion.
inline std::string_view as_text(ByteView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace culmen
