// The signed requests of ACME (RFC 8555 §6.2), taken apart and judged.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

#include "crypto/key.hpp"
#include "culmen/bytes.hpp"

namespace culmen::testca {

/// A flattened JWS, taken apart; nothing is verified yet.
struct Jws {
  Jws() = default;
  boost::json::object header;  ///< The protected header.
  std::string alg;
  std::string payload;  ///< Decoded.
  std::string signing_input;
  Bytes signature;
};

/// A key from a `jwk` member.
struct JwkKey {
  JwkKey(crypto::PublicKey key_, std::string thumbprint_) : key(std::move(key_)), thumbprint(std::move(thumbprint_)) {}
  crypto::PublicKey key;
  std::string thumbprint;
};

/// Exactly `protected`, `payload` and `signature`, strict base64url. `what` names it in refusals. Throws Refusal.
Jws read_jws(const boost::json::object& object, std::string_view what);
/// The same, with an asymmetric alg that we have (else badSignatureAlgorithm).
Jws read_signed_jws(const boost::json::object& object, std::string_view what);

/// A public JWK; badPublicKey when it is none or one we do not take. Throws Refusal.
JwkKey read_jwk(const boost::json::object& jwk);

/// Throws Refusal (malformed) unless `key` made the signature and `alg` is that key's own.
void verify_jws(const Jws& jws, const crypto::PublicKey& key, std::string_view what);

/// The JWS algorithm of a type of key ("ec:P-256"), empty when it has none.
std::string_view alg_of_key(std::string_view key_type);
/// RSA from 2048 to 8192 bits, and every other type there is a name for.
bool is_acceptable_key(std::string_view key_type);

}  // namespace culmen::testca
