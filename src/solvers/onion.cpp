#include "solvers/onion.hpp"

#include <algorithm>

#include "base/base64.hpp"
#include "base/name.hpp"
#include "crypto/onion.hpp"
#include "crypto/random.hpp"
#include "protocol/authorization.hpp"

namespace culmen {

struct OnionKey::Data {
  explicit Data(crypto::ExpandedKey key_) : key(std::move(key_)) {}
  crypto::ExpandedKey key;
};

namespace {

constexpr std::string_view building = "building the CSR for an onion service";
constexpr std::string_view tor_header("== ed25519v1-secret: type0 ==\0\0\0", 32);
constexpr std::size_t min_nonce = 8, max_nonce = 1024;  // RFC 9799 §3.2: "at least 64 bits"; the upper one is ours
constexpr std::size_t our_nonce = 16;

// ---- DER ----

enum Tag : std::uint8_t {
  tag_bit_string = 0x03,
  tag_octet_string = 0x04,
  tag_utf8_string = 0x0c,
  tag_sequence = 0x30,
  tag_set = 0x31,
  tag_attributes = 0xa0,
  tag_dns_name = 0x82,
};

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes all;
  for (const Bytes& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

Bytes der(std::uint8_t tag, ByteView content) {
  Bytes out = {tag};
  const std::size_t size = content.size();
  if (size > 255) {
    out.insert(out.end(), {0x82, static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
  } else if (size > 127) {
    out.insert(out.end(), {0x81, static_cast<std::uint8_t>(size)});
  } else {
    out.push_back(static_cast<std::uint8_t>(size));
  }
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

Bytes der_text(std::uint8_t tag, std::string_view text) { return der(tag, as_bytes(text)); }

/// The OIDs as they stand in DER.
const Bytes version_0 = {0x02, 0x01, 0x00};
const Bytes oid_common_name = {0x06, 0x03, 0x55, 0x04, 0x03};
const Bytes oid_subject_alt_name = {0x06, 0x03, 0x55, 0x1d, 0x11};
const Bytes oid_extension_request = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e};
const Bytes oid_ca_nonce = {0x06, 0x04, 0x67, 0x81, 0x0c, 0x29};         // 2.23.140.41
const Bytes oid_applicant_nonce = {0x06, 0x04, 0x67, 0x81, 0x0c, 0x2a};  // 2.23.140.42
const Bytes algorithm_ed25519 = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};

Bytes bit_string(ByteView octets) {
  Bytes content = {0};  // no unused bits
  content.insert(content.end(), octets.begin(), octets.end());
  return der(tag_bit_string, content);
}

/// PKCS#10 (RFC 2986 §4) over a subject and attributes, both in DER.
Bytes request(const Bytes& subject, Bytes attributes, const OnionKey& key) {
  const Bytes public_key = der(tag_sequence, join({algorithm_ed25519, bit_string(key.public_key())}));
  const Bytes info = der(tag_sequence, join({version_0, subject, public_key, der(tag_attributes, attributes)}));
  return der(tag_sequence, join({info, algorithm_ed25519, bit_string(key.sign(info))}));
}

Bytes attribute(const Bytes& oid, const Bytes& value) { return der(tag_sequence, join({oid, der(tag_set, value)})); }

Bytes nonce_of(std::string_view base64) {
  std::optional<Bytes> nonce = base::base64_decode_lenient(base64);
  if (!nonce || nonce->size() < min_nonce || nonce->size() > max_nonce) {
    throw Error(Errc::invalid_argument, building,
                "the challenge's nonce is not base64 of at least 64 bits: \"" + printable(base64, 80) + "\"");
  }
  return std::move(*nonce);
}

}  // namespace

// ---- The key ----

OnionKey OnionKey::from_pem(std::string_view pem) {
  return OnionKey(std::make_shared<const Data>(crypto::ExpandedKey::from_private_key(PrivateKey::from_pem(pem))));
}

OnionKey OnionKey::from_tor_file(ByteView contents) {
  constexpr std::string_view doing = "reading Tor's hs_ed25519_secret_key";
  const bool whole = contents.size() == tor_header.size() + crypto::ExpandedKey::size &&
                     std::ranges::equal(contents.first(tor_header.size()), as_bytes(tor_header));
  if (!whole) {
    throw Error(Errc::crypto_failed, doing,
                "it is not such a file: those have 96 octets and start with \"== ed25519v1-secret: type0 ==\"");
  }
  try {
    return OnionKey(
        std::make_shared<const Data>(crypto::ExpandedKey::from_expanded(contents.subspan(tor_header.size()))));
  } catch (const Error& error) {
    throw error.while_doing(doing);
  }
}

OnionKey OnionKey::from_file_contents(std::string_view contents) {
  if (contents.starts_with("== ed25519v1-")) return from_tor_file(as_bytes(contents));
  return from_pem(contents);
}

std::string OnionKey::address() const { return crypto::onion_address(data_->key.public_key()); }
Bytes OnionKey::sign(ByteView message) const { return data_->key.sign(message); }
Bytes OnionKey::public_key() const { return data_->key.public_key(); }

bool is_onion_address(std::string_view name) noexcept {
  try {
    return crypto::onion_public_key(name).has_value();
  } catch (...) {
    return false;  // no memory, or an OpenSSL without SHA-3
  }
}

// ---- CSRs ----

Bytes build_onion_csr_rfc9799(std::string_view challenge_nonce_base64, const OnionKey& key) {
  return solvers::onion_csr_with_nonces(nonce_of(challenge_nonce_base64), crypto::random_bytes(our_nonce), key);
}

Bytes build_onion_csr(std::string_view domain, std::string_view key_authorization, std::string_view hs_key_pem) {
  return build_onion_csr(domain, key_authorization, OnionKey::from_pem(hs_key_pem));
}

Bytes build_onion_csr(std::string_view domain, std::string_view key_authorization, const OnionKey& key) {
  const Result<std::string> name = base::canonical_dns_name(domain);
  if (!name) throw name.error().while_doing(building);
  if (crypto::onion_public_key(*name) != std::optional<Bytes>(key.public_key())) {
    throw Error(Errc::invalid_argument, building,
                printable(*name, 260) + " is not a name of this key's service, " + key.address());
  }
  if (key_authorization.empty() || key_authorization.size() > max_nonce) {
    throw Error(Errc::invalid_argument, building, "the key authorization is empty, or far too long");
  }
  const Bytes common_name = der(tag_sequence, join({oid_common_name, der_text(tag_utf8_string, *name)}));
  const Bytes subject = der(tag_sequence, der(tag_set, common_name));
  const Bytes names = der(tag_sequence, der_text(tag_dns_name, *name));
  const Bytes proof = der_text(tag_utf8_string, key_authorization);
  const Bytes extensions =
      der(tag_sequence, join({der(tag_sequence, join({oid_subject_alt_name, der(tag_octet_string, names)})),
                              der(tag_sequence, join({oid_ca_nonce, der(tag_octet_string, proof)}))}));
  return request(subject, attribute(oid_extension_request, extensions), key);
}

Bytes solvers::onion_csr_with_nonces(ByteView ca_nonce, ByteView applicant_nonce, const OnionKey& key) {
  Bytes ours = attribute(oid_applicant_nonce, der(tag_octet_string, applicant_nonce));
  Bytes theirs = attribute(oid_ca_nonce, der(tag_octet_string, ca_nonce));
  // DER sorts the members of a SET OF (X.690 §11.6).
  const Bytes attributes = ours < theirs ? join({ours, theirs}) : join({theirs, ours});
  return request(der(tag_sequence, ByteView()), attributes, key);
}

// ---- CAA ----

OnionCaa sign_onion_caa(const OnionKey& key, std::optional<std::string> caa,
                        std::chrono::system_clock::time_point expiry) {
  constexpr std::string_view doing = "signing the CAA records of an onion service";
  if (caa) {
    const bool clean = std::ranges::all_of(*caa, [](unsigned char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); });
    if (!clean || !caa->starts_with("caa ") || caa->ends_with('\n')) {
      throw Error(Errc::invalid_argument, doing,
                  "they must be ASCII lines such as caa 128 issue \"ca.example\", without a line feed at the end");
    }
  }
  OnionCaa signed_caa;
  signed_caa.address = key.address();
  signed_caa.expiry = std::chrono::floor<std::chrono::seconds>(expiry);
  const auto seconds = std::chrono::floor<std::chrono::seconds>(expiry.time_since_epoch()).count();
  // RFC 9799 §6.4.1: "onion-caa|" || expiry || "|" || caa
  const std::string message = "onion-caa|" + std::to_string(seconds) + "|" + caa.value_or("");
  signed_caa.signature = key.sign(as_bytes(message));
  signed_caa.caa = std::move(caa);
  return signed_caa;
}

// ---- The solver ----

bool OnionSolver::can_solve(const Identifier& identifier, bool) const {
  return identifier.type == "dns" &&
         (identifier.value == key_.address() || identifier.value.ends_with("." + key_.address()));
}

// The proof is in the response: there is nothing to put up, and nothing to take away.
Flow<Result<void>> OnionSolver::present(ChallengeContext) { co_return Result<void>(); }
Flow<Result<void>> OnionSolver::cleanup(ChallengeContext) { co_return Result<void>(); }

Result<std::string> OnionSolver::response(const ChallengeContext& context) const {
  return result_of([&]() -> std::string {
    const std::string nonce = protocol::challenge_text(context.challenge, "nonce");
    if (nonce.empty() && context.key_authorization.empty()) {
      throw Error(Errc::bad_response, "answering onion-csr-01", "the challenge has neither a nonce nor a token");
    }
    const Bytes csr = nonce.empty() ? build_onion_csr(context.identifier.value, context.key_authorization, key_)
                                    : build_onion_csr_rfc9799(nonce, key_);
    return "{\"csr\":\"" + base::base64url_encode(csr) + "\"}";
  });
}

}  // namespace culmen
