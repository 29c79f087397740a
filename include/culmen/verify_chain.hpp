// Whether a chain of certificates leads to a root that is trusted.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace culmen {

/// Why a PEM chain, leaf first, is not one for a TLS server of that DNS name or IP address, at that time, for who
/// trusts the roots of `roots_pem` alone; empty: it is one. Revocation is not looked at. Throws Error (crypto_failed)
/// if a certificate cannot be read, or there is none.
std::string chain_fault(std::string_view chain_pem, std::string_view roots_pem, const std::string& name,
                        std::chrono::system_clock::time_point at);

}  // namespace culmen
