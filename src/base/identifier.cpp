#include "culmen/identifier.hpp"

#include <algorithm>
#include <optional>
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

/// Where the DER value at `at` has its content, and ends there; nullopt when it does not fit.
struct DerContent {
  std::size_t begin, end;
};
std::optional<DerContent> der_content(ByteView der, std::size_t at) {
  constexpr std::size_t max_length_octets = 3;
  if (der.size() < at + 2) return std::nullopt;
  std::size_t begin = at + 2;
  std::size_t length = der[at + 1];
  if (length >= 0x80) {
    const std::size_t octets = length - 0x80;
    if (octets == 0 || octets > max_length_octets || der.size() < begin + octets) return std::nullopt;
    length = 0;
    for (const std::uint8_t octet : der.subspan(begin, octets)) length = length << 8 | octet;
    // X.690 §10.1: the shortest form that there is.
    if (length < 0x80 || length >> 8 * (octets - 1) == 0) return std::nullopt;
    begin += octets;
  }
  if (der.size() - begin < length) return std::nullopt;
  return DerContent{begin, begin + length};
}

/// RFC 8226 §9: SEQUENCE SIZE (1..MAX) OF CHOICE { spc [0], range [1], one [2] }
bool is_tn_auth_list(ByteView der) {
  const std::optional<DerContent> list = der_content(der, 0);
  if (!list || der[0] != 0x30 || list->end != der.size() || list->begin == list->end) return false;
  for (std::size_t at = list->begin; at < list->end;) {
    const std::optional<DerContent> entry = der_content(der, at);
    if (!entry || der[at] < 0xa0 || der[at] > 0xa2 || entry->begin == entry->end) return false;
    at = entry->end;
  }
  return true;
}

}  // namespace

Identifier::Identifier(std::string type_, std::string value_) : type(std::move(type_)), value(std::move(value_)) {}

Identifier Identifier::dns(std::string_view name) { return {"dns", base::canonical_dns_name(name).value()}; }

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
  std::string name = base::canonical_dns_name(address).value();
  const std::string_view why = what_is_wrong_with_onion(name);
  if (why.empty()) return {"dns", std::move(name)};
  throw Error(Errc::invalid_argument, "reading the onion address \"" + printable(address) + "\"", why);
}

Identifier Identifier::tn_auth_list(ByteView der) {
  if (is_tn_auth_list(der)) return {"TNAuthList", base::base64url_encode(der)};
  throw Error(Errc::invalid_argument, "reading a list of telephone numbers",
              "it is not a TNAuthorizationList in DER, or an empty one");
}

Identifier Identifier::parse(std::string_view text) {
  if (base::canonical_ip(text)) return ip(text);
  return dns(text);
}

bool Identifier::is_wildcard() const noexcept { return type == "dns" && value.starts_with("*."); }

}  // namespace culmen
