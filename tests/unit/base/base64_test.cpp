#include "base/base64.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/hex.hpp"

namespace culmen::base {
namespace {

std::string text_of(const std::optional<Bytes>& bytes) { return bytes ? std::string(as_text(*bytes)) : "(none)"; }
std::string hex_of(const std::optional<Bytes>& bytes) { return bytes ? hex_encode(*bytes) : "(none)"; }

TEST_CASE("base64url: the vectors of RFC 4648 section 10, without padding") {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
      {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"{}", "e30"}};
  for (const auto& vector : vectors) {
    const auto& plain = vector.first;
    const auto& encoded = vector.second;
    CAPTURE(plain);
    CHECK(base64url_encode(plain) == encoded);
    CHECK(text_of(base64url_decode(encoded)) == plain);
  }
}

TEST_CASE("base64url: RFC 9773's key identifier, and both special characters") {
  CHECK(hex_of(base64url_decode("aYhba4dGQEHhs3uEe6CuLN4ByNQ")) == "69885b6b87464041e1b37b847ba0ae2cde01c8d4");
  CHECK(base64url_encode(Bytes{0xfb, 0xff, 0xfe}) == "-__-");
  CHECK(base64_encode(Bytes{0xfb, 0xff, 0xfe}) == "+//+");
  CHECK(base64url_encode(Bytes{0x00, 0x87, 0x65, 0x43, 0x21}) == "AIdlQyE");
}

TEST_CASE("base64url: every octet survives, at every length up to 260") {
  Bytes bytes;
  for (int i = 0; i <= 260; ++i) {
    REQUIRE(base64url_decode(base64url_encode(bytes)) == bytes);
    REQUIRE(base64_decode_lenient(base64_encode(bytes)) == bytes);
    REQUIRE(base32_decode(base32_encode_lower(bytes)) == bytes);
    bytes.push_back(static_cast<std::uint8_t>(i * 167));
  }
}

TEST_CASE("base64url: what is not exactly base64url is refused") {
  const std::string bad[] = {"Zg==",     "Zg=",         "=",    "Z",  "Zm9vY", "Zm 9v",
                             "Zm9v\n",   "+//+",        "Zm+v", "Zh", "Zm9",   std::string("Zm9\0", 4),
                             "Zm9v\x80", "Zm\xc3\xb6v", "Zm9v."};
  for (const std::string& text : bad) {
    CAPTURE(text);
    CHECK_FALSE(base64url_decode(text));
  }
}

TEST_CASE("base64, lenient: either alphabet, padded or not, folded") {
  for (const std::string text : {"+/+/AQ==", "-_-_AQ", "+/+/AQ", "-_-_AQ==", " -_-_\r\n AQ==\n", "+_-/\tA Q=\n="}) {
    CAPTURE(text);
    CHECK(hex_of(base64_decode_lenient(text)) == "fbffbf01");
  }
  CHECK(text_of(base64_decode_lenient("")) == "");
  CHECK(text_of(base64_decode_lenient(" \n")) == "");
}

TEST_CASE("base64, lenient: garbage, cut text and stray padding are refused") {
  for (const std::string text :
       {"Z", "Zm9vY", "Zg=== ", "Zg==Zg==", "=Zg", "Zm9v=", "=", "Z=", "Zh==", "Zm.v", "Zm9v\x80"}) {
    CAPTURE(text);
    CHECK_FALSE(base64_decode_lenient(text));
  }
}

TEST_CASE("base32: the vectors of RFC 4648, an account label and an onion key") {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "my"},
                                                         {"fo", "mzxq"},
                                                         {"foo", "mzxw6"},
                                                         {"foob", "mzxw6yq"},
                                                         {"fooba", "mzxw6ytb"},
                                                         {"foobar", "mzxw6ytboi"}};
  for (const auto& vector : vectors) {
    const auto& plain = vector.first;
    const auto& encoded = vector.second;
    CAPTURE(plain);
    CHECK(base32_encode_lower(as_bytes(plain)) == encoded);
    CHECK(text_of(base32_decode(encoded)) == plain);
  }
  CHECK(text_of(base32_decode("MZXW6ytb")) == "fooba");
  CHECK(hex_of(base32_decode("bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccrad")) ==
        "0845620767c4d993b7a3eef4eb069e74003883b9d823fd7ab0ea8d6b37c0a086214403");
}

TEST_CASE("base32: what is not base32 is refused") {
  for (const std::string text : {"m", "mzx", "mzxw6y", "mz", "mzxw6===", "mzx1", "mzx0", "mzx8", "mz xq"}) {
    CAPTURE(text);
    CHECK_FALSE(base32_decode(text));
  }
}

TEST_CASE("hex: both ways, and what is refused") {
  CHECK(hex_encode(Bytes{0x00, 0x0f, 0xf0, 0xff}) == "000ff0ff");
  CHECK(hex_of(hex_decode("000FF0ff")) == "000ff0ff");
  CHECK(hex_of(hex_decode("")) == "");
  for (const std::string text : {"0", "0g", "g0", "00 0", "0x00", "-1", "\xc3\xb6"}) {
    CAPTURE(text);
    CHECK_FALSE(hex_decode(text));
  }
}

}  // namespace
}  // namespace culmen::base
