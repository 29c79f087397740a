#include "crypto/key.hpp"

#include <openssl/rsa.h>

#include <array>
#include <optional>

#include "crypto/key_handle.hpp"

namespace culmen::crypto {
namespace {

OwnedBn number(ByteView big_endian) {
  return OwnedBn(BN_bin2bn(big_endian.data(), static_cast<int>(big_endian.size()), nullptr));
}

Bytes number_octets(const EVP_PKEY* key, const char* name, std::size_t width, std::string_view doing) {
  BIGNUM* value = nullptr;
  if (!EVP_PKEY_get_bn_param(key, name, &value)) throw openssl_error(doing);
  const OwnedBn owner(value);
  Bytes out(width ? width : static_cast<std::size_t>(BN_num_bytes(value)));
  if (BN_bn2binpad(value, out.data(), static_cast<int>(out.size())) < 0) throw openssl_error(doing);
  return out;
}

Bytes octet_param(const EVP_PKEY* key, const char* name, std::string_view doing) {
  std::size_t length = 0;
  if (!EVP_PKEY_get_octet_string_param(key, name, nullptr, 0, &length)) throw openssl_error(doing);
  Bytes out(length);
  if (!EVP_PKEY_get_octet_string_param(key, name, out.data(), out.size(), &length)) throw openssl_error(doing);
  out.resize(length);
  return out;
}

KeyParts parts_of(const KeyHandle& handle) {
  constexpr std::string_view doing = "reading the parts of a public key";
  const KeyKind& kind = handle.kind();
  KeyParts parts;
  parts.type = handle.type();
  switch (kind.family) {
    case KeyFamily::ec:
      parts.x = number_octets(handle.get(), "qx", kind.width, doing);
      parts.y = number_octets(handle.get(), "qy", kind.width, doing);
      break;
    case KeyFamily::rsa:
      parts.n = number_octets(handle.get(), "n", 0, doing);
      parts.e = number_octets(handle.get(), "e", 0, doing);
      break;
    case KeyFamily::eddsa: parts.x = octet_param(handle.get(), "pub", doing); break;
    case KeyFamily::mldsa: parts.pub = octet_param(handle.get(), "pub", doing); break;
  }
  return parts;
}

void require_width(const Bytes& octets, std::size_t width, std::string_view what, std::string_view doing) {
  if (octets.size() != width)
    throw Error(
        Errc::crypto_failed, doing,
        std::string(what) + " has " + std::to_string(octets.size()) + " octets; it must have " + std::to_string(width));
}

/// Gathers parameters for EVP_PKEY_fromdata; what it points to must outlive build().
class KeyBuilder {
 public:
  explicit KeyBuilder(std::string_view doing) : doing_(doing), build_(OSSL_PARAM_BLD_new()) {
    if (!build_) throw openssl_error(doing_);
  }
  void text(const char* name, const char* value) {
    if (!OSSL_PARAM_BLD_push_utf8_string(build_.get(), name, value, 0)) throw openssl_error(doing_);
  }
  void octets(const char* name, const Bytes& value) {
    if (!OSSL_PARAM_BLD_push_octet_string(build_.get(), name, value.data(), value.size())) throw openssl_error(doing_);
  }
  void number(const char* name, const Bytes& value) {
    numbers_.push_back(crypto::number(value));
    if (!numbers_.back() || !OSSL_PARAM_BLD_push_BN(build_.get(), name, numbers_.back().get()))
      throw openssl_error(doing_);
  }
  OwnedKey build(const char* openssl_type, int selection) {
    const OwnedParams params(OSSL_PARAM_BLD_to_param(build_.get()));
    const OwnedKeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, openssl_type, nullptr));
    EVP_PKEY* key = nullptr;
    if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &key, selection, params.get()) != 1)
      throw openssl_error(doing_);
    return OwnedKey(key);
  }

 private:
  std::string doing_;
  OwnedParamBuild build_;
  std::vector<OwnedBn> numbers_;
};

const KeyKind& kind_of(const KeyParts& parts, std::string_view doing) {
  if (parts.type.starts_with("rsa")) return *find_kind("rsa:2048");
  const KeyKind& kind = require_kind(parts.type, doing);
  require_available(kind, doing);
  return kind;
}

OwnedKey build_ec(const KeyParts& parts, const KeyKind& kind, bool with_secret, std::string_view doing) {
  require_width(parts.x, kind.width, "the x coordinate", doing);
  require_width(parts.y, kind.width, "the y coordinate", doing);
  Bytes point{4};  // uncompressed
  point.insert(point.end(), parts.x.begin(), parts.x.end());
  point.insert(point.end(), parts.y.begin(), parts.y.end());
  KeyBuilder builder(doing);
  builder.text("group", kind.group);
  builder.octets("pub", point);
  if (with_secret) {
    require_width(parts.secret, kind.width, "the private key", doing);
    builder.number("priv", parts.secret);
  }
  OwnedKey key = builder.build(kind.openssl, with_secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
  const OwnedKeyCtx check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  if (!check || EVP_PKEY_public_check(check.get()) != 1 || (with_secret && EVP_PKEY_private_check(check.get()) != 1))
    throw openssl_error(doing, "the EC key is not on its curve or out of range");
  return key;
}

OwnedKey build_rsa(const KeyParts& parts, const KeyKind& kind, bool with_secret, std::string_view doing) {
  constexpr std::size_t largest_modulus = 2048;  // octets; make_handle() knows the real limit, this one keeps BN cheap
  if (parts.n.empty() || parts.e.empty() || parts.n.size() > largest_modulus || parts.e.size() > parts.n.size())
    throw Error(Errc::crypto_failed, doing, "the modulus or the exponent of the RSA key is missing or too long");
  KeyBuilder builder(doing);
  builder.number("n", parts.n);
  builder.number("e", parts.e);
  if (with_secret) {
    const std::array<std::pair<const char*, const Bytes*>, 6> numbers = {{{"d", &parts.secret},
                                                                          {"rsa-factor1", &parts.p},
                                                                          {"rsa-factor2", &parts.q},
                                                                          {"rsa-exponent1", &parts.dp},
                                                                          {"rsa-exponent2", &parts.dq},
                                                                          {"rsa-coefficient1", &parts.qi}}};
    for (const auto& [name, value] : numbers) {
      if (value->empty() || value->size() > parts.n.size())
        throw Error(Errc::crypto_failed, doing,
                    "a private RSA key needs d, p, q, dp, dq and qi, each no longer than the modulus");
      builder.number(name, *value);
    }
  }
  return builder.build(kind.openssl, with_secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
}

OwnedKey build_public(const KeyParts& parts, std::string_view doing) {
  const KeyKind& kind = kind_of(parts, doing);
  switch (kind.family) {
    case KeyFamily::ec: return build_ec(parts, kind, false, doing);
    case KeyFamily::rsa: return build_rsa(parts, kind, false, doing);
    case KeyFamily::eddsa:
    case KeyFamily::mldsa: break;
  }
  const Bytes& pub = kind.family == KeyFamily::eddsa ? parts.x : parts.pub;
  require_width(pub, kind.width, "the public key", doing);
  KeyBuilder builder(doing);
  builder.octets("pub", pub);
  return builder.build(kind.openssl, EVP_PKEY_PUBLIC_KEY);
}

OwnedKey build_private(const KeyParts& parts, std::string_view doing) {
  constexpr std::size_t seed_size = 32;
  const KeyKind& kind = kind_of(parts, doing);
  KeyBuilder builder(doing);
  switch (kind.family) {
    case KeyFamily::ec: return build_ec(parts, kind, true, doing);
    case KeyFamily::rsa: return build_rsa(parts, kind, true, doing);
    case KeyFamily::eddsa:
      require_width(parts.secret, kind.width, "the private key", doing);
      builder.octets("priv", parts.secret);
      return builder.build(kind.openssl, EVP_PKEY_KEYPAIR);
    case KeyFamily::mldsa:
      require_width(parts.secret, seed_size, "the seed", doing);
      builder.octets("seed", parts.secret);
      return builder.build(kind.openssl, EVP_PKEY_KEYPAIR);
  }
  return nullptr;
}

struct HashAlg {
  const char* digest;
  bool pss;
};

/// How to check `alg` with a key of that kind; nullopt when they do not fit.
std::optional<HashAlg> hash_for(std::string_view alg, const KeyKind& kind) {
  if (kind.family != KeyFamily::rsa) return alg == kind.alg ? std::optional(HashAlg{kind.digest, false}) : std::nullopt;
  if (alg == "RS256") return HashAlg{"SHA256", false};
  if (alg == "RS384") return HashAlg{"SHA384", false};
  if (alg == "RS512") return HashAlg{"SHA512", false};
  if (alg == "PS256") return HashAlg{"SHA256", true};
  if (alg == "PS384") return HashAlg{"SHA384", true};
  if (alg == "PS512") return HashAlg{"SHA512", true};
  return std::nullopt;
}

}  // namespace

PublicKey::PublicKey(std::shared_ptr<const KeyHandle> handle) noexcept : handle_(std::move(handle)) {}

PublicKey PublicKey::from_parts(const KeyParts& parts) {
  constexpr std::string_view doing = "building a public key";
  return PublicKey(make_handle(build_public(parts, doing), doing));
}

PublicKey PublicKey::from_der(ByteView spki) {
  constexpr std::string_view doing = "reading a public key";
  return PublicKey(make_handle(read_spki(spki, doing), doing));
}

KeyParts PublicKey::parts() const { return parts_of(*handle_); }

const std::string& PublicKey::type() const noexcept { return handle_->type(); }

Bytes PublicKey::to_der() const { return handle_->public_key_der(); }

bool PublicKey::verify(std::string_view alg, ByteView message, ByteView signature) const {
  const KeyKind& kind = handle_->kind();
  const auto hash = hash_for(alg, kind);
  if (!hash) return false;
  Bytes der;
  if (kind.family == KeyFamily::ec) {
    if (signature.size() != 2 * kind.width) return false;
    der = ecdsa_raw_to_der(signature);
    signature = der;
  }
  const OwnedMdCtx context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;  // owned by context
  if (!context ||
      !EVP_DigestVerifyInit_ex(context.get(), &key_context, hash->digest, nullptr, nullptr, handle_->get(), nullptr))
    throw openssl_error("checking a signature");
  // RFC 7518 §3.5: "The size of the salt value is the same size as the hash function output."
  if (hash->pss && (EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) <= 0 ||
                    EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) <= 0))
    throw openssl_error("checking a PSS signature");
  const bool good =
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
  forget_openssl_errors();
  return good;
}

KeyParts public_parts(const PrivateKey& key) { return parts_of(key.handle()); }

// The same EVP_PKEY under another name: PublicKey never shows the private half.
PublicKey public_key(const PrivateKey& key) {
  EVP_PKEY* shared = key.handle().get();
  EVP_PKEY_up_ref(shared);
  return PublicKey(make_handle(OwnedKey(shared), "taking the public half of a key"));
}

PrivateKey private_key_from_parts(const KeyParts& parts) {
  constexpr std::string_view doing = "building a private key";
  PrivateKey key(make_private_handle(build_private(parts, doing), doing));
  const KeyParts derived = public_parts(key);
  const bool claims_another =
      (!parts.x.empty() && parts.x != derived.x) || (!parts.pub.empty() && parts.pub != derived.pub);
  if (claims_another)
    throw Error(Errc::crypto_failed, doing, "the private and the public half of the key do not belong together");
  return key;
}

Bytes ecdsa_der_to_raw(ByteView der, std::size_t width) {
  constexpr std::string_view doing = "reading an ECDSA signature";
  const auto signature = from_der<OwnedEcdsaSig>(
      der, [](auto... args) { return d2i_ECDSA_SIG(args...); }, doing);
  Bytes raw(2 * width);
  const int half = static_cast<int>(width);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), raw.data(), half) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), raw.data() + width, half) < 0)
    throw openssl_error(doing, "its numbers are too large for the curve");
  return raw;
}

Bytes ecdsa_raw_to_der(ByteView raw) {
  constexpr std::string_view doing = "reading an ECDSA signature";
  if (raw.empty() || raw.size() % 2 != 0) throw Error(Errc::crypto_failed, doing, "its halves differ in length");
  const OwnedEcdsaSig signature(ECDSA_SIG_new());
  OwnedBn r = number(raw.first(raw.size() / 2)), s = number(raw.subspan(raw.size() / 2));
  if (!signature || !r || !s || !ECDSA_SIG_set0(signature.get(), r.get(), s.get())) throw openssl_error(doing);
  // The signature owns them now.
  static_cast<void>(r.release());
  static_cast<void>(s.release());
  return to_der(signature.get(), i2d_ECDSA_SIG, doing);
}

}  // namespace culmen::crypto
