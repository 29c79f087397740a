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
};

/// A CSR in DER for these identifiers, signed by `key`. All identifiers stand in subjectAltName in the order given:
/// dns as dNSName, ip as iPAddress. Throws Error (invalid_argument) when there are none, (crypto_failed).
Bytes build_csr(const std::vector<Identifier>& identifiers, const PrivateKey& key, const CsrOptions& options = {});

/// The same for texts; each is an IP address if it reads as one, else a DNS name.
Bytes build_csr(const std::vector<std::string>& names, const PrivateKey& key, const CsrOptions& options = {});
/// So that build_csr({"example.com", "www.example.com"}, key) means texts, however many there are.
Bytes build_csr(std::initializer_list<std::string_view> names, const PrivateKey& key, const CsrOptions& options = {});

/// The identifiers a CSR asks for: its subjectAltName, and the CN when it is a DNS name not in it.
/// Throws Error (crypto_failed).
std::vector<Identifier> csr_identifiers(ByteView csr_der);

}  // namespace culmen
