// EC private keys in PKCS#8, without going through all encoders OpenSSL has: that takes longer than making the key.
// Only crypto's .cpp files include this.
#pragma once

#include <string>

#include "crypto/key_handle.hpp"

namespace culmen::crypto {

/// A PRIVATE KEY block, the same as OpenSSL writes: with the public key, not compressed. Throws Error (crypto_failed).
std::string ec_private_key_pem(const KeyHandle& key);

}  // namespace culmen::crypto
