#include "crypto/openssl.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>

namespace culmen::crypto {

Error openssl_error(std::string_view doing, std::string_view detail) {
  std::string text(detail);
  std::string last;
  int shown = 0;
  const char* data = nullptr;
  int flags = 0;
  while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
    const char* reason = ERR_reason_error_string(code);
    std::string entry = reason ? reason : "OpenSSL error " + std::to_string(code);
    if ((flags & ERR_TXT_STRING) && data && *data) entry += " (" + printable(data, 100) + ")";
    if (entry == last || shown == 3) continue;
    last = entry;
    ++shown;
    if (!text.empty()) text += shown == 1 ? ": " : "; ";
    text += entry;
  }
  if (text.empty()) text = "OpenSSL gave no reason";
  return Error(Errc::crypto_failed, doing, text);
}

void forget_openssl_errors() noexcept { ERR_clear_error(); }

std::string openssl_version() { return OpenSSL_version(OPENSSL_VERSION); }

}  // namespace culmen::crypto
