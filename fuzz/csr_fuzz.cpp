// A certificate signing request from DER.
#include "crypto/ca.hpp"
#include "culmen/csr.hpp"
#include "culmen/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    culmen::crypto::parse_csr({data, size});
    culmen::csr_identifiers({data, size});
  } catch (const culmen::Error&) {
  }
  return 0;
}
