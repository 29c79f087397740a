// The subject of requests (RFC 5280 §4.1.2.6). Only crypto's .cpp files include this.
#pragma once

#include <string_view>

#include "crypto/openssl.hpp"
#include "culmen/csr.hpp"

namespace culmen::crypto {

/// Throws Error (invalid_argument) that names the value which is too long, or which has characters it cannot have.
OwnedName name_of(const CsrSubject& subject, std::string_view doing);

}  // namespace culmen::crypto
