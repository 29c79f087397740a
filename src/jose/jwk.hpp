// JSON Web Keys (RFC 7517, 7518 §6, 8037, 9964) and their thumbprints (RFC 7638).
#pragma once

#include <string>
#include <string_view>

#include "crypto/key.hpp"
#include "culmen/result.hpp"

namespace culmen::jose {

/// The public JWK with exactly the required members, in lexicographic order and without spaces.
std::string public_jwk(const crypto::KeyParts& parts);
/// base64url(SHA-256(public_jwk)).
std::string thumbprint(const crypto::KeyParts& parts);
/// Strict: encodings of exact width, no private members, `alg` (when there) fits the key. Errors: jose_failed,
/// crypto_failed.
Result<crypto::PublicKey> parse_public_jwk(std::string_view json);
Result<PrivateKey> parse_private_jwk(std::string_view json);

}  // namespace culmen::jose
