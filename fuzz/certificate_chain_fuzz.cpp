// A certificate chain from PEM, and one certificate from DER.
#include <cstdlib>

#include "culmen/certificate.hpp"
#include "culmen/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    std::string again;
    for (const auto& certificate : culmen::read_chain(text)) again += culmen::der_to_pem(certificate.der);
    if (culmen::pem_to_der(again) != culmen::pem_to_der(text)) std::abort();
  } catch (const culmen::Error&) {
  }
  try {
    if (culmen::Certificate::from_der({data, size}).serial.empty()) std::abort();
  } catch (const culmen::Error&) {
  }
  return 0;
}
