#include "base/base64.hpp"

#include <array>
#include <cstddef>

namespace culmen::base {
namespace {

constexpr std::string_view url_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::string_view standard_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view base32_alphabet = "abcdefghijklmnopqrstuvwxyz234567";

constexpr std::uint8_t no_digit = 0xff;
using DigitTable = std::array<std::uint8_t, 256>;

constexpr DigitTable digits_of(std::string_view alphabet) {
  DigitTable table{};
  for (std::uint8_t& digit : table) digit = no_digit;
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  return table;
}

constexpr DigitTable with_alias(DigitTable table, char alias, char of) {
  table[static_cast<unsigned char>(alias)] = table[static_cast<unsigned char>(of)];
  return table;
}

constexpr DigitTable url_digits = digits_of(url_alphabet);
constexpr DigitTable either_digits = with_alias(with_alias(url_digits, '+', '-'), '/', '_');

constexpr DigitTable base32_digits = [] {
  DigitTable table = digits_of(base32_alphabet);
  for (char c = 'a'; c <= 'z'; ++c) table = with_alias(table, static_cast<char>(c - 'a' + 'A'), c);
  return table;
}();

/// Groups of `Bits` bits, most significant first; the last group is filled with zero bits.
template <unsigned Bits>
std::string encode(ByteView bytes, std::string_view alphabet) {
  std::string out((bytes.size() * 8 + Bits - 1) / Bits, '\0');
  char* at = out.data();
  unsigned pool = 0;
  unsigned filled = 0;
  for (std::uint8_t byte : bytes) {
    pool = pool << 8 | byte;  // what was written already leaves at the top
    filled += 8;
    while (filled >= Bits) {
      filled -= Bits;
      *at++ = alphabet[pool >> filled & ((1u << Bits) - 1)];
    }
  }
  if (filled > 0) *at = alphabet[pool << (Bits - filled) & ((1u << Bits) - 1)];
  return out;
}

/// The strict inverse of encode(): what it cannot have written is nullopt.
template <unsigned Bits>
std::optional<Bytes> decode(std::string_view text, const DigitTable& digits) {
  Bytes out(text.size() * Bits / 8);
  std::uint8_t* at = out.data();
  unsigned pool = 0;
  unsigned filled = 0;
  for (char c : text) {
    const std::uint8_t digit = digits[static_cast<unsigned char>(c)];
    if (digit == no_digit) return std::nullopt;
    pool = pool << Bits | digit;
    filled += Bits;
    if (filled >= 8) {
      filled -= 8;
      *at++ = static_cast<std::uint8_t>(pool >> filled);
      pool &= (1u << filled) - 1;
    }
  }
  // A digit left over, or unused bits that are not zero: the text was truncated or altered.
  if (filled >= Bits || pool != 0) return std::nullopt;
  return out;
}

bool is_space(char c) noexcept { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

std::string base64url_encode(ByteView bytes) { return encode<6>(bytes, url_alphabet); }

std::string base64url_encode(std::string_view text) { return base64url_encode(as_bytes(text)); }

std::optional<Bytes> base64url_decode(std::string_view text) { return decode<6>(text, url_digits); }

std::string base64_encode(ByteView bytes) {
  std::string out = encode<6>(bytes, standard_alphabet);
  out.append((4 - out.size() % 4) % 4, '=');
  return out;
}

std::optional<Bytes> base64_decode_lenient(std::string_view text) {
  std::string digits(text.size(), '\0');
  char* at = digits.data();
  std::size_t padding = 0;
  for (char c : text) {
    if (is_space(c)) continue;
    if (c == '=') {
      ++padding;
    } else if (padding > 0) {
      return std::nullopt;
    } else {
      *at++ = c;
    }
  }
  digits.resize(static_cast<std::size_t>(at - digits.data()));
  if (padding > 2 || (padding > 0 && digits.size() % 4 < 2)) return std::nullopt;
  return decode<6>(digits, either_digits);
}

std::string base32_encode_lower(ByteView bytes) { return encode<5>(bytes, base32_alphabet); }

std::optional<Bytes> base32_decode(std::string_view text) { return decode<5>(text, base32_digits); }

}  // namespace culmen::base
