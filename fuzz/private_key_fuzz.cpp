// A private key from PEM: what can be read signs, and goes through PEM unchanged.
#include <cstdlib>

#include "culmen/error.hpp"
#include "culmen/private_key.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const auto key = culmen::PrivateKey::from_pem(text, [] { return std::string("correct horse"); });
    if (key.sign(culmen::as_bytes(text)).empty()) std::abort();
    if (!culmen::PrivateKey::from_pem(key.to_pem()).same_key_as(key)) std::abort();
  } catch (const culmen::Error&) {
  }
  return 0;
}
