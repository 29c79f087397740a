// New private keys of the common types. PrivateKey::generate() has more types.
//
// The functions throw Error (crypto_failed) if OpenSSL fails.
#pragma once

#include "culmen/private_key.hpp"

namespace culmen {

PrivateKey create_p256_key();
PrivateKey create_p384_key();
/// `bits` is 2048, 3072 or 4096. Throws Error (unsupported_key_type) for other sizes.
PrivateKey create_rsa_key(int bits);

}  // namespace culmen
