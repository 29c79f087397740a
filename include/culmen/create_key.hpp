// New private keys for certificates, by the names most people look for; PrivateKey::generate() knows more.
#pragma once

#include "culmen/private_key.hpp"

namespace culmen {

PrivateKey create_p256_key();
PrivateKey create_p384_key();
/// 2048, 3072 or 4096 bits. Throws Error (unsupported_key_type) for others.
PrivateKey create_rsa_key(int bits);

}  // namespace culmen
