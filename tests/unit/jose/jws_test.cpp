#include "jose/jws.hpp"

#include <doctest/doctest.h>

#include <boost/json.hpp>

#include "base/base64.hpp"
#include "jose/jwk.hpp"
#include "unit/jose/vectors.hpp"

using namespace culmen;

namespace {

const std::string new_account_url = "https://ca.test/acme/new-account";
const std::string account_url = "https://ca.test/acme/acct/1";
const std::string key_change_url = "https://ca.test/acme/key-change";

PrivateKey k1() { return PrivateKey::from_jwk(vectors::k1_private); }
PrivateKey k2() { return PrivateKey::from_jwk(vectors::k2_private); }

Bytes decoded(const std::string& text) {
  auto octets = base::base64url_decode(text);
  REQUIRE(octets);
  return std::move(*octets);
}

bool verifies(const std::string& jwk, std::string_view alg, const std::string& input, const std::string& signature) {
  const auto key = jose::parse_public_jwk(jwk).value();
  return key.verify(alg, as_bytes(input), decoded(signature));
}

struct Jws {
  explicit Jws(const std::string& text) {
    const auto object = boost::json::parse(text).as_object();
    CHECK(object.size() == 3);
    protected64 = object.at("protected").as_string();
    payload64 = object.at("payload").as_string();
    signature = object.at("signature").as_string();
    header = boost::json::parse(std::string(as_text(decoded(protected64)))).as_object();
  }
  bool good(const PrivateKey& key) const {
    return crypto::public_key(key).verify(key.alg(), as_bytes(protected64 + "." + payload64), decoded(signature));
  }
  std::string protected64, payload64, signature;
  boost::json::object header;
};

}  // namespace

TEST_CASE("the signatures in RFC 7515 and 8037 verify, and not once changed") {
  const std::string rsa = R"({"e":"AQAB","kty":"RSA","n":")" + vectors::rs256_n + R"("})";
  const std::string pss = R"({"e":"AQAB","kty":"RSA","n":")" + vectors::ps256_n + R"("})";
  const std::string rs_input = "eyJhbGciOiJSUzI1NiJ9." + vectors::payload1;
  const std::string es_input = "eyJhbGciOiJFUzI1NiJ9." + vectors::payload1;
  CHECK(verifies(rsa, "RS256", rs_input, vectors::rs256_signature));
  CHECK(verifies(pss, "PS256", "eyJhbGciOiJQUzI1NiJ9.UGF5bG9hZA", vectors::ps256_signature));
  CHECK(verifies(vectors::p256_public, "ES256", es_input, vectors::es256_signature));
  CHECK(verifies(vectors::p384_public, "ES384", "sample", vectors::es384_signature_of_sample));
  CHECK(verifies(vectors::p521_public, "ES512", "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA", vectors::es512_signature));

  CHECK_FALSE(verifies(rsa, "RS256", rs_input + "x", vectors::rs256_signature));
  CHECK_FALSE(verifies(rsa, "PS256", rs_input, vectors::rs256_signature));
  CHECK_FALSE(verifies(rsa, "RS384", rs_input, vectors::rs256_signature));
  CHECK_FALSE(verifies(pss, "RS256", "eyJhbGciOiJQUzI1NiJ9.UGF5bG9hZA", vectors::ps256_signature));
  CHECK_FALSE(verifies(vectors::p256_public, "ES384", es_input, vectors::es256_signature));
  CHECK_FALSE(verifies(vectors::p256_public, "ES256", es_input + "x", vectors::es256_signature));
  CHECK_FALSE(verifies(vectors::k1_public, "ES256", es_input, vectors::es256_signature));
}

TEST_CASE("EdDSA signatures are byte for byte those of RFC 8037 and of another implementation") {
  CHECK(base::base64url_encode(k1().sign(as_bytes("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"))) ==
        vectors::k1_signature);
  const PrivateKey ed448 = PrivateKey::from_jwk(vectors::ed448_private);
  CHECK(base::base64url_encode(ed448.sign(as_bytes("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDQ0OCBzaWduaW5n"))) ==
        vectors::ed448_signature);
}

TEST_CASE("requests are byte for byte those of another implementation") {
  CHECK(jose::sign_with_jwk(k1(), "bm9uY2UwMQ", new_account_url, R"({"termsOfServiceAgreed":true})") ==
        vectors::new_account_request);
  CHECK(jose::sign_with_kid(k1(), account_url, "bm9uY2UwMg", "https://ca.test/acme/order/7", "") ==
        vectors::post_as_get_request);
  const Jws trigger(jose::sign_with_kid(k1(), account_url, "bm9uY2UwNA", "https://ca.test/acme/chall/9", "{}"));
  CHECK(trigger.payload64 == "e30");
  CHECK(trigger.signature == vectors::trigger_signature);
}

TEST_CASE("every key type signs requests that verify") {
  for (const std::string type : {"ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048", "ed25519", "ed448"}) {
    CAPTURE(type);
    const PrivateKey key = PrivateKey::generate(type);
    const Jws request(jose::sign_with_jwk(key, "nonce", "https://ca.test/new-account", "{}"));
    CHECK(request.good(key));
    CHECK(request.header.at("alg").as_string() == key.alg());
    CHECK(boost::json::serialize(request.header.at("jwk")) == key.public_jwk());
    CHECK_FALSE(request.good(PrivateKey::generate(type)));
  }
}

TEST_CASE("what stands in a header is escaped") {
  const std::string url = "https://ca.test/\"\\\n\x01/\xc3\xa9";
  const Jws request(jose::sign_with_kid(k1(), "kid\"}", "non\"ce", url, "{}"));
  CHECK(request.header.size() == 4);
  CHECK(request.header.at("kid").as_string() == "kid\"}");
  CHECK(request.header.at("nonce").as_string() == "non\"ce");
  CHECK(request.header.at("url").as_string() == url);
  CHECK(request.good(k1()));
}

TEST_CASE("external account bindings are byte for byte those of another implementation") {
  const Bytes key = decoded("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
  const auto binding = [&](const std::string& alg) {
    return Jws(jose::external_account_binding(EabOptions("kid-1", key, alg), new_account_url, k1()).value());
  };
  const Jws hs256 = binding("HS256"), hs384 = binding("HS384"), hs512 = binding("HS512");
  CHECK(hs256.payload64 == vectors::eab_payload);
  CHECK(hs256.protected64 == vectors::eab_hs256_protected);
  CHECK(hs256.signature == vectors::eab_hs256_signature);
  CHECK(hs384.protected64 == vectors::eab_hs384_protected);
  CHECK(hs384.signature == vectors::eab_hs384_signature);
  CHECK(hs512.protected64 == vectors::eab_hs512_protected);
  CHECK(hs512.signature == vectors::eab_hs512_signature);
}

TEST_CASE("an external account binding needs a MAC algorithm and a key") {
  for (const std::string alg : {"none", "ES256", "hs256", "HS1", ""}) {
    const auto refused = jose::external_account_binding(EabOptions("kid", {1, 2, 3}, alg), new_account_url, k1());
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Errc::invalid_argument);
  }
  const auto no_key = jose::external_account_binding(EabOptions("kid", {}), new_account_url, k1());
  REQUIRE_FALSE(no_key);
  CHECK(no_key.error().code() == Errc::invalid_argument);
}

TEST_CASE("a key change is byte for byte that of another implementation") {
  const std::string inner = jose::key_change_payload(k1(), k2(), account_url, key_change_url);
  CHECK(inner == vectors::key_change_inner);
  const Jws outer(jose::sign_with_kid(k1(), account_url, "bm9uY2UwMw", key_change_url, inner));
  CHECK(outer.protected64 == vectors::key_change_outer_protected);
  CHECK(outer.signature == vectors::key_change_outer_signature);
}

TEST_CASE("a key change may change the key type") {
  const PrivateKey old_key = PrivateKey::generate("ec:P-256"), new_key = PrivateKey::generate("rsa:2048");
  const Jws inner(jose::key_change_payload(old_key, new_key, account_url, key_change_url));
  CHECK(inner.good(new_key));
  CHECK(inner.header.at("alg").as_string() == "RS256");
  CHECK_FALSE(inner.header.contains("nonce"));
  CHECK_FALSE(inner.header.contains("kid"));
  const std::string payload(as_text(decoded(inner.payload64)));
  CHECK(payload == R"({"account":")" + account_url + R"(","oldKey":)" + old_key.public_jwk() + "}");
}
