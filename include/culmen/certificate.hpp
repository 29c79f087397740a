// Reading certificates and chains.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/bytes.hpp"
#include "culmen/identifier.hpp"
#include "culmen/private_key.hpp"

namespace culmen {

/// A parsed certificate. A plain value.
struct Certificate {
  Certificate() = default;

  /// Parses the first CERTIFICATE block of a PEM text. Throws Error (crypto_failed).
  static Certificate from_pem(std::string_view pem);
  /// Throws Error (crypto_failed).
  static Certificate from_der(ByteView der);

  /// Whether the certificate's public key belongs to `key`. Throws Error (invalid_argument) if there is no key.
  bool matches(const PrivateKey& key) const;

  Bytes der;
  std::vector<Identifier> identifiers;  ///< subjectAltName, dns and ip, in order; then TNAuthList (RFC 9448).
  std::string subject_common_name;      ///< Empty if there is none.
  std::string issuer_common_name;
  std::chrono::system_clock::time_point not_before;
  std::chrono::system_clock::time_point not_after;
  Bytes serial;                    ///< Content octets of the DER INTEGER, including a leading 00 (RFC 9773 §4.1).
  Bytes authority_key_identifier;  ///< keyIdentifier octets; empty if there are none.
  Bytes public_key_der;            ///< SubjectPublicKeyInfo.
};

/// All PEM blocks of a text as DER, in order. CRLF and text around the blocks are accepted; damaged blocks are skipped.
std::vector<Bytes> pem_to_der(std::string_view pem);
/// One PEM block with LF line endings and 64 columns.
std::string der_to_pem(ByteView der, std::string_view label = "CERTIFICATE");

/// Every certificate of a PEM chain, leaf first. Throws Error (crypto_failed) if a block is not a certificate (RFC 8555
/// §9.1), or if there is no block.
std::vector<Certificate> read_chain(std::string_view pem);

/// The issuer CN of the last certificate of a chain: the name that "preferred chain" options compare with. Throws as
/// read_chain() does.
std::string topmost_issuer(std::string_view chain_pem);

}  // namespace culmen
