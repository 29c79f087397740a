#include "crypto/random.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "crypto/openssl.hpp"

namespace culmen::crypto {
namespace {

Bytes digest(const EVP_MD* md, ByteView data, std::string_view doing) {
  Bytes out(EVP_MAX_MD_SIZE);
  unsigned int length = 0;
  if (!EVP_Digest(data.data(), data.size(), out.data(), &length, md, nullptr)) throw openssl_error(doing);
  out.resize(length);
  return out;
}

const EVP_MD* mac_digest(std::string_view alg) {
  if (alg == "HS256") return EVP_sha256();
  if (alg == "HS384") return EVP_sha384();
  if (alg == "HS512") return EVP_sha512();
  throw Error(Errc::crypto_failed, "computing a MAC",
              "\"" + printable(alg, 40) + "\" is not one of HS256, HS384, HS512");
}

}  // namespace

Bytes random_bytes(std::size_t count) {
  Bytes out(count);
  if (RAND_bytes_ex(nullptr, out.data(), out.size(), 0) != 1) throw openssl_error("drawing random octets");
  return out;
}

Bytes sha256(ByteView data) { return digest(EVP_sha256(), data, "computing a SHA-256 digest"); }

Bytes hmac(std::string_view alg, ByteView key, ByteView message) {
  const EVP_MD* md = mac_digest(alg);
  // HMAC() takes a null key to mean the one of the call before.
  static constexpr std::uint8_t nothing = 0;
  const std::uint8_t* key_data = key.empty() ? &nothing : key.data();
  Bytes out(EVP_MAX_MD_SIZE);
  unsigned int length = 0;
  if (!HMAC(md, key_data, static_cast<int>(key.size()), message.data(), message.size(), out.data(), &length))
    throw openssl_error("computing a MAC");
  out.resize(length);
  return out;
}

bool equal_secrets(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace culmen::crypto
