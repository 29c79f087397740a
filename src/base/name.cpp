#include "base/name.hpp"

#include <arpa/inet.h>
#include <idn2.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <memory>

#include "base/link.hpp"
#include "base/text.hpp"

namespace culmen::base {
namespace {

constexpr std::size_t longest_name = 253;
constexpr std::size_t longest_label = 63;
/// Far more than any spelling of a name of 253 octets needs.
constexpr std::size_t longest_input = 2048;

Error refuse(std::string_view name, const std::string& why) {
  return Error(Errc::invalid_argument, "reading the name \"" + printable(name, longest_name) + "\"", why);
}

struct FreedByIdn2 {
  void operator()(char* text) const noexcept { idn2_free(text); }
};

/// What people paste in place of a name, with a word on what to give instead.
std::optional<std::string> other_than_name(std::string_view text) {
  if (text.empty()) return "it is empty";
  if (text.size() > longest_input) return "it is far too long";
  if (text.find("://") != text.npos) {
    const auto url = parse_http_url(text);
    return "it is a URL; give the host name alone" + (url ? ", as " + url->host : std::string());
  }
  if (text.front() == '[') return "an IPv6 address is written without brackets here";
  if (canonical_ip(text)) return "it is an IP address, not a DNS name; ask for an IP identifier";
  for (unsigned char c : text) {
    if (c == ' ') return "it contains a space; give one name at a time";
    if (c == ',' || c == ';') return "it contains a separator; give one name at a time";
    if (c < 0x20 || c == 0x7f) return "it contains a control character";
    if (c == '@') return "it is an e-mail address; give the part after the @";
    if (c == '/') return "it contains a path; give the host name alone";
    if (c == ':') return "it contains a colon; give the name without a port";
    if (c == '_') return "it contains an underscore, which certificates cannot have in a host name";
  }
  return std::nullopt;
}

std::optional<std::string> what_is_wrong_with_label(std::string_view label) {
  if (label.empty()) return "it has an empty label (two dots in a row, or one at the start)";
  if (label.size() > longest_label)
    return "the label \"" + printable(label, 20) + "\" is longer than 63 octets (" + std::to_string(label.size()) + ")";
  for (char c : label) {
    if (c == '_') return "it contains an underscore, which certificates cannot have in a host name";
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
      return "the label \"" + printable(label, longest_label) + "\" contains \"" + printable(std::string_view(&c, 1)) +
             "\"; letters, digits and hyphens are allowed";
  }
  if (label.front() == '-' || label.back() == '-')
    return "the label \"" + std::string(label) + "\" begins or ends with a hyphen";
  return std::nullopt;
}

std::optional<std::string> what_is_wrong_with_labels(std::string_view name) {
  std::string_view last;
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t end = std::min(name.find('.', start), name.size());
    last = name.substr(start, end - start);
    if (auto why = what_is_wrong_with_label(last)) return why;
    start = end + 1;
  }
  // No top-level domain is a number: this is an address with a slip in it.
  if (last.find_first_not_of("0123456789") == last.npos)
    return "its last label is a number; is it a mistyped IP address?";
  return std::nullopt;
}

/// Whether there is nothing to change about the name, and nothing wrong with it: true of most names, and quick to find
/// out. An "xn--" label is for libidn2 to judge.
bool is_canonical_already(std::string_view name) {
  if (name.size() > longest_name || name.find("xn--") != name.npos) return false;
  if (name.starts_with("*.")) name.remove_prefix(2);
  return !what_is_wrong_with_labels(name);
}

/// UTS-46 without the transitional mapping: what browsers and registries do today. An "xn--" label is decoded and
/// encoded again, and has to come out as it went in.
Result<std::string> a_label(std::string_view name, const std::string& label) {
  const bool is_ascii = std::all_of(label.begin(), label.end(), [](unsigned char c) { return c < 0x80; });
  const std::string lower = to_lower(label);
  if (is_ascii && !lower.starts_with("xn--")) return lower;
  char* out = nullptr;
  // Not with IDN2_USE_STD3_ASCII_RULES: libidn2 2.3.3 then drops a full-width underscore without a word.
  const int status = idn2_to_ascii_8z(label.c_str(), &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  const std::unique_ptr<char, FreedByIdn2> owned(out);
  if (status == IDN2_OK) return to_lower(out);
  if (status == IDN2_TOO_BIG_LABEL || status == IDN2_TOO_BIG_DOMAIN || status == IDN2_PUNYCODE_BIG_OUTPUT)
    return refuse(name, "the label \"" + printable(label, longest_label) + "\" is longer than 63 octets as an A-label");
  return refuse(name, "the label \"" + printable(label, longest_label) + "\" is not a valid internationalized label (" +
                          idn2_strerror(status) + ")");
}

/// UTS-46 §2.3: the full stop and its equivalents in other scripts.
std::string with_full_stops(std::string name) {
  constexpr std::string_view others[] = {"\u3002", "\uff0e", "\uff61"};
  for (const std::string_view other : others)
    for (std::size_t at = 0; (at = name.find(other, at)) != name.npos;) name.replace(at, other.size(), ".");
  return name;
}

Result<std::string> a_labels(std::string_view name, std::string_view host) {
  std::string rest = with_full_stops(std::string(host));
  if (rest.size() > 1 && rest.ends_with('.')) rest.pop_back();
  std::string out;
  for (std::size_t start = 0; start <= rest.size();) {
    const std::size_t end = std::min(rest.find('.', start), rest.size());
    auto label = a_label(name, rest.substr(start, end - start));
    if (!label) return label.error();
    out += (start == 0 ? "" : ".") + *label;
    start = end + 1;
  }
  return out;
}

}  // namespace

Result<std::string> canonical_dns_name(std::string_view name) {
  if (is_canonical_already(name)) return std::string(name);
  if (auto why = other_than_name(name)) return refuse(name, *why);

  const bool is_wildcard = name == "*" || name.starts_with("*.");
  const std::string_view host = is_wildcard ? name.substr(std::min<std::size_t>(2, name.size())) : name;
  if (is_wildcard && (host.empty() || host == "."))
    return refuse(name, "a wildcard needs a name after it, as *.example.com");
  if (host.find('*') != host.npos)
    return refuse(name, "a wildcard can only be the whole leftmost label, as *.example.com");

  auto ascii = a_labels(name, host);
  if (!ascii) return ascii.error();
  if (canonical_ip(*ascii)) return refuse(name, "it is an IP address, not a DNS name; ask for an IP identifier");
  if (auto why = what_is_wrong_with_labels(*ascii)) return refuse(name, *why);
  std::string canonical = (is_wildcard ? "*." : "") + *ascii;
  if (canonical.size() > longest_name)
    return refuse(name, "it is longer than 253 octets (" + std::to_string(canonical.size()) + ")");
  return canonical;
}

std::optional<std::string> canonical_ip(std::string_view address) {
  const auto octets = ip_octets(address);
  if (!octets) return std::nullopt;
  return ip_from_octets(*octets);
}

std::optional<Bytes> ip_octets(std::string_view address) {
  if (address.size() >= INET6_ADDRSTRLEN || address.find('\0') != address.npos) return std::nullopt;
  // Most texts that get here are names.
  const bool may_be_ip4 = !address.empty() && address.back() >= '0' && address.back() <= '9';
  if (!may_be_ip4 && address.find(':') == address.npos) return std::nullopt;
  const std::string text(address);
  std::array<std::uint8_t, 16> octets{};
  if (inet_pton(AF_INET, text.c_str(), octets.data()) == 1) return Bytes(octets.begin(), octets.begin() + 4);
  if (inet_pton(AF_INET6, text.c_str(), octets.data()) == 1) return Bytes(octets.begin(), octets.end());
  return std::nullopt;
}

std::optional<std::string> ip_from_octets(ByteView octets) {
  if (octets.size() != 4 && octets.size() != 16) return std::nullopt;
  char text[INET6_ADDRSTRLEN];
  if (!inet_ntop(octets.size() == 4 ? AF_INET : AF_INET6, octets.data(), text, sizeof text)) return std::nullopt;
  return text;
}

std::optional<std::string> reverse_arpa_name(std::string_view address) {
  const auto octets = ip_octets(address);
  if (!octets) return std::nullopt;
  std::string out;
  if (octets->size() == 4) {
    for (auto octet = octets->rbegin(); octet != octets->rend(); ++octet) out += std::to_string(*octet) + ".";
    return out + "in-addr.arpa";
  }
  constexpr std::string_view digits = "0123456789abcdef";
  for (auto octet = octets->rbegin(); octet != octets->rend(); ++octet)
    for (int nibble : {*octet & 15, *octet >> 4}) {
      out += digits[static_cast<std::size_t>(nibble)];
      out += '.';
    }
  return out + "ip6.arpa";
}

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

}  // namespace culmen::base
