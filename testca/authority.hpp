// Roots, intermediates and chains, and the signing of leaves.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "crypto/ca.hpp"
#include "culmen/bytes.hpp"
#include "culmen/private_key.hpp"

namespace culmen::testca {

/// Made once, then only read: safe to sign with from several threads.
class Authority {
 public:
  /// `label` tells this CA's names from another's. Its certificates are valid by the clock of `now` and by the real
  /// one.
  Authority(int chain_length, int alternate_roots, const std::string& label, std::chrono::system_clock::time_point now);

  /// `what` needs no issuer data; returns the leaf's DER.
  Bytes sign_leaf(const crypto::CertificateTemplate& what) const;
  /// The last moment a leaf may be valid.
  std::chrono::system_clock::time_point not_after() const { return not_after_; }

  const std::string& root_pem() const { return roots_.front(); }
  std::vector<std::string> alternate_root_pems() const { return {roots_.begin() + 1, roots_.end()}; }
  /// What follows the leaf in each chain, PEM; the first is the default one.
  const std::vector<std::string>& chains() const { return chains_; }

  /// A certificate and key for the HTTPS listener, PEM; issued by the root itself.
  struct TlsIdentity {
    std::string certificate_pem, key_pem;
  };
  TlsIdentity tls_identity(const std::string& address) const;

 private:
  PrivateKey root_key_;
  Bytes root_der_;
  std::optional<crypto::Issuer> issuer_;  ///< The intermediate that signs leaves; the root when there is none.
  std::vector<std::string> roots_;
  std::vector<std::string> chains_;
  std::chrono::system_clock::time_point not_before_, not_after_;
};

}  // namespace culmen::testca
