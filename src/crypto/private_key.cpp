#include "culmen/private_key.hpp"

#include <openssl/core_names.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>
#include <optional>

#include "crypto/ec_private_key.hpp"
#include "crypto/key.hpp"
#include "crypto/key_handle.hpp"
#include "crypto/pem.hpp"
#include "culmen/certificate.hpp"

namespace culmen {
namespace {

using namespace crypto;

constexpr std::string_view reading_pem = "reading a private key from PEM";

Error unreadable(std::string_view detail) { return Error(Errc::crypto_failed, reading_pem, detail); }

OwnedKey generate_key(const KeyKind& kind, std::string_view type) {
  if (kind.family == KeyFamily::ec) return OwnedKey(EVP_PKEY_Q_keygen(nullptr, nullptr, kind.openssl, kind.group));
  if (kind.family != KeyFamily::rsa) return OwnedKey(EVP_PKEY_Q_keygen(nullptr, nullptr, kind.openssl));
  const auto bits = static_cast<std::size_t>(std::stoul(std::string(type.substr(4))));
  return OwnedKey(EVP_PKEY_Q_keygen(nullptr, nullptr, kind.openssl, bits));
}

bool is_private_label(std::string_view label) {
  return label == "PRIVATE KEY" || label == "ENCRYPTED PRIVATE KEY" || label == "EC PRIVATE KEY" ||
         label == "RSA PRIVATE KEY" || label == "ED25519 PRIVATE KEY";
}

/// Why none of the blocks is a private key.
Error not_a_private_key(const std::vector<PemBlock>& blocks) {
  if (blocks.empty()) return unreadable("there is no PEM block (\"-----BEGIN … PRIVATE KEY-----\") in it");
  const std::string& label = blocks.front().label;
  if (label.ends_with("CERTIFICATE") || label.ends_with("CERTIFICATE REQUEST") || label.ends_with("PUBLIC KEY"))
    return unreadable("this is a " + printable(label, 60) + ", not a private key; give the file with the private key");
  if (label == "OPENSSH PRIVATE KEY")
    return unreadable("this is in OpenSSH's own format; convert it: ssh-keygen -p -m PKCS8 -f FILE");
  return unreadable("a block \"" + printable(label, 60) + "\" is not a private key culmen can read");
}

/// The passphrase as OpenSSL asks for it; it may ask twice.
struct Passphrase {
  explicit Passphrase(std::string given) : text(std::move(given)) {}
  std::string text;
  ~Passphrase() { OPENSSL_cleanse(text.data(), text.size()); }
};

extern "C" int culmen_give_passphrase(char* out, int size, int, void* data) {
  const auto* passphrase = static_cast<const Passphrase*>(data);
  // Without a passphrase the answer is a failure: OpenSSL's own default is to ask on the terminal.
  if (!passphrase || passphrase->text.size() > static_cast<std::size_t>(size)) return -1;
  std::ranges::copy(passphrase->text, out);
  return static_cast<int>(passphrase->text.size());
}

std::optional<std::string> mldsa_type(ByteView pkcs8) {
  const unsigned char* at = pkcs8.data();
  const OwnedPkcs8 info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(pkcs8.size())));
  const ASN1_OBJECT* algorithm = nullptr;
  if (!info || !PKCS8_pkey_get0(&algorithm, nullptr, nullptr, nullptr, info.get())) {
    forget_openssl_errors();
    return std::nullopt;
  }
  std::array<char, 80> oid{};
  OBJ_obj2txt(oid.data(), oid.size(), algorithm, 1);
  // RFC 9881 §2
  const std::string_view text(oid.data());
  if (text == "2.16.840.1.101.3.4.3.17") return "ml-dsa-44";
  if (text == "2.16.840.1.101.3.4.3.18") return "ml-dsa-65";
  if (text == "2.16.840.1.101.3.4.3.19") return "ml-dsa-87";
  return std::nullopt;
}

/// PKCS#8 with the key type given: if OpenSSL 3.0 has to guess it tries all types, which takes four times as long.
OwnedKey read_plain(ByteView pkcs8) {
  const unsigned char* at = pkcs8.data();
  const auto length = static_cast<long>(pkcs8.size());
  const OwnedPkcs8 info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, length));
  const ASN1_OBJECT* algorithm = nullptr;
  at = pkcs8.data();
  OwnedKey key(info && PKCS8_pkey_get0(&algorithm, nullptr, nullptr, nullptr, info.get())
                   ? d2i_PrivateKey(OBJ_obj2nid(algorithm), nullptr, &at, length)
                   : nullptr);
  forget_openssl_errors();
  return key;
}

OwnedKey read_block(const PemBlock& block, const PassphraseCallback& ask) {
  // RFC 1421 §4.6.1.1: "Proc-Type: 4,ENCRYPTED"
  const bool encrypted = block.label == "ENCRYPTED PRIVATE KEY" || block.headers.find("ENCRYPTED") != std::string::npos;
  if (encrypted && !ask) throw unreadable("the key is encrypted, and no passphrase was given");
  std::optional<Passphrase> passphrase;
  if (encrypted) passphrase.emplace(ask());

  // certmagic writes PKCS#8 under its own label.
  const std::string label = block.label == "ED25519 PRIVATE KEY" ? "PRIVATE KEY" : block.label;
  if (label == "PRIVATE KEY") {
    if (OwnedKey key = read_plain(block.der)) return key;
  }
  std::string text = der_to_pem(block.der, label);
  if (!block.headers.empty()) text.insert(text.find('\n') + 1, block.headers + "\n");
  const OwnedBio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  if (!bio) throw openssl_error(reading_pem);
  OwnedKey key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, &culmen_give_passphrase, passphrase ? &*passphrase : nullptr));
  OPENSSL_cleanse(text.data(), text.size());
  if (key) return key;

  if (encrypted) throw openssl_error(reading_pem, "it cannot be decrypted; the passphrase may be wrong");
  if (const auto type = mldsa_type(block.der); type && !key_type_available(*type)) {
    forget_openssl_errors();
    throw needs_newer_openssl(*type, reading_pem);
  }
  throw openssl_error(reading_pem, "the " + label + " block holds no key OpenSSL can read");
}

}  // namespace

PrivateKey::PrivateKey(std::shared_ptr<const KeyHandle> handle) noexcept : handle_(std::move(handle)) {}

PrivateKey PrivateKey::generate(std::string_view type) {
  const std::string doing = "making a private key";
  const KeyKind& kind = require_kind(type, doing);
  require_available(kind, doing);
  OwnedKey key = generate_key(kind, type);
  if (!key) throw openssl_error(doing, "making a key of the type " + std::string(type));
  return PrivateKey(make_handle(std::move(key), doing));
}

PrivateKey PrivateKey::from_pem(std::string_view pem, const PassphraseCallback& passphrase) {
  constexpr std::size_t limit = 1 << 20;
  if (pem.size() > limit) throw unreadable("it is longer than any key file (1 MiB)");
  const auto blocks = pem_blocks(pem);
  const auto block = std::ranges::find_if(blocks, [](const PemBlock& b) { return is_private_label(b.label); });
  if (block == blocks.end()) throw not_a_private_key(blocks);
  if (!block->damage.empty()) throw unreadable("the " + block->label + " block is damaged: " + block->damage);
  return PrivateKey(make_private_handle(read_block(*block, passphrase), reading_pem));
}

const KeyHandle& PrivateKey::handle() const {
  if (!handle_)
    throw Error(Errc::invalid_argument, "using a private key", "there is none: it is empty or was moved from");
  return *handle_;
}

std::string PrivateKey::to_pem() const {
  if (handle().kind().family == KeyFamily::ec) return ec_private_key_pem(handle());
  const OwnedBio bio(BIO_new(BIO_s_mem()));
  char* data = nullptr;
  if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio.get(), handle_->get(), nullptr, nullptr, 0, nullptr, nullptr))
    throw openssl_error("writing a private key as PEM");
  const long length = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(length));
}

const std::string& PrivateKey::type() const noexcept {
  static const std::string none;
  return handle_ ? handle_->type() : none;
}

std::string_view PrivateKey::alg() const noexcept { return handle_ ? handle_->kind().alg : std::string_view(); }

Bytes PrivateKey::sign(ByteView message) const {
  const KeyKind& kind = handle().kind();
  const OwnedMdCtx context = handle_->signer();
  std::size_t length = static_cast<std::size_t>(std::max(EVP_PKEY_get_size(handle_->get()), 0));
  Bytes signature(length);
  if (!EVP_DigestSign(context.get(), signature.data(), &length, message.data(), message.size()))
    throw openssl_error("signing with a key of the type " + handle_->type());
  signature.resize(length);
  return kind.family == KeyFamily::ec ? ecdsa_der_to_raw(signature, kind.width) : signature;
}

Bytes PrivateKey::public_key_der() const { return handle().public_key_der(); }

bool PrivateKey::same_key_as(const PrivateKey& other) const noexcept {
  if (!handle_ || !other.handle_) return false;
  const bool same = EVP_PKEY_eq(handle_->get(), other.handle_->get()) == 1;
  forget_openssl_errors();
  return same;
}

}  // namespace culmen
