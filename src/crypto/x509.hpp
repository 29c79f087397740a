// What requests and certificates have in common: names, extensions, times. Only crypto's .cpp files include this.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "crypto/ca.hpp"
#include "crypto/key_handle.hpp"
#include "crypto/openssl.hpp"
#include "culmen/identifier.hpp"

namespace culmen::crypto {

/// Identifiers that stand in an extension of their own, id-pe-TNAuthList (RFC 8226 §9, RFC 9448 §3).
inline constexpr std::string_view tn_auth_list_type = "TNAuthList";
inline constexpr std::string_view tn_auth_list_oid = "1.3.6.1.5.5.7.1.26";
/// Those of a certificate.
std::vector<Identifier> tn_auth_lists(const STACK_OF(X509_EXTENSION) * extensions);

OwnedCert read_certificate(ByteView der, std::string_view doing);

/// A subjectAltName of dns and ip identifiers. Throws Error (invalid_argument) on others and on malformed ones.
OwnedGeneralNames general_names(const std::vector<Identifier>& identifiers, std::string_view doing);

struct ReadNames {
  ReadNames() = default;
  std::vector<Identifier> identifiers;  ///< dns (lower-cased) and ip, in order.
  std::vector<std::string> emails, uris;
  bool others = false;  ///< There are names that are neither dns nor ip.
  bool unread = false;  ///< There are names that are in none of the lists here.
};
ReadNames read_names(const GENERAL_NAMES* names, std::string_view doing);

/// The first CN in UTF-8; empty if there is none.
std::string common_name_of(const X509_NAME* name, std::string_view doing);
/// The values of a name in UTF-8, by OID.
std::vector<std::pair<std::string, std::string>> name_values(const X509_NAME* name, std::string_view doing);
/// A subject of this CN, or an empty one.
OwnedName name_of(std::string_view common_name, std::string_view doing);

/// A DER-encoded extension by OID.
OwnedExtension extension_of(const OidValue& value, std::string_view doing);
/// An extension from OpenSSL's own structure for it.
OwnedExtension extension_of(int nid, bool critical, void* content, std::string_view doing);
std::string oid_text(const ASN1_OBJECT* object);

/// Times out of the clock's range become its first or last second.
std::chrono::system_clock::time_point time_of(const ASN1_TIME* time, std::string_view doing);

}  // namespace culmen::crypto
