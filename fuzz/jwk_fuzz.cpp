// JWKs, public and private: what is accepted is written back as the same key.
#include <cstdlib>

#include "jose/jwk.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto key = culmen::jose::parse_public_jwk(text)) {
    const std::string written = culmen::jose::public_jwk(key->parts());
    const auto again = culmen::jose::parse_public_jwk(written);
    if (!again || culmen::jose::public_jwk(again->parts()) != written) std::abort();
  }
  if (const auto key = culmen::jose::parse_private_jwk(text)) {
    if (!culmen::jose::parse_public_jwk(key->public_jwk())) std::abort();
  }
  return 0;
}
