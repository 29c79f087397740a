// How PKCS#10 requests are put together. Only crypto's .cpp files include this.
#pragma once

#include <string_view>

#include "crypto/openssl.hpp"
#include "crypto/request.hpp"
#include "culmen/private_key.hpp"

namespace culmen::crypto {

void push(OwnedExtensions& list, OwnedExtension extension, std::string_view doing);

/// The request in DER. `extensions` may be null. Throws Error (crypto_failed).
Bytes signed_request(const OwnedName& subject, const OwnedExtensions& extensions, const PrivateKey& key,
                     std::string_view doing, const RequestSignature& how = {});

}  // namespace culmen::crypto
