// The Link header.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/link.hpp"

using namespace culmen;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const base::Link& link : base::parse_link(text, "https://ca.test/acme/cert/1")) {
    if (link.relations.empty()) std::abort();
    // A target is absolute, so that resolving it again changes nothing.
    if (base::resolve_url("https://other.test/", link.target) != link.target) std::abort();
  }
  return 0;
}
