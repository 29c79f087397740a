#include "crypto/sealed.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <limits>

#include "crypto/openssl.hpp"
#include "crypto/random.hpp"

namespace culmen::crypto {
namespace {

using OwnedCipherCtx = Owned<EVP_CIPHER_CTX, &EVP_CIPHER_CTX_free>;

constexpr std::size_t nonce_size = 12, tag_size = 16;
static_assert(nonce_size + tag_size == seal_overhead);

/// OpenSSL counts in int.
int counted(std::size_t size, std::string_view doing) {
  if (size > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error(Errc::crypto_failed, doing, "the value is too long");
  }
  return static_cast<int>(size);
}

OwnedCipherCtx begin_gcm(ByteView key, ByteView nonce, ByteView context, bool encrypts, std::string_view doing) {
  if (key.size() != seal_key_size) throw Error(Errc::crypto_failed, doing, "the key does not have 32 octets");
  OwnedCipherCtx cipher(EVP_CIPHER_CTX_new());
  int ignored = 0;
  // The nonce has the default length.
  if (!cipher ||
      EVP_CipherInit_ex2(cipher.get(), EVP_aes_256_gcm(), key.data(), nonce.data(), encrypts ? 1 : 0, nullptr) != 1 ||
      EVP_CipherUpdate(cipher.get(), nullptr, &ignored, context.data(), counted(context.size(), doing)) != 1) {
    throw openssl_error(doing);
  }
  return cipher;
}

}  // namespace

Bytes seal(ByteView key, ByteView plain, ByteView context) {
  constexpr std::string_view doing = "encrypting a value";
  Bytes sealed = random_bytes(nonce_size);
  const OwnedCipherCtx cipher = begin_gcm(key, sealed, context, true, doing);
  sealed.resize(nonce_size + plain.size() + tag_size);
  std::uint8_t* const body = sealed.data() + nonce_size;
  int length = 0;
  const bool encrypted = (plain.empty() || EVP_CipherUpdate(cipher.get(), body, &length, plain.data(),
                                                            counted(plain.size(), doing)) == 1) &&
                         EVP_CipherFinal_ex(cipher.get(), body + length, &length) == 1 &&
                         EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_GET_TAG, tag_size, body + plain.size()) == 1;
  if (!encrypted) throw openssl_error(doing);
  return sealed;
}

std::optional<Bytes> unseal(ByteView key, ByteView sealed, ByteView context) {
  constexpr std::string_view doing = "decrypting a value";
  if (sealed.size() < seal_overhead) return std::nullopt;
  const ByteView nonce = sealed.first(nonce_size), body = sealed.subspan(nonce_size, sealed.size() - seal_overhead);
  Bytes tag(sealed.end() - tag_size, sealed.end());  // OpenSSL takes it as writable
  const OwnedCipherCtx cipher = begin_gcm(key, nonce, context, false, doing);
  // One octet more than it has: OpenSSL takes a null output to mean additional data.
  Bytes plain(body.size() + 1);
  int length = 0;
  const bool read = (body.empty() || EVP_CipherUpdate(cipher.get(), plain.data(), &length, body.data(),
                                                      counted(body.size(), doing)) == 1) &&
                    EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_AEAD_SET_TAG, tag_size, tag.data()) == 1;
  if (!read) throw openssl_error(doing);
  if (EVP_CipherFinal_ex(cipher.get(), plain.data() + length, &length) != 1) {
    std::ranges::fill(plain, std::uint8_t{0});
    forget_openssl_errors();
    return std::nullopt;
  }
  plain.resize(body.size());
  return plain;
}

}  // namespace culmen::crypto
