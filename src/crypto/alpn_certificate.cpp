#include "crypto/alpn_certificate.hpp"

#include "crypto/random.hpp"

namespace culmen::crypto {

OidValue acme_identifier_extension(std::string_view key_authorization) {
  // RFC 8737 §3: "Authorization ::= OCTET STRING (SIZE (32))"
  Bytes value = {0x04, 0x20};
  const Bytes digest = sha256(as_bytes(key_authorization));
  value.insert(value.end(), digest.begin(), digest.end());
  return OidValue("1.3.6.1.5.5.7.1.31", std::move(value), true);
}

Bytes alpn_certificate(const Identifier& identifier, std::string_view key_authorization, const PrivateKey& key,
                       std::chrono::system_clock::time_point now) {
  CertificateTemplate what;
  // The name proper does not stand here: a CN ends at 64 characters, a DNS name may have 253. An empty issuer is what
  // RFC 5280 §4.1.2.4 forbids.
  what.common_name = "ACME challenge";
  what.identifiers = {identifier};
  what.public_key = public_key(key);
  what.not_before = now - std::chrono::hours(24);
  what.not_after = now + std::chrono::hours(24);
  what.bare = true;
  what.extensions.push_back(acme_identifier_extension(key_authorization));
  return sign_certificate(what, key);
}

}  // namespace culmen::crypto
