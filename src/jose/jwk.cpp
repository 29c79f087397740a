#include "jose/jwk.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <optional>

#include "base/base64.hpp"
#include "crypto/random.hpp"
#include "culmen/private_key.hpp"

namespace culmen {

PrivateKey PrivateKey::from_jwk(std::string_view json) { return jose::parse_private_jwk(json).value(); }
std::string PrivateKey::public_jwk() const { return jose::public_jwk(crypto::public_parts(*this)); }
std::string PrivateKey::thumbprint() const { return jose::thumbprint(crypto::public_parts(*this)); }

namespace jose {
namespace {

namespace json = boost::json;
using crypto::KeyParts;

/// What a JWK calls a curve or algorithm, and what culmen calls the type.
struct Row {
  std::string_view kty;
  std::string_view crv;  ///< AKP: alg.
  std::string_view type;
  std::string_view alg;
  std::size_t width;  ///< EC: octets of x, y and d. OKP: of x and d. AKP: of pub.
};
constexpr std::array<Row, 8> rows = {{
    {"EC", "P-256", "ec:P-256", "ES256", 32},
    {"EC", "P-384", "ec:P-384", "ES384", 48},
    {"EC", "P-521", "ec:P-521", "ES512", 66},
    {"OKP", "Ed25519", "ed25519", "EdDSA", 32},
    {"OKP", "Ed448", "ed448", "EdDSA", 57},
    {"AKP", "ML-DSA-44", "ml-dsa-44", "ML-DSA-44", 1312},
    {"AKP", "ML-DSA-65", "ml-dsa-65", "ML-DSA-65", 1952},
    {"AKP", "ML-DSA-87", "ml-dsa-87", "ML-DSA-87", 2592},
}};
constexpr std::array<std::string_view, 6> rsa_algs = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"};
constexpr std::size_t seed_size = 32;

/// Reads one JWK. Throws Error (jose_failed), which the two functions below turn into a Result.
class JwkReader {
 public:
  JwkReader(std::string_view text, bool with_secret)
      : doing_(with_secret ? "reading a private JWK" : "reading a public JWK"), with_secret_(with_secret) {
    boost::system::error_code error;
    json::value value = json::parse(text, error);
    if (error) fail("it is not JSON: " + error.message());
    if (!value.is_object()) fail("it is not a JSON object");
    members_ = std::move(value.get_object());
  }

  KeyParts parts() const {
    if (!with_secret_) refuse_secrets();
    if (members_.contains("oth")) fail("RSA keys of more than two primes (\"oth\") cannot be used");
    const std::string_view kty = text("kty");
    if (kty == "RSA") return rsa();
    if (kty == "EC") return ec(row(kty, "crv"));
    if (kty == "OKP") return okp(row(kty, "crv"));
    if (kty == "AKP") return akp(row(kty, "alg"));
    if (kty == "oct") fail("it is a symmetric key (kty \"oct\")");
    fail("its kty is \"" + printable(kty, 40) + "\"; it can be EC, RSA, OKP or AKP");
  }

 private:
  KeyParts ec(const Row& row) const {
    KeyParts parts;
    parts.type = row.type;
    parts.x = octets("x", row.width);
    parts.y = octets("y", row.width);
    if (with_secret_) parts.secret = octets("d", row.width);
    return parts;
  }

  KeyParts okp(const Row& row) const {
    KeyParts parts;
    parts.type = row.type;
    parts.x = octets("x", row.width);
    if (with_secret_) parts.secret = octets("d", row.width);
    return parts;
  }

  KeyParts akp(const Row& row) const {
    KeyParts parts;
    parts.type = row.type;
    parts.pub = octets("pub", row.width);
    if (with_secret_) parts.secret = octets("priv", seed_size);
    return parts;
  }

  KeyParts rsa() const {
    if (const auto alg = optional_text("alg"); alg && std::ranges::find(rsa_algs, *alg) == rsa_algs.end())
      wrong_alg(*alg);
    KeyParts parts;
    parts.type = "rsa";
    parts.n = minimal("n");
    parts.e = minimal("e");
    if (!with_secret_) return parts;
    parts.secret = octets("d");
    parts.p = octets("p");
    parts.q = octets("q");
    parts.dp = octets("dp");
    parts.dq = octets("dq");
    parts.qi = octets("qi");
    return parts;
  }

  const Row& row(std::string_view kty, const char* member) const {
    const std::string_view name = text(member);
    const auto found = std::ranges::find_if(rows, [&](const Row& r) { return r.kty == kty && r.crv == name; });
    if (found == rows.end())
      fail("its " + std::string(member) + " \"" + printable(name, 40) + "\" is not one of those for kty " +
           std::string(kty));
    if (const auto alg = optional_text("alg"); alg && *alg != found->alg) wrong_alg(*alg);
    return *found;
  }

  void refuse_secrets() const {
    for (const char* name : {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
      if (members_.contains(name)) fail("it has the private member \"" + std::string(name) + "\"");
  }

  std::optional<std::string_view> optional_text(const char* name) const {
    const json::value* value = members_.if_contains(name);
    if (!value) return std::nullopt;
    if (!value->is_string()) fail("its member \"" + std::string(name) + "\" is not a string");
    return std::string_view(value->get_string().data(), value->get_string().size());
  }

  std::string_view text(const char* name) const {
    const auto value = optional_text(name);
    if (!value) fail("the member \"" + std::string(name) + "\" is missing");
    return *value;
  }

  Bytes octets(const char* name) const {
    auto value = base::base64url_decode(text(name));
    if (!value || value->empty())
      fail("its member \"" + std::string(name) + "\" is not base64url without padding, or empty");
    return std::move(*value);
  }

  Bytes octets(const char* name, std::size_t width) const {
    Bytes value = octets(name);
    // RFC 7518 §6.2.1.2: "The length of this octet string MUST be the full size of a coordinate for the curve"
    if (value.size() != width)
      fail("its member \"" + std::string(name) + "\" has " + std::to_string(value.size()) + " octets; it must have " +
           std::to_string(width));
    return value;
  }

  Bytes minimal(const char* name) const {
    Bytes value = octets(name);
    // RFC 7518 §2: "The octet sequence MUST utilize the minimum number of octets needed to represent the value."
    if (value.front() == 0) fail("its member \"" + std::string(name) + "\" starts with a zero octet");
    return value;
  }

  [[noreturn]] void wrong_alg(std::string_view alg) const {
    fail("its alg \"" + printable(alg, 40) + "\" does not fit the key");
  }
  [[noreturn]] void fail(const std::string& why) const { throw Error(Errc::jose_failed, doing_, why); }

  std::string_view doing_;
  bool with_secret_;
  json::object members_;
};

std::string member(std::string_view name, const Bytes& value) {
  return "\"" + std::string(name) + "\":\"" + base::base64url_encode(value) + "\"";
}

}  // namespace

// RFC 7638 §3.3: "whitespace or line breaks must not be present", members ordered "lexicographically by the Unicode
// code points". Nothing in here needs escaping: names from the table above and base64url.
std::string public_jwk(const KeyParts& parts) {
  if (parts.type.starts_with("rsa"))
    return "{" + member("e", parts.e) + ",\"kty\":\"RSA\"," + member("n", parts.n) + "}";
  const auto row = std::ranges::find(rows, std::string_view(parts.type), &Row::type);
  if (row == rows.end())
    throw Error(Errc::jose_failed, "writing a JWK", "\"" + printable(parts.type, 40) + "\" is not a key type of JWK");
  const std::string crv = "{\"crv\":\"" + std::string(row->crv) + "\",\"kty\":\"" + std::string(row->kty) + "\",";
  if (row->kty == "EC") return crv + member("x", parts.x) + "," + member("y", parts.y) + "}";
  if (row->kty == "OKP") return crv + member("x", parts.x) + "}";
  return "{\"alg\":\"" + std::string(row->crv) + "\",\"kty\":\"AKP\"," + member("pub", parts.pub) + "}";
}

std::string thumbprint(const KeyParts& parts) {
  return base::base64url_encode(crypto::sha256(as_bytes(public_jwk(parts))));
}

Result<crypto::PublicKey> parse_public_jwk(std::string_view json) {
  return result_of([&] { return crypto::PublicKey::from_parts(JwkReader(json, false).parts()); });
}

Result<PrivateKey> parse_private_jwk(std::string_view json) {
  return result_of([&] { return crypto::private_key_from_parts(JwkReader(json, true).parts()); });
}

}  // namespace jose
}  // namespace culmen
