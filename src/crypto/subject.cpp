#include "crypto/subject.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace culmen {

bool CsrSubject::empty() const noexcept {
  return country.empty() && state.empty() && locality.empty() && organization.empty() && organizational_unit.empty() &&
         common_name.empty() && email_address.empty();
}

}  // namespace culmen

namespace culmen::crypto {
namespace {

/// One value a subject can have, and the upper bound of RFC 5280 appendix A.1.
struct Part {
  std::string_view what;
  int nid;
  std::string CsrSubject::*value;
  std::size_t longest;
  bool ascii;
};
constexpr std::array<Part, 7> parts = {{
    {"country", NID_countryName, &CsrSubject::country, 2, true},
    {"state", NID_stateOrProvinceName, &CsrSubject::state, 128, false},
    {"locality", NID_localityName, &CsrSubject::locality, 128, false},
    {"organization", NID_organizationName, &CsrSubject::organization, 64, false},
    {"organizational unit", NID_organizationalUnitName, &CsrSubject::organizational_unit, 64, false},
    {"common name", NID_commonName, &CsrSubject::common_name, 64, false},
    {"e-mail address", NID_pkcs9_emailAddress, &CsrSubject::email_address, 255, true},
}};

/// The number of characters of a UTF-8 text; nullopt if it is not valid UTF-8.
std::optional<std::size_t> count_characters(std::string_view text) {
  std::size_t count = 0;
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  for (auto left = static_cast<int>(text.size()); left > 0; ++count) {
    unsigned long character = 0;
    const int length = UTF8_getc(at, left, &character);
    const bool surrogate = character >= 0xd800 && character <= 0xdfff;
    if (length <= 0 || surrogate || character > 0x10ffff) return std::nullopt;
    at += length;
    left -= length;
  }
  return count;
}

/// Why a value will not do; empty when it will.
std::string fault_of(const Part& part, std::string_view value) {
  constexpr std::size_t longest_worth_reading = 4096;
  if (value.size() > longest_worth_reading) return "is far too long";
  if (std::ranges::any_of(value, [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
    return "has a control character in it";
  if (part.ascii && std::ranges::any_of(value, [](unsigned char c) { return c > 0x7f; })) return "must be in ASCII";
  const std::optional<std::size_t> characters = count_characters(value);
  if (!characters) return "is not UTF-8";
  if (part.nid == NID_countryName) {
    const bool letters = value.size() == 2 && std::ranges::all_of(value, [](unsigned char c) {
                           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
                         });
    return letters ? std::string() : "must be the two letters of ISO 3166";
  }
  if (*characters > part.longest) {
    return "has " + std::to_string(*characters) + " characters; RFC 5280 lets it have " + std::to_string(part.longest);
  }
  return {};
}

}  // namespace

OwnedName name_of(const CsrSubject& subject, std::string_view doing) {
  OwnedName name(X509_NAME_new());
  if (!name) throw openssl_error(doing);
  for (const Part& part : parts) {
    const std::string& value = subject.*part.value;
    if (value.empty()) continue;
    const std::string fault = fault_of(part, value);
    if (!fault.empty()) {
      throw Error(Errc::invalid_argument, doing,
                  "the subject's " + std::string(part.what) + " \"" + printable(value, 80) + "\" " + fault);
    }
    // OpenSSL's table of lengths has the 128 characters of RFC 3280 for e-mail addresses: given its type, it is not
    // asked.
    const int type = part.nid == NID_pkcs9_emailAddress ? V_ASN1_IA5STRING : MBSTRING_UTF8;
    if (!X509_NAME_add_entry_by_NID(name.get(), part.nid, type, reinterpret_cast<const unsigned char*>(value.data()),
                                    static_cast<int>(value.size()), -1, 0))
      throw openssl_error(doing, "setting the subject's " + std::string(part.what));
  }
  return name;
}

}  // namespace culmen::crypto
