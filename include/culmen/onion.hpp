// Onion services (RFC 9799): onion-csr-01 and CAA.
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

/// The Ed25519 identity key of an onion service. Copies share one immutable key, and moving copies. Thread-safe.
class OnionKey {
 public:
  /// From an Ed25519 private key in PKCS#8 PEM. Throws Error (crypto_failed).
  static OnionKey from_pem(std::string_view pem);
  /// From the contents of Tor's file hs_ed25519_secret_key. Throws Error (crypto_failed).
  static OnionKey from_tor_file(ByteView contents);
  /// From either format. Throws Error (crypto_failed).
  static OnionKey from_file_contents(std::string_view contents);

  /// The 56 characters and ".onion". Throws Error (crypto_failed) if OpenSSL fails, as sign() does.
  std::string address() const;
  Bytes sign(ByteView message) const;
  Bytes public_key() const;

  // Internal.
  struct Data;
  explicit OnionKey(std::shared_ptr<const Data> data) noexcept : data_(std::move(data)) {}
  OnionKey(const OnionKey&) noexcept = default;
  OnionKey& operator=(const OnionKey&) noexcept = default;
  ~OnionKey() = default;

 private:
  std::shared_ptr<const Data> data_;
};

/// Whether `name` is a v3 onion address with a valid checksum, with or without labels before it.
bool is_onion_address(std::string_view name) noexcept;

/// The CSR for onion-csr-01 (RFC 9799 §3.2) in DER: the CA's nonce and a random nonce as attributes, signed by the
/// onion key. `challenge_nonce_base64` is the challenge's "nonce". Throws Error (invalid_argument) if it is not base64
/// of at least 64 bits; (crypto_failed).
Bytes build_onion_csr_rfc9799(std::string_view challenge_nonce_base64, const OnionKey& key);

/// The form for CAs whose onion-csr-01 has a token, in DER: the key authorization is in an extension. Throws Error
/// (invalid_argument) if `domain` is not a name of the key's service, or the key authorization is empty or too long;
/// (crypto_failed).
Bytes build_onion_csr(std::string_view domain, std::string_view key_authorization, std::string_view hs_key_pem);
Bytes build_onion_csr(std::string_view domain, std::string_view key_authorization, const OnionKey& key);

/// Signed CAA records (RFC 9799 §6.4.1) for engine::finalize() and IssueRequest. `caa` as in OnionCaa. Throws Error
/// (invalid_argument) if `caa` is malformed; (crypto_failed).
OnionCaa sign_onion_caa(const OnionKey& key, std::optional<std::string> caa,
                        std::chrono::system_clock::time_point expiry);

/// Solves onion-csr-01 in the form that the challenge requires (with a nonce or a token). The proof is in response():
/// present() and cleanup() do nothing. Thread-safe. Must outlive the calls that use it.
class OnionSolver final : public ChallengeSolver {
 public:
  explicit OnionSolver(OnionKey key) : key_(std::move(key)) {}
  std::string_view type() const noexcept override { return "onion-csr-01"; }
  /// True for the names of this key's service.
  bool can_solve(const Identifier& identifier, bool wildcard) const override;
  Flow<Result<void>> present(ChallengeContext context) override;
  Flow<Result<void>> cleanup(ChallengeContext context) override;
  /// `{"csr": …}`. Error (bad_response) if the challenge has neither a nonce nor a token; otherwise as the functions
  /// above.
  Result<std::string> response(const ChallengeContext& context) const override;

 private:
  OnionKey key_;
};

}  // namespace culmen
