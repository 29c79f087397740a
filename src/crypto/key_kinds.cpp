#include <openssl/err.h>

#include <algorithm>
#include <array>

#include "crypto/key_handle.hpp"
#include "culmen/private_key.hpp"

namespace culmen {
namespace {

constexpr std::array<std::string_view, 11> type_names = {"ec:P-256",  "ec:P-384",  "ec:P-521", "rsa:2048",
                                                         "rsa:3072",  "rsa:4096",  "ed25519",  "ed448",
                                                         "ml-dsa-44", "ml-dsa-65", "ml-dsa-87"};

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::vector<std::string> key_type_names() { return {type_names.begin(), type_names.end()}; }

bool key_type_available(std::string_view type) {
  const auto* kind = crypto::find_kind(type);
  return kind && crypto::is_available(*kind);
}

namespace crypto {
namespace {

constexpr std::array<KeyKind, 9> kinds = {{
    {"ec:P-256", KeyFamily::ec, "ES256", "EC", "P-256", "SHA256", 32},
    {"ec:P-384", KeyFamily::ec, "ES384", "EC", "P-384", "SHA384", 48},
    {"ec:P-521", KeyFamily::ec, "ES512", "EC", "P-521", "SHA512", 66},
    {"rsa", KeyFamily::rsa, "RS256", "RSA", nullptr, "SHA256", 0},
    {"ed25519", KeyFamily::eddsa, "EdDSA", "ED25519", nullptr, nullptr, 32},
    {"ed448", KeyFamily::eddsa, "EdDSA", "ED448", nullptr, nullptr, 57},
    {"ml-dsa-44", KeyFamily::mldsa, "ML-DSA-44", "ML-DSA-44", nullptr, nullptr, 1312},
    {"ml-dsa-65", KeyFamily::mldsa, "ML-DSA-65", "ML-DSA-65", nullptr, nullptr, 1952},
    {"ml-dsa-87", KeyFamily::mldsa, "ML-DSA-87", "ML-DSA-87", nullptr, nullptr, 2592},
}};

Recognised recognise_curve(const EVP_PKEY* key) {
  std::array<char, 80> group{};
  int is_explicit = 0;
  const bool named = EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) &&
                     (!EVP_PKEY_get_int_param(key, "decoded-from-explicit", &is_explicit) || !is_explicit);
  forget_openssl_errors();
  // RFC 5480 §2.1.1: "implicitCurve and specifiedCurve MUST NOT be used in PKIX."
  if (!named) return {nullptr, "EC with a curve spelt out instead of named"};
  const int nid = OBJ_txt2nid(group.data());
  for (const KeyKind& kind : kinds) {
    if (kind.family != KeyFamily::ec) continue;
    if (same_name(group.data(), kind.group) || (nid != NID_undef && nid == EC_curve_nist2nid(kind.group)))
      return {&kind, std::string(kind.name)};
  }
  return {nullptr, std::string("EC ") + group.data()};
}

}  // namespace

std::span<const KeyKind> key_kinds() noexcept { return kinds; }

const KeyKind* find_kind(std::string_view type) noexcept {
  for (const std::string_view name : type_names) {
    if (!same_name(name, type)) continue;
    const std::string_view wanted = name.starts_with("rsa:") ? std::string_view("rsa") : name;
    return &*std::ranges::find(kinds, wanted, &KeyKind::name);
  }
  return nullptr;
}

const KeyKind& require_kind(std::string_view type, std::string_view doing) {
  if (const KeyKind* kind = find_kind(type)) return *kind;
  std::string known;
  for (const std::string_view name : type_names) known.append(known.empty() ? "" : " ").append(name);
  throw Error(Errc::unsupported_key_type, doing,
              "there is no key type \"" + printable(type, 40) + "\"; the types are: " + known);
}

bool is_available(const KeyKind& kind) noexcept {
  ERR_set_mark();
  const OwnedKeyCtx context(EVP_PKEY_CTX_new_from_name(nullptr, kind.openssl, nullptr));
  ERR_pop_to_mark();
  return context != nullptr;
}

void require_available(const KeyKind& kind, std::string_view doing) {
  if (is_available(kind)) return;
  if (kind.family == KeyFamily::mldsa) throw needs_newer_openssl(kind.name, doing);
  throw Error(Errc::unsupported_key_type, doing,
              openssl_version() + " has no " + kind.openssl + " keys; its configuration may have switched them off");
}

Error needs_newer_openssl(std::string_view type, std::string_view doing) {
  return Error(Errc::unsupported_key_type, doing,
               std::string(type) + " keys need OpenSSL 3.5 or newer, this is " + openssl_version() +
                   "; build culmen with -DCULMEN_OPENSSL=bundled, or use another key type");
}

Recognised recognise(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "EC")) return recognise_curve(key);
  for (const KeyKind& kind : kinds) {
    if (!EVP_PKEY_is_a(key, kind.openssl)) continue;
    if (kind.family == KeyFamily::rsa) return {&kind, "rsa:" + std::to_string(EVP_PKEY_get_bits(key))};
    return {&kind, std::string(kind.name)};
  }
  const char* name = EVP_PKEY_get0_type_name(key);
  return {nullptr, name ? name : "unknown"};
}

}  // namespace crypto
}  // namespace culmen
