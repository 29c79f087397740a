#include "culmen/eab.hpp"
#include "base/base64.hpp"
#include "culmen/error.hpp"

namespace culmen {

EabOptions EabOptions::from_text(std::string kid, std::string_view hmac_key, std::string alg) {
  auto key = base::base64_decode_lenient(hmac_key);
  // The text is a secret: it must not be in the error.
  if (!key || key->empty())
    throw Error(Errc::jose_failed, "reading the MAC key of an external account",
                "it is not base64url or base64, or empty; copy it from the CA exactly as it is shown there");
  return EabOptions(std::move(kid), std::move(*key), std::move(alg));
}

}  // namespace culmen
