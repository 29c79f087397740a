// Flattened JSON Web Signatures as ACME uses them (RFC 7515 §7.2.2, RFC 8555 §6.2).
#pragma once

#include <string>
#include <string_view>

#include "culmen/eab.hpp"
#include "culmen/private_key.hpp"
#include "culmen/result.hpp"

namespace culmen::jose {

/// A request signed by `key`, identified by its public key (`jwk`): newAccount, revocation by certificate key.
std::string sign_with_jwk(const PrivateKey& key, std::string_view nonce, std::string_view url,
                          std::string_view payload);
/// A request signed by `key`, identified by the account URL (`kid`). An empty payload is POST-as-GET.
std::string sign_with_kid(const PrivateKey& key, std::string_view kid, std::string_view nonce, std::string_view url,
                          std::string_view payload);
/// The externalAccountBinding object (RFC 8555 §7.3.4): MAC over the account's public JWK. invalid_argument on another
/// alg than HS256, HS384, HS512.
Result<std::string> external_account_binding(const EabOptions& eab, std::string_view new_account_url,
                                             const PrivateKey& account_key);
/// The payload of a keyChange request (RFC 8555 §7.3.5): a JWS by the new key, without a nonce.
std::string key_change_payload(const PrivateKey& old_key, const PrivateKey& new_key, std::string_view account_url,
                               std::string_view key_change_url);

// All of the above throw Error (crypto_failed) when OpenSSL cannot sign.

}  // namespace culmen::jose
