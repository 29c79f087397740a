// The certificate that answers tls-alpn-01 (RFC 8737 §3).
#pragma once

#include <chrono>
#include <string_view>

#include "crypto/ca.hpp"
#include "culmen/bytes.hpp"
#include "culmen/identifier.hpp"
#include "culmen/private_key.hpp"

namespace culmen::crypto {

/// id-pe-acmeIdentifier: critical, the SHA-256 of the key authorization.
OidValue acme_identifier_extension(std::string_view key_authorization);

/// Self-signed, for that identifier alone, good from a day before `now` to a day after. Throws Error (crypto_failed,
/// invalid_argument).
Bytes alpn_certificate(const Identifier& identifier, std::string_view key_authorization, const PrivateKey& key,
                       std::chrono::system_clock::time_point now);

}  // namespace culmen::crypto
