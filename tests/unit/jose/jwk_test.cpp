#include "jose/jwk.hpp"

#include <doctest/doctest.h>

#include "base/base64.hpp"
#include "support/files.hpp"
#include "unit/jose/vectors.hpp"

using namespace culmen;

namespace {

std::string public_error(const std::string& json) {
  const auto key = jose::parse_public_jwk(json);
  if (key) return "(accepted)";
  return std::string(to_string(key.error().code())) + " " + key.error().detail();
}

std::string private_error(const std::string& json) {
  const auto key = jose::parse_private_jwk(json);
  if (key) return "(accepted)";
  return std::string(to_string(key.error().code())) + " " + key.error().detail();
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

std::string rsa_jwk(const std::string& n, const std::string& e = "AQAB") {
  return R"({"e":")" + e + R"(","kty":"RSA","n":")" + n + R"("})";
}

}  // namespace

TEST_CASE("thumbprints are those of the RFCs") {
  const auto thumbprint = [](const std::string& jwk) {
    auto key = jose::parse_public_jwk(jwk).value();
    CHECK(jose::public_jwk(key.parts()) == jwk);
    return jose::thumbprint(key.parts());
  };
  CHECK(thumbprint(rsa_jwk(vectors::rfc7638_n)) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  CHECK(thumbprint(rsa_jwk(vectors::rs256_n)) == "IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8");
  CHECK(thumbprint(vectors::p256_public) == "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
  CHECK(thumbprint(vectors::p384_public) == "l2tfkSzhekdOr24I18E1O_-49AlK14MTo7OxJMS7-HI");
  CHECK(thumbprint(vectors::p521_public) == "u5YUSjQ2-2chBi51NSk3t3g7IM4o2KYcnPqPtCNGd3U");
  CHECK(thumbprint(vectors::k1_public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
  CHECK(thumbprint(vectors::k2_public) == "FtIu-VbGrfe_KB6CH7GNwODB72MNxj_ml11dEvO-7kk");
  CHECK(thumbprint(vectors::ed448_public) == "zQstisLFDWZb-FiVsZl6490ATVgxw_63L-xYldKyuUY");
}

TEST_CASE("private JWKs become keys that know their own public half") {
  const std::pair<std::string, std::string> keys[] = {
      {vectors::p256_private, vectors::p256_public}, {vectors::p384_private, vectors::p384_public},
      {vectors::p521_private, vectors::p521_public}, {vectors::k1_private, vectors::k1_public},
      {vectors::k2_private, vectors::k2_public},     {vectors::ed448_private, vectors::ed448_public}};
  for (const auto& [secret, open] : keys) {
    const PrivateKey key = PrivateKey::from_jwk(secret);
    CHECK(key.public_jwk() == open);
    CHECK(PrivateKey::from_pem(key.to_pem()).public_jwk() == open);
  }
}

TEST_CASE("an RSA private JWK is the same key as its PEM") {
  const PrivateKey key = PrivateKey::from_jwk(test_data("keys/rsa2048.jwk.json"));
  CHECK(key.type() == "rsa:2048");
  CHECK(key.same_key_as(PrivateKey::from_pem(test_data("keys/rsa2048.pkcs1.pem"))));
  CHECK(key.to_pem() == PrivateKey::from_pem(test_data("keys/rsa2048.pkcs8.pem")).to_pem());
}

TEST_CASE("an RSA private JWK needs all of its numbers") {
  const std::string jwk = test_data("keys/rsa2048.jwk.json");
  CHECK(has(private_error(replaced(jwk, "\"qi\"", "\"QI\"")), "\"qi\" is missing"));
  CHECK(has(private_error(replaced(jwk, "\"p\"", "\"P\"")), "\"p\" is missing"));
  CHECK(has(private_error(replaced(jwk, "{", "{\"oth\":[],")), "more than two primes"));
}

TEST_CASE("members may come in any order, with white space and with others among them") {
  const std::string jwk =
      replaced(vectors::k1_public, "{\"crv\"", "{ \"kid\": \"x\", \"use\": \"sig\",\n \"alg\":\"EdDSA\", \"crv\"");
  const auto key = jose::parse_public_jwk(jwk);
  REQUIRE(key);
  CHECK(jose::public_jwk(key->parts()) == vectors::k1_public);
}

TEST_CASE("a public JWK with private members is refused") {
  for (const std::string& jwk : {vectors::p256_private, vectors::k1_private, test_data("keys/rsa2048.jwk.json")})
    CHECK(has(public_error(jwk), "jose_failed it has the private member"));
}

TEST_CASE("alg has to fit the key") {
  const auto with_alg = [](const std::string& jwk, const std::string& alg) {
    return public_error(replaced(jwk, "{", "{\"alg\":" + alg + ","));
  };
  CHECK(with_alg(vectors::p256_public, "\"ES256\"") == "(accepted)");
  CHECK(has(with_alg(vectors::p256_public, "\"ES384\""), "does not fit the key"));
  CHECK(has(with_alg(vectors::k1_public, "\"ES256\""), "does not fit the key"));
  CHECK(with_alg(rsa_jwk(vectors::rfc7638_n), "\"PS512\"") == "(accepted)");
  CHECK(has(with_alg(rsa_jwk(vectors::rfc7638_n), "\"EdDSA\""), "does not fit the key"));
  CHECK(has(with_alg(vectors::k1_public, "7"), "not a string"));
}

TEST_CASE("coordinates of another width than the curve's are refused") {
  // RFC 7518 §6.2.1.2: the leading zero octet of y has to be there.
  const auto y = base::base64url_decode(
      "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2");
  REQUIRE(y);
  const std::string shorter = base::base64url_encode(ByteView(*y).subspan(1));
  CHECK(has(public_error(replaced(vectors::p521_public, base::base64url_encode(*y), shorter)),
            "has 65 octets; it must have 66"));
  CHECK(has(
      public_error(replaced(vectors::k1_public, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "11qYAYKxCrfVS_7TyWQH")),
      "it must have 32"));
  CHECK(has(public_error(replaced(vectors::p256_public, "P-256", "P-384")), "it must have 48"));
}

TEST_CASE("numbers of RSA keys have no leading zero octet, and sane values") {
  auto n = base::base64url_decode(vectors::rfc7638_n);
  REQUIRE(n);
  Bytes padded{0};
  padded.insert(padded.end(), n->begin(), n->end());
  CHECK(has(public_error(rsa_jwk(base::base64url_encode(padded))), "starts with a zero octet"));
  CHECK(has(public_error(rsa_jwk(vectors::rfc7638_n, "AAEAAQ")), "starts with a zero octet"));
  CHECK(has(public_error(rsa_jwk(vectors::rfc7638_n, "AQ")), "not an odd number over 1"));
  CHECK(has(public_error(rsa_jwk(vectors::rfc7638_n, "Ag")), "not an odd number over 1"));
  CHECK(has(public_error(rsa_jwk(base::base64url_encode(ByteView(*n).first(128)))),
            "1024 bits; it must have from 2048 to 8192"));
  CHECK(has(public_error(rsa_jwk(base::base64url_encode(Bytes(1025, 0xff)))), "8200 bits"));
  CHECK(has(public_error(rsa_jwk(base::base64url_encode(Bytes(100000, 0xff)))), "too long"));
}

TEST_CASE("points off the curve are refused") {
  CHECK(has(public_error(replaced(vectors::p256_public, "x_FEzRu9", "x_FEzRu8")), "crypto_failed"));
  CHECK(has(
      public_error(
          R"({"crv":"P-256","kty":"EC","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","y":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})"),
      "crypto_failed"));
}

TEST_CASE("halves that do not belong together are refused") {
  const auto member = [](const std::string& jwk, const std::string& name) {
    const auto at = jwk.find("\"" + name + "\":\"") + name.size() + 4;
    return jwk.substr(at, jwk.find('"', at) - at);
  };
  CHECK(has(
      private_error(replaced(vectors::k1_private, member(vectors::k1_private, "d"), member(vectors::k2_private, "d"))),
      "do not belong together"));
  CHECK(has(private_error(replaced(vectors::p256_private, member(vectors::p256_private, "d"),
                                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE")),
            "do not belong together"));
  CHECK(has(private_error(replaced(vectors::p256_private, member(vectors::p256_private, "d"),
                                   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            "crypto_failed"));
}

TEST_CASE("what is no JWK gets an error that says why") {
  CHECK(has(public_error(""), "jose_failed it is not JSON"));
  CHECK(has(public_error("[]"), "jose_failed it is not a JSON object"));
  CHECK(has(public_error("{}"), "\"kty\" is missing"));
  CHECK(has(public_error(R"({"kty":7})"), "\"kty\" is not a string"));
  CHECK(has(public_error(R"({"kty":"DSA"})"), "its kty is \"DSA\""));
  CHECK(has(public_error(R"({"kty":"oct"})"), "symmetric"));
  CHECK(has(public_error(R"({"kty":"oct","k":"AAAA"})"), "private member \"k\""));
  CHECK(has(public_error(R"({"kty":"EC","crv":"secp256k1"})"), "\"secp256k1\" is not one of those for kty EC"));
  CHECK(has(public_error(R"({"kty":"EC","crv":"Ed25519"})"), "not one of those for kty EC"));
  CHECK(has(public_error(R"({"kty":"OKP","crv":"X25519"})"), "not one of those for kty OKP"));
  CHECK(has(public_error(R"({"kty":"AKP","pub":"AAAA"})"), "\"alg\" is missing"));
  CHECK(has(public_error(R"({"kty":"EC","crv":"P-256","x":"=","y":"AA"})"), "not base64url"));
  CHECK(has(public_error(R"({"kty":"RSA","n":"","e":"AQAB"})"), "empty"));
  CHECK(has(private_error(vectors::k1_public), "\"d\" is missing"));
  CHECK(has(public_error(std::string(200000, '[')), "jose_failed it is not JSON"));
}

TEST_CASE("an error does not repeat a private key") {
  const std::string secret = vectors::k1_private;
  const auto refused = jose::parse_private_jwk(secret.substr(0, secret.size() - 3));
  REQUIRE_FALSE(refused);
  CHECK_FALSE(has(refused.error().what(), "nWGxne"));
}
