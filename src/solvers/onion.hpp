// Parts of .onion validation that are tested separately.
#pragma once

#include "culmen/onion.hpp"

namespace culmen::solvers {

/// The CSR of RFC 9799 §3.2 with a given applicant nonce.
Bytes onion_csr_with_nonces(ByteView ca_nonce, ByteView applicant_nonce, const OnionKey& key);

}  // namespace culmen::solvers
