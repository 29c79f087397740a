#include "jose/jws.hpp"

#include <boost/json.hpp>

#include "base/base64.hpp"
#include "crypto/random.hpp"

namespace culmen::jose {
namespace {

std::string json_string(std::string_view text) {
  return boost::json::serialize(boost::json::string_view(text.data(), text.size()));
}

std::string flattened(std::string_view protected64, std::string_view payload64, ByteView signature) {
  // Built from base64url only: nothing to escape.
  return "{\"protected\":\"" + std::string(protected64) + "\",\"payload\":\"" + std::string(payload64) +
         "\",\"signature\":\"" + base::base64url_encode(signature) + "\"}";
}

/// `sign` gets the signing input of RFC 7515 §5.1, "protected.payload".
template <class Sign>
std::string signed_object(std::string_view header, std::string_view payload, Sign&& sign) {
  const std::string protected64 = base::base64url_encode(header);
  const std::string payload64 = base::base64url_encode(payload);
  const std::string input = protected64 + "." + payload64;
  return flattened(protected64, payload64, sign(as_bytes(input)));
}

std::string signed_by(const PrivateKey& key, std::string_view header, std::string_view payload) {
  return signed_object(header, payload, [&](ByteView input) { return key.sign(input); });
}

std::string alg_member(std::string_view alg) { return "{\"alg\":" + json_string(alg); }

}  // namespace

std::string sign_with_jwk(const PrivateKey& key, std::string_view nonce, std::string_view url,
                          std::string_view payload) {
  const std::string header = alg_member(key.alg()) + ",\"jwk\":" + key.public_jwk() +
                             ",\"nonce\":" + json_string(nonce) + ",\"url\":" + json_string(url) + "}";
  return signed_by(key, header, payload);
}

std::string sign_with_kid(const PrivateKey& key, std::string_view kid, std::string_view nonce, std::string_view url,
                          std::string_view payload) {
  const std::string header = alg_member(key.alg()) + ",\"kid\":" + json_string(kid) +
                             ",\"nonce\":" + json_string(nonce) + ",\"url\":" + json_string(url) + "}";
  return signed_by(key, header, payload);
}

Result<std::string> external_account_binding(const EabOptions& eab, std::string_view new_account_url,
                                             const PrivateKey& account_key) {
  // RFC 8555 §7.3.4: "The "alg" field MUST indicate a MAC-based algorithm"
  if (eab.alg != "HS256" && eab.alg != "HS384" && eab.alg != "HS512")
    return Error(Errc::invalid_argument, "binding an external account",
                 "the algorithm \"" + printable(eab.alg, 40) + "\" is not one of HS256, HS384, HS512");
  if (eab.hmac_key.empty()) return Error(Errc::invalid_argument, "binding an external account", "the MAC key is empty");
  const std::string header =
      alg_member(eab.alg) + ",\"kid\":" + json_string(eab.kid) + ",\"url\":" + json_string(new_account_url) + "}";
  return signed_object(header, account_key.public_jwk(),
                       [&](ByteView input) { return crypto::hmac(eab.alg, eab.hmac_key, input); });
}

std::string key_change_payload(const PrivateKey& old_key, const PrivateKey& new_key, std::string_view account_url,
                               std::string_view key_change_url) {
  // RFC 8555 §7.3.5: "The inner JWS MUST NOT include a "nonce" header parameter"
  const std::string header =
      alg_member(new_key.alg()) + ",\"jwk\":" + new_key.public_jwk() + ",\"url\":" + json_string(key_change_url) + "}";
  const std::string payload = "{\"account\":" + json_string(account_url) + ",\"oldKey\":" + old_key.public_jwk() + "}";
  return signed_by(new_key, header, payload);
}

}  // namespace culmen::jose
