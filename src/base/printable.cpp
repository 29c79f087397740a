#include "culmen/error.hpp"

namespace culmen {
namespace {

/// A code point at the front of a text: how many octets it takes, 0 when it is not UTF-8.
struct CodePoint {
  std::uint32_t value = 0;
  std::size_t octets = 0;
};

CodePoint first_code_point(std::string_view text) noexcept {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = octet(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t octets = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < octets) return {};
  std::uint32_t value = lead & (0x7fu >> octets);
  for (std::size_t i = 1; i < octets; ++i) {
    if ((octet(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (octet(i) & 0x3fu);
  }
  constexpr std::uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < smallest[octets] || value > 0x10ffff || is_surrogate) return {};
  return {value, octets};
}

/// What moves a cursor, ends a line or turns the direction of the text around it.
bool is_control(std::uint32_t c) noexcept {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

}  // namespace

std::string printable(std::string_view untrusted, std::size_t limit) {
  std::string out;
  while (!untrusted.empty()) {
    const CodePoint next = first_code_point(untrusted);
    const bool shown = next.octets > 0 && !is_control(next.value);
    const std::size_t taken = next.octets > 0 ? next.octets : 1;
    if (out.size() + (shown ? taken : 1) > limit) return out + "…";
    if (shown) {
      out += untrusted.substr(0, taken);
    } else {
      out += '?';
    }
    untrusted.remove_prefix(taken);
  }
  return out;
}

}  // namespace culmen
