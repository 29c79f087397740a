#include "crypto/random.hpp"

#include <doctest/doctest.h>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "support/errors.hpp"

using namespace culmen;

TEST_CASE("SHA-256 is SHA-256") {
  CHECK(base::hex_encode(crypto::sha256({})) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(base::hex_encode(crypto::sha256(as_bytes("abc"))) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("the MAC of RFC 7515 A.1") {
  const auto key =
      base::base64url_decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
  REQUIRE(key);
  const std::string input =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
      "LmNvbS9pc19yb290Ijp0cnVlfQ";
  CHECK(base::base64url_encode(crypto::hmac("HS256", *key, as_bytes(input))) ==
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

TEST_CASE("an empty MAC key is that, not the one of the call before") {
  const Bytes first = crypto::hmac("HS256", {}, as_bytes("m"));
  CHECK(crypto::hmac("HS256", as_bytes("key"), as_bytes("m")) != first);
  CHECK(crypto::hmac("HS256", {}, as_bytes("m")) == first);
}

TEST_CASE("MACs have the width of their hash, other algorithms are refused") {
  CHECK(crypto::hmac("HS256", as_bytes("k"), {}).size() == 32);
  CHECK(crypto::hmac("HS384", as_bytes("k"), {}).size() == 48);
  CHECK(crypto::hmac("HS512", as_bytes("k"), {}).size() == 64);
  CHECK(contains(thrown_by([] { return crypto::hmac("RS256", {}, {}); }), "not one of HS256, HS384, HS512"));
}

TEST_CASE("random octets are as many as asked for, and others each time") {
  CHECK(crypto::random_bytes(0).empty());
  CHECK(crypto::random_bytes(32).size() == 32);
  CHECK(crypto::random_bytes(32) != crypto::random_bytes(32));
}

TEST_CASE("secrets are compared whole") {
  CHECK(crypto::equal_secrets(as_bytes("abc"), as_bytes("abc")));
  CHECK_FALSE(crypto::equal_secrets(as_bytes("abc"), as_bytes("abd")));
  CHECK_FALSE(crypto::equal_secrets(as_bytes("abc"), as_bytes("ab")));
  CHECK(crypto::equal_secrets({}, {}));
}
