// Certificate signing requests with all that a template can ask for (RFC 9115 §4). include/culmen/csr.hpp has the usual
// ones.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/csr.hpp"
#include "culmen/identifier.hpp"
#include "culmen/private_key.hpp"

namespace culmen::crypto {

/// How a request is signed.
struct RequestSignature {
  RequestSignature() = default;
  std::string digest;  ///< As "SHA256"; empty: as keys of that type do.
  bool pss = false;    ///< RSASSA-PSS with that digest, in MGF1 as well, and a salt of its length.
};

struct RequestContent {
  RequestContent() = default;
  CsrSubject subject;
  std::vector<Identifier> names;                ///< dns, ip, email and uri; none: no subjectAltName.
  std::vector<std::string> key_usage;           ///< As is_key_usage() knows them; none: no extension.
  std::vector<std::string> extended_key_usage;  ///< As is_extended_key_usage() knows them.
  RequestSignature signature;
};
/// In DER. Throws Error (invalid_argument, crypto_failed).
Bytes build_request(const RequestContent& content, const PrivateKey& key);

/// "digitalSignature", … (RFC 5280 §4.2.1.3).
bool is_key_usage(std::string_view name) noexcept;
/// "serverAuth", … (RFC 5280 §4.2.1.12), or an object identifier such as "1.3.6.1.5.5.7.3.17".
bool is_extended_key_usage(std::string_view name) noexcept;

}  // namespace culmen::crypto
