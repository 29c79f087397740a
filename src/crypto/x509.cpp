#include "crypto/x509.hpp"

#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>

#include "base/base64.hpp"
#include "base/name.hpp"
#include "base/text.hpp"

namespace culmen::crypto {
namespace {

OwnedGeneralName general_name(const Identifier& id, std::string_view doing) {
  OwnedGeneralName name(GENERAL_NAME_new());
  if (!name) throw openssl_error(doing);
  if (id.type == "dns") {
    const std::string text = base::canonical_dns_name(id.value).value();
    ASN1_IA5STRING* value = ASN1_IA5STRING_new();
    if (!value) throw openssl_error(doing);
    GENERAL_NAME_set0_value(name.get(), GEN_DNS, value);
    if (!ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()))) throw openssl_error(doing);
  } else if (id.type == "ip") {
    const auto address = base::ip_octets(id.value);
    if (!address)
      throw Error(Errc::invalid_argument, doing, "\"" + printable(id.value, 80) + "\" is not an IP address");
    ASN1_OCTET_STRING* value = ASN1_OCTET_STRING_new();
    if (!value) throw openssl_error(doing);
    GENERAL_NAME_set0_value(name.get(), GEN_IPADD, value);
    if (!ASN1_OCTET_STRING_set(value, address->data(), static_cast<int>(address->size()))) throw openssl_error(doing);
  } else {
    throw Error(Errc::invalid_argument, doing,
                "an identifier of the type \"" + printable(id.type, 40) +
                    "\" cannot be in subjectAltName; "
                    "dns and ip can");
  }
  return name;
}

std::string utf8(const ASN1_STRING* value, std::string_view doing, std::string_view failure) {
  unsigned char* text = nullptr;
  const int length = ASN1_STRING_to_UTF8(&text, value);
  const OwnedMemory<unsigned char> owner(text);
  if (length < 0) throw openssl_error(doing, failure);
  return std::string(text, text + length);
}

}  // namespace

std::vector<Identifier> tn_auth_lists(const STACK_OF(X509_EXTENSION) * extensions) {
  constexpr std::array<std::uint8_t, 8> oid = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x1a};  // tn_auth_list_oid
  std::vector<Identifier> lists;
  for (int i = 0; i < sk_X509_EXTENSION_num(extensions); ++i) {
    X509_EXTENSION* extension = sk_X509_EXTENSION_value(extensions, i);
    const ASN1_OBJECT* object = X509_EXTENSION_get_object(extension);
    if (!std::ranges::equal(ByteView(OBJ_get0_data(object), OBJ_length(object)), oid)) continue;
    lists.emplace_back(std::string(tn_auth_list_type),
                       base::base64url_encode(octets(X509_EXTENSION_get_data(extension))));
  }
  return lists;
}

OwnedCert read_certificate(ByteView der, std::string_view doing) {
  return from_der<OwnedCert>(
      der, [](auto... args) { return d2i_X509(args...); }, doing);
}

OwnedGeneralNames general_names(const std::vector<Identifier>& identifiers, std::string_view doing) {
  OwnedGeneralNames names(GENERAL_NAMES_new());
  if (!names) throw openssl_error(doing);
  for (const Identifier& id : identifiers) {
    OwnedGeneralName name = general_name(id, doing);
    if (sk_GENERAL_NAME_push(names.get(), name.get()) <= 0) throw openssl_error(doing);
    static_cast<void>(name.release());  // the list owns it now
  }
  return names;
}

ReadNames read_names(const GENERAL_NAMES* names, std::string_view doing) {
  ReadNames out;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    int type = 0;
    const auto* value =
        static_cast<const ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &type));
    if (type == GEN_DNS) {
      const std::string text(as_text(octets(value)));
      // A NUL would make one name look like another to code in C.
      if (text.empty() || text.find('\0') != std::string::npos)
        throw Error(Errc::crypto_failed, doing, "subjectAltName has a DNS name that is empty or has a NUL in it");
      out.identifiers.emplace_back("dns", base::to_lower(text));
    } else if (type == GEN_IPADD) {
      const auto text = base::ip_from_octets(octets(value));
      if (!text) throw Error(Errc::crypto_failed, doing, "subjectAltName has an IP address of a wrong length");
      out.identifiers.emplace_back("ip", *text);
    } else if (type == GEN_EMAIL || type == GEN_URI) {
      (type == GEN_EMAIL ? out.emails : out.uris).emplace_back(as_text(octets(value)));
      out.others = true;
    } else {
      out.others = out.unread = true;
    }
  }
  return out;
}

std::string common_name_of(const X509_NAME* name, std::string_view doing) {
  const int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (index < 0) return {};
  return utf8(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)), doing, "the CN is not readable");
}

std::vector<std::pair<std::string, std::string>> name_values(const X509_NAME* name, std::string_view doing) {
  std::vector<std::pair<std::string, std::string>> values;
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* entry = X509_NAME_get_entry(name, i);
    values.emplace_back(oid_text(X509_NAME_ENTRY_get_object(entry)),
                        utf8(X509_NAME_ENTRY_get_data(entry), doing, "a name has a value that is not readable"));
  }
  return values;
}

OwnedName name_of(std::string_view common_name, std::string_view doing) {
  OwnedName name(X509_NAME_new());
  if (!name) throw openssl_error(doing);
  if (!common_name.empty() && !X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8,
                                                          reinterpret_cast<const unsigned char*>(common_name.data()),
                                                          static_cast<int>(common_name.size()), -1, 0))
    throw openssl_error(doing, "setting the CN");
  return name;
}

OwnedExtension extension_of(const OidValue& value, std::string_view doing) {
  const OwnedObject oid(OBJ_txt2obj(value.oid.c_str(), 1));
  const OwnedOctets content(ASN1_OCTET_STRING_new());
  if (!oid || !content ||
      !ASN1_OCTET_STRING_set(content.get(), value.value.data(), static_cast<int>(value.value.size())))
    throw openssl_error(doing, "making the extension " + printable(value.oid, 80));
  OwnedExtension extension(X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), value.critical ? 1 : 0, content.get()));
  if (!extension) throw openssl_error(doing);
  return extension;
}

OwnedExtension extension_of(int nid, bool critical, void* content, std::string_view doing) {
  OwnedExtension extension(X509V3_EXT_i2d(nid, critical ? 1 : 0, content));
  if (!extension) throw openssl_error(doing, std::string("making the extension ") + OBJ_nid2sn(nid));
  return extension;
}

std::string oid_text(const ASN1_OBJECT* object) {
  std::array<char, 256> small{};
  const int length = OBJ_obj2txt(small.data(), static_cast<int>(small.size()), object, 1);
  if (length < 0) return {};
  if (static_cast<std::size_t>(length) < small.size()) return small.data();
  std::string text(static_cast<std::size_t>(length) + 1, '\0');
  OBJ_obj2txt(text.data(), static_cast<int>(text.size()), object, 1);
  text.pop_back();
  return text;
}

std::chrono::system_clock::time_point time_of(const ASN1_TIME* time, std::string_view doing) {
  using namespace std::chrono;
  std::tm parts{};
  if (!ASN1_TIME_to_tm(time, &parts)) throw openssl_error(doing, "a time is not readable");
  const year_month_day day(year(parts.tm_year + 1900), month(static_cast<unsigned>(parts.tm_mon + 1)),
                           std::chrono::day(static_cast<unsigned>(parts.tm_mday)));
  const sys_seconds exact = sys_days(day) + hours(parts.tm_hour) + minutes(parts.tm_min) + seconds(parts.tm_sec);
  // RFC 5280 §4.1.2.5: "99991231235959Z" means no well-defined expiration date; the clock ends in 2262.
  constexpr auto first = ceil<seconds>(system_clock::time_point::min());
  constexpr auto last = floor<seconds>(system_clock::time_point::max());
  return std::clamp(exact, sys_seconds(first), sys_seconds(last));
}

}  // namespace culmen::crypto
