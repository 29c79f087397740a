// .onion names (RFC 9799): onion-csr-01.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"
#include "culmen/onion_caa.hpp"
#include "culmen/private_key.hpp"
#include "culmen/solver.hpp"

namespace culmen {

/// The Ed25519 identity key of an onion service. Copies share it; thread-safe.
class OnionKey {
 public:
  /// From PKCS#8 PEM (an Ed25519 private key). Throws Error (crypto_failed).
  static OnionKey from_pem(std::string_view pem);
  /// From Tor's own file hs_ed25519_secret_key (its bytes). Throws Error (crypto_failed).
  static OnionKey from_tor_file(ByteView contents);
  /// Either of the two.
  static OnionKey from_file_contents(std::string_view contents);

  /// The 56 characters and ".onion".
  std::string address() const;
  Bytes sign(ByteView message) const;
  Bytes public_key() const;

  struct Data;
  explicit OnionKey(std::shared_ptr<const Data> data) noexcept : data_(std::move(data)) {}

 private:
  std::shared_ptr<const Data> data_;
};

/// Whether that is a version 3 address with the right checksum, with or without labels before it.
bool is_onion_address(std::string_view name) noexcept;

/// The CSR of RFC 9799 §3.2: the CA's nonce and a nonce of ours as attributes, signed by the onion key; DER.
/// `challenge_nonce_base64` is the challenge's "nonce". Throws Error (invalid_argument, crypto_failed).
Bytes build_onion_csr_rfc9799(std::string_view challenge_nonce_base64, const OnionKey& key);

/// The form that carries the key authorization as an extension, for CAs whose onion-csr-01 has a token; DER.
/// Throws Error (invalid_argument, crypto_failed).
Bytes build_onion_csr(std::string_view domain, std::string_view key_authorization, std::string_view hs_key_pem);
Bytes build_onion_csr(std::string_view domain, std::string_view key_authorization, const OnionKey& key);

/// CAA records for engine::finalize() and IssueRequest, signed (RFC 9799 §6.4.1). `caa` as in OnionCaa.
/// Throws Error (invalid_argument) when `caa` has characters that such records cannot have.
OnionCaa sign_onion_caa(const OnionKey& key, std::optional<std::string> caa,
                        std::chrono::system_clock::time_point expiry);

/// Solves onion-csr-01, in the form that the challenge calls for.
class OnionSolver final : public ChallengeSolver {
 public:
  explicit OnionSolver(OnionKey key) : key_(std::move(key)) {}
  std::string_view type() const noexcept override { return "onion-csr-01"; }
  /// Only names of this key's service.
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;
  Result<std::string> response(const ChallengeContext& context) const override;

 private:
  OnionKey key_;
};

}  // namespace culmen
