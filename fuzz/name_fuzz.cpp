// DNS names, IP addresses, identifiers and URLs.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/link.hpp"
#include "base/name.hpp"
#include "culmen/identifier.hpp"

using namespace culmen;

namespace {

void names(std::string_view text) {
  auto name = base::canonical_dns_name(text);
  if (!name) {
    // The sentence has to be fit for a log line whatever came in.
    for (const char* c = name.error().what(); *c != '\0'; ++c)
      if (static_cast<unsigned char>(*c) < 0x20 || *c == 0x7f) std::abort();
    return;
  }
  if (name->empty() || name->size() > 253 ||
      name->find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.*") != name->npos)
    std::abort();
  auto again = base::canonical_dns_name(*name);
  if (!again || *again != *name) std::abort();
}

void addresses(std::string_view text) {
  const auto address = base::canonical_ip(text);
  if (address.has_value() != base::reverse_arpa_name(text).has_value()) std::abort();
  if (!address) return;
  if (base::canonical_ip(*address) != address) std::abort();
  if (base::canonical_dns_name(text)) std::abort();
  if (Identifier::parse(text).type != "ip") std::abort();
}

void urls(std::string_view text) {
  const auto parts = base::parse_http_url(text);
  if (parts && (parts->host.empty() || parts->path.empty() || parts->path.front() != '/')) std::abort();
  const auto resolved = base::resolve_url("https://ca.test/a/b?c", text);
  if (parts && resolved != text) std::abort();
  base::is_loopback_host(text);
  base::is_token(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  names(text);
  addresses(text);
  urls(text);
  return 0;
}
