#include "crypto/key_handle.hpp"

#include <array>

namespace culmen::crypto {
namespace {

constexpr int smallest_rsa = 2048, largest_rsa = 8192;

void check_rsa(const EVP_PKEY* key, std::string_view doing) {
  if (!has_usable_length(key))
    throw Error(Errc::crypto_failed, doing,
                "an RSA key of " + std::to_string(EVP_PKEY_get_bits(key)) + " bits; it must have from 2048 to 8192");
  BIGNUM* exponent = nullptr;
  if (!EVP_PKEY_get_bn_param(key, "e", &exponent)) throw openssl_error(doing, "reading the RSA exponent");
  const OwnedBn owner(exponent);
  if (!BN_is_odd(exponent) || BN_is_one(exponent))
    throw Error(Errc::crypto_failed, doing, "the public exponent of the RSA key is not an odd number over 1");
}

// A key whose public half is another key's would sign requests that no server accepts.
void check_halves(EVP_PKEY* key, const KeyKind& kind, std::string_view doing) {
  static constexpr std::array<unsigned char, 6> message = {'c', 'u', 'l', 'm', 'e', 'n'};
  const OwnedMdCtx signer(EVP_MD_CTX_new()), verifier(EVP_MD_CTX_new());
  std::size_t length = 0;
  if (!signer || !verifier ||
      !EVP_DigestSignInit_ex(signer.get(), nullptr, kind.digest, nullptr, nullptr, key, nullptr) ||
      !EVP_DigestSign(signer.get(), nullptr, &length, message.data(), message.size()))
    throw openssl_error(doing, "the key cannot sign");
  Bytes signature(length);
  if (!EVP_DigestSign(signer.get(), signature.data(), &length, message.data(), message.size()))
    throw openssl_error(doing, "the key cannot sign");
  if (!EVP_DigestVerifyInit_ex(verifier.get(), nullptr, kind.digest, nullptr, nullptr, key, nullptr))
    throw openssl_error(doing, "the key cannot verify");
  if (EVP_DigestVerify(verifier.get(), signature.data(), length, message.data(), message.size()) != 1) {
    forget_openssl_errors();
    throw Error(Errc::crypto_failed, doing, "the private and the public half of the key do not belong together");
  }
}

Bytes written_public_key(EVP_PKEY* key, const KeyKind& kind) {
  constexpr std::string_view doing = "writing a public key as DER";
  if (kind.family != KeyFamily::ec) return to_der(key, i2d_PUBKEY, doing);
  // The same without i2d_PUBKEY, which goes through all encoders OpenSSL has: that takes longer than making the key.
  unsigned char* data = nullptr;
  const std::size_t length = EVP_PKEY_get1_encoded_public_key(key, &data);
  OwnedMemory<unsigned char> point(data);
  const OwnedPublicKey written(X509_PUBKEY_new());
  if (length == 0 || !written ||
      !X509_PUBKEY_set0_param(written.get(), OBJ_nid2obj(EVP_PKEY_EC), V_ASN1_OBJECT,
                              OBJ_nid2obj(EC_curve_nist2nid(kind.group)), point.get(), static_cast<int>(length)))
    throw openssl_error(doing);
  static_cast<void>(point.release());  // owned by what it is written into
  return to_der(written.get(), i2d_X509_PUBKEY, doing);
}

}  // namespace

const Bytes& KeyHandle::public_key_der() const {
  std::call_once(public_key_written_, [this] { public_key_der_ = written_public_key(get(), kind()); });
  return public_key_der_;
}

OwnedMdCtx KeyHandle::signer() const {
  const auto failed = [this] { return openssl_error("signing with a key of the type " + type()); };
  OwnedMdCtx copy(EVP_MD_CTX_new());
  const std::lock_guard lock(signer_mutex_);
  if (!signer_) {
    OwnedMdCtx ready(EVP_MD_CTX_new());
    if (!ready || !EVP_DigestSignInit_ex(ready.get(), nullptr, kind().digest, nullptr, nullptr, get(), nullptr))
      throw failed();
    signer_ = std::move(ready);
  }
  if (!copy || !EVP_MD_CTX_copy_ex(copy.get(), signer_.get())) throw failed();
  return copy;
}

bool has_usable_length(const EVP_PKEY* rsa) noexcept {
  const int bits = EVP_PKEY_get_bits(rsa);
  return bits >= smallest_rsa && bits <= largest_rsa;
}

std::shared_ptr<const KeyHandle> make_handle(OwnedKey key, std::string_view doing) {
  auto [kind, type] = recognise(key.get());
  if (!kind) {
    std::string known;
    for (const KeyKind& row : key_kinds()) known.append(known.empty() ? "" : ", ").append(row.name);
    throw Error(Errc::crypto_failed, doing,
                "a key of the type " + printable(type, 60) + " cannot be used; use one of " + known);
  }
  if (kind->family == KeyFamily::rsa) check_rsa(key.get(), doing);
  return std::make_shared<const KeyHandle>(std::move(key), *kind, std::move(type));
}

std::shared_ptr<const KeyHandle> make_private_handle(OwnedKey key, std::string_view doing) {
  auto handle = make_handle(std::move(key), doing);
  check_halves(handle->get(), handle->kind(), doing);
  return handle;
}

OwnedKey read_spki(ByteView spki, std::string_view doing) {
  return from_der<OwnedKey>(
      spki, [](auto... args) { return d2i_PUBKEY(args...); }, doing);
}

}  // namespace culmen::crypto
