#include "culmen/blocking/certificate.hpp"

#include <utility>

namespace culmen::blocking {

CertificateWithKey::CertificateWithKey(std::string private_key_pem, std::string chain_pem)
    : private_key_(std::move(private_key_pem)),
      chain_(std::move(chain_pem)),
      key_(PrivateKey::from_pem(private_key_)),
      leaf_(Certificate::from_pem(chain_)) {}

// PKCS#8, even if the key was stored in another form.
Bytes CertificateWithKey::private_key_der() const { return pem_to_der(key_.to_pem()).front(); }

long CertificateWithKey::valid_days_left(std::chrono::system_clock::time_point now) const {
  return static_cast<long>(std::chrono::floor<std::chrono::days>(leaf_.not_after - now).count());
}

}  // namespace culmen::blocking
