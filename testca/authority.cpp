#include "testca/authority.hpp"

#include <algorithm>

#include "base/name.hpp"
#include "culmen/certificate.hpp"

namespace culmen::testca {
namespace {

constexpr auto day = std::chrono::hours(24);

}  // namespace

Authority::Authority(int chain_length, int alternate_roots, const std::string& label,
                     std::chrono::system_clock::time_point now)
    : root_key_(PrivateKey::generate("ec:P-256")),
      not_before_(std::min(now, std::chrono::system_clock::now()) - day),
      not_after_(std::max(now, std::chrono::system_clock::now()) + 3650 * day) {
  auto ca = [&](const std::string& name, const PrivateKey& key, const PrivateKey& signer, ByteView signer_der) {
    crypto::CertificateTemplate what;
    what.common_name = name + " " + label;
    what.public_key_der = key.public_key_der();
    what.not_before = not_before_;
    what.not_after = not_after_;
    what.is_ca = true;
    return crypto::sign_certificate(what, signer, signer_der);
  };

  root_der_ = ca("culmen Test Root", root_key_, root_key_, {});
  roots_.push_back(der_to_pem(root_der_));

  // The topmost certificate below the root (the root itself when there is none below) is what alternate roots sign too:
  // the chains differ in nothing else.
  std::string top_name = "culmen Test Root";
  PrivateKey top_key = root_key_;
  PrivateKey issuer_key = root_key_;
  Bytes issuer_der = root_der_;
  std::string below_top;
  std::string default_chain;
  for (int i = 0; i < chain_length; ++i) {
    std::string name = "culmen Test Intermediate " + std::to_string(i + 1);
    PrivateKey key = PrivateKey::generate("ec:P-256");
    Bytes der = ca(name, key, issuer_key, issuer_der);
    if (i == 0) {
      top_name = name;
      top_key = key;
    } else {
      below_top.insert(0, der_to_pem(der));
    }
    default_chain.insert(0, der_to_pem(der));
    issuer_key = key;
    issuer_der = der;
  }
  issuer_.emplace(issuer_key, issuer_der);
  chains_.push_back(default_chain);

  for (int i = 0; i < alternate_roots; ++i) {
    std::string name = "culmen Test Alternate Root " + std::to_string(i + 1);
    PrivateKey key = PrivateKey::generate("ec:P-256");
    Bytes der = ca(name, key, key, {});
    roots_.push_back(der_to_pem(der));
    chains_.push_back(below_top + der_to_pem(ca(top_name, top_key, key, der)));
  }
}

Bytes Authority::sign_leaf(const crypto::CertificateTemplate& what) const { return issuer_->sign(what); }

Authority::TlsIdentity Authority::tls_identity(const std::string& address) const {
  PrivateKey key = PrivateKey::generate("ec:P-256");
  crypto::CertificateTemplate what;
  what.common_name = "localhost";
  what.identifiers = {Identifier("dns", "localhost"), Identifier("ip", "127.0.0.1"), Identifier("ip", "::1")};
  auto ip = base::canonical_ip(address);
  if (ip && *ip != "127.0.0.1" && *ip != "::1") what.identifiers.emplace_back("ip", *ip);
  what.public_key_der = key.public_key_der();
  what.not_before = std::chrono::system_clock::now() - day;
  what.not_after = what.not_before + 397 * day;
  Bytes der = crypto::sign_certificate(what, root_key_, root_der_);
  TlsIdentity identity;
  identity.certificate_pem = der_to_pem(der);
  identity.key_pem = key.to_pem();
  return identity;
}

}  // namespace culmen::testca
