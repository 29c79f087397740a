// Certificate signing requests (PKCS#10, RFC 2986; RFC 8555 §7.4).
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/identifier.hpp"
#include "culmen/private_key.hpp"

namespace culmen {

/// Options of build_csr(). A plain value.
struct CsrOptions {
  CsrOptions() = default;
  /// Also put the first DNS name of at most 64 bytes into the subject as CN.
  bool common_name = true;
  /// Request the TLS feature "status_request" (RFC 7633). Most public CAs have rejected it since 2025.
  bool must_staple = false;
  /// JWTClaimConstraints in DER (RFC 8226 §8), for a certificate of telephone numbers; empty: none.
  Bytes jwt_claim_constraints;
};

/// The subject of a certificate (RFC 5280 §4.1.2.6). Empty members are omitted. A plain value.
struct CsrSubject {
  CsrSubject() = default;
  bool empty() const noexcept;

  std::string country;   ///< Two letters (ISO 3166).
  std::string state;     ///< At most 128 characters, like `locality`; the limits are those of RFC 5280 A.1.
  std::string locality;  ///< All members below: at most 64 characters.
  std::string organization;
  std::string organizational_unit;
  std::string common_name;
  std::string email_address;  ///< At most 255 characters, ASCII only.
};

/// A CSR in DER for these identifiers, signed by `key`. The identifiers go into subjectAltName in the order given: dns
/// as dNSName, ip as iPAddress. A TNAuthList, at most one, goes into its own extension (RFC 9448 §3).
///
/// Throws Error (invalid_argument) if there are no identifiers, if one is malformed, or if there is no key;
/// (crypto_failed).
Bytes build_csr(const std::vector<Identifier>& identifiers, const PrivateKey& key, const CsrOptions& options = {});

/// The same for texts: each is an IP address if it parses as one, otherwise a DNS name.
Bytes build_csr(const std::vector<std::string>& names, const PrivateKey& key, const CsrOptions& options = {});
/// Makes build_csr({"example.com", "www.example.com"}, key) unambiguous.
Bytes build_csr(std::initializer_list<std::string_view> names, const PrivateKey& key, const CsrOptions& options = {});

/// A CSR in DER with a subject and no subjectAltName, for CAs that do not take names from the CSR. Throws Error
/// (invalid_argument) if the subject is empty or has an invalid value; (crypto_failed).
Bytes build_subject_only_csr(const CsrSubject& subject, const PrivateKey& key);

/// The identifiers of a CSR: its subjectAltName, its CN if that is a DNS name not listed there, and its TNAuthList.
/// Throws Error (crypto_failed).
std::vector<Identifier> csr_identifiers(ByteView csr_der);
/// The SubjectPublicKeyInfo of a CSR, as Certificate::public_key_der has it. Throws Error (crypto_failed).
Bytes csr_public_key(ByteView csr_der);

}  // namespace culmen
