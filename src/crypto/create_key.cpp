#include "culmen/create_key.hpp"

#include <string>

namespace culmen {

PrivateKey create_p256_key() { return PrivateKey::generate("ec:P-256"); }
PrivateKey create_p384_key() { return PrivateKey::generate("ec:P-384"); }
PrivateKey create_rsa_key(int bits) { return PrivateKey::generate("rsa:" + std::to_string(bits)); }

}  // namespace culmen
