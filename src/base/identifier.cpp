#include "culmen/identifier.hpp"

#include <algorithm>
#include <utility>

#include "base/base64.hpp"
#include "base/name.hpp"
#include "culmen/error.hpp"

namespace culmen {
namespace {

constexpr std::size_t onion_label_length = 56;
constexpr std::size_t onion_octets = 35;  // public key, checksum, version
constexpr std::uint8_t onion_version = 3;

/// The label before ".onion" is 56 digits of base32 whose last octet is the version. The checksum needs SHA3-256, which
/// this room does not have: what works with the key in the address checks it there.
std::string_view what_is_wrong_with_onion(std::string_view name) {
  constexpr std::string_view suffix = ".onion";
  if (!name.ends_with(suffix)) return "it does not end in .onion";
  std::string_view label = name.substr(0, name.size() - suffix.size());
  label.remove_prefix(label.rfind('.') + 1);  // npos + 1 is 0
  if (label.size() == 16) return "it is a version 2 onion address; those are gone since 2021";
  if (label.size() != onion_label_length) return "the label before .onion does not have the 56 characters of version 3";
  const auto octets = base::base32_decode(label);
  if (!octets || octets->size() != onion_octets) return "the label before .onion is not base32 (a to z, 2 to 7)";
  if (octets->back() != onion_version) return "it is not a version 3 onion address";
  return {};
}

}  // namespace

Identifier::Identifier(std::string type_, std::string value_) : type(std::move(type_)), value(std::move(value_)) {}

Identifier Identifier::dns(std::string_view name) { return {"dns", base::canonical_dns_name(name).value_or_throw()}; }

Identifier Identifier::ip(std::string_view address) {
  auto canonical = base::canonical_ip(address);
  if (canonical) return {"ip", std::move(*canonical)};
  std::string_view why = "it is neither an IPv4 nor an IPv6 address";
  if (address.starts_with('[')) why = "give an IPv6 address without brackets";
  if (address.find('%') != address.npos) why = "an address with a zone means nothing to others";
  if (address.find('/') != address.npos) why = "it is a range; give one address";
  throw Error(Errc::invalid_argument, "reading the IP address \"" + printable(address) + "\"", why);
}

Identifier Identifier::onion(std::string_view address) {
  std::string name = base::canonical_dns_name(address).value_or_throw();
  const std::string_view why = what_is_wrong_with_onion(name);
  if (why.empty()) return {"dns", std::move(name)};
  throw Error(Errc::invalid_argument, "reading the onion address \"" + printable(address) + "\"", why);
}

Identifier Identifier::parse(std::string_view text) {
  if (base::canonical_ip(text)) return ip(text);
  return dns(text);
}

bool Identifier::is_wildcard() const noexcept { return type == "dns" && value.starts_with("*."); }

}  // namespace culmen
