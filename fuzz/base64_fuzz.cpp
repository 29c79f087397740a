// base64url, base64 as people paste it, base32 and hexadecimal.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/base64.hpp"
#include "base/hex.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  // What a strict decoder takes has one spelling only.
  if (auto bytes = base::base64url_decode(text); bytes && base::base64url_encode(*bytes) != text) std::abort();
  if (auto bytes = base::base64_decode_lenient(text)) {
    if (base::base64_decode_lenient(base::base64_encode(*bytes)) != bytes) std::abort();
  }
  if (auto bytes = base::base32_decode(text)) {
    if (base::base32_decode(base::base32_encode_lower(*bytes)) != bytes) std::abort();
  }
  if (auto bytes = base::hex_decode(text)) {
    if (base::hex_decode(base::hex_encode(*bytes)) != bytes) std::abort();
  }
  const ByteView input(data, size);
  if (base::base64url_decode(base::base64url_encode(input)) != Bytes(data, data + size)) std::abort();
  return 0;
}
