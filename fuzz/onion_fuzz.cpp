// Onion addresses, keys from files, and the CSRs and CAA records that the test CA reads.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "culmen/error.hpp"
#include "culmen/onion.hpp"
#include "testca/onion.hpp"
#include "testca/problem.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string address = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion";
  const Identifier identifier("dns", address);
  (void)is_onion_address(text);
  try {
    (void)OnionKey::from_file_contents(text).sign(as_bytes(text));
  } catch (const Error&) {
  }
  (void)testca::judge_onion_csr(ByteView(data, size), identifier, ByteView(data, size / 2));
  (void)testca::judge_onion_csr_with_token(ByteView(data, size), identifier, text.substr(0, 87));
  try {
    testca::check_caa_records(std::string(text), false, "ca.test", address);
  } catch (const testca::Refusal&) {
  }
  return 0;
}
