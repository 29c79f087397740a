// External account binding (RFC 8555 §7.3.4).
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "culmen/bytes.hpp"

namespace culmen {

/// The key that binds a new ACME account to an existing account at the CA. A plain value.
struct EabOptions {
  EabOptions(std::string kid_, Bytes hmac_key_, std::string alg_ = "HS256")
      : kid(std::move(kid_)), hmac_key(std::move(hmac_key_)), alg(std::move(alg_)) {}

  /// From the text the CA provides: base64url or base64, with or without padding; white space is ignored. Throws Error
  /// (jose_failed).
  static EabOptions from_text(std::string kid, std::string_view hmac_key, std::string alg = "HS256");

  std::string kid;
  Bytes hmac_key;   ///< Raw octets, not base64. Secret.
  std::string alg;  ///< HS256, HS384 or HS512.
};

}  // namespace culmen
