// The two extensions that the tls-alpn-01 responder reads from a ClientHello.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "solvers/client_hello.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view extension(reinterpret_cast<const char*>(data), size);
  if (solvers::offers_protocol(extension, "acme-tls/1") && extension.find("acme-tls/1") == std::string_view::npos)
    std::abort();
  if (const auto name = solvers::host_name_of(extension)) {
    if (name->size() + 5 > size) std::abort();
    for (char c : *name)
      if (c >= 'A' && c <= 'Z') std::abort();
  }
  return 0;
}
