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

struct CsrOptions {
  CsrOptions() = default;
  /// Put the first DNS name of at most 64 bytes into the subject as CN. Names are always in subjectAltName.
  bool common_name = true;
  /// Ask for the TLS feature "status_request" (RFC 7633). Most public CAs refuse it since 2025.
  bool must_staple = false;
  /// JWTClaimConstraints in DER (RFC 8226 §8), for a certificate of telephone numbers; empty: none.
  Bytes jwt_claim_constraints;
};

/// Who a certificate is for (RFC 5280 §4.1.2.6). What is empty is left out.
struct CsrSubject {
  CsrSubject() = default;
  bool empty() const noexcept;

  std::string country;   ///< Two letters (ISO 3166).
  std::string state;     ///< At most 128 characters, as `locality`; the lengths are those of RFC 5280 A.1.
  std::string locality;  ///< The others have 64 at most.
  std::string organization;
  std::string organizational_unit;
  std::string common_name;
  std::string email_address;  ///< At most 255 characters, ASCII.
};

/// A CSR in DER for these identifiers, signed by `key`. All identifiers stand in subjectAltName in the order given:
/// dns as dNSName, ip as iPAddress; but a TNAuthList, of which there may be one, in an extension of its own (RFC 9448
/// §3). Throws Error (invalid_argument) when there are none, (crypto_failed).
Bytes build_csr(const std::vector<Identifier>& identifiers, const PrivateKey& key, const CsrOptions& options = {});

/// The same for texts; each is an IP address if it reads as one, else a DNS name.
Bytes build_csr(const std::vector<std::string>& names, const PrivateKey& key, const CsrOptions& options = {});
/// So that build_csr({"example.com", "www.example.com"}, key) means texts, however many there are.
Bytes build_csr(std::initializer_list<std::string_view> names, const PrivateKey& key, const CsrOptions& options = {});

/// A CSR in DER that has a subject and no subjectAltName, for CAs whose certificates have no names: those come from
/// somewhere else than ACME's identifiers, or nowhere. Throws Error (invalid_argument) when the subject is empty or has
/// a value that it cannot have, (crypto_failed).
Bytes build_subject_only_csr(const CsrSubject& subject, const PrivateKey& key);

/// The identifiers a CSR asks for: its subjectAltName, the CN when it is a DNS name not in it, its TNAuthList.
/// Throws Error (crypto_failed).
std::vector<Identifier> csr_identifiers(ByteView csr_der);

}  // namespace culmen
