// Parts of .onion validation that tests look at one by one.
#pragma once

#include "culmen/onion.hpp"

namespace culmen::solvers {

/// The CSR of RFC 9799 with a given nonce of ours.
Bytes onion_csr_with_nonces(ByteView ca_nonce, ByteView applicant_nonce, const OnionKey& key);

}  // namespace culmen::solvers
