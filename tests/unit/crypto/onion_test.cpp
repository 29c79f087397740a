// Expanded Ed25519 keys and onion addresses.
#include <doctest/doctest.h>

#include <string>

#include "base/hex.hpp"
#include "crypto/onion.hpp"
#include "crypto/random.hpp"
#include "culmen/error.hpp"

using namespace culmen;
using namespace culmen::crypto;

namespace {
struct Address {
  const char* label;
  const char* public_key;
};
constexpr Address addresses[] = {
    {"bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccrad",
     "0845620767c4d993b7a3eef4eb069e74003883b9d823fd7ab0ea8d6b37c0a086"},
    {"5anebu2glyc235wbbop3m2ukzlaptpkq333vdtdvcjpigyb7x2i2m2qd",
     "e81a40d3465e05adf6c10b9fb66a8acac0f9bd50def751cc75125e83603fbe91"},
    {"duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad",
     "1d04a1d04a338c6e6ae970bfabee49049d6702250984ca950c01673f4ec034ad"},
    {"25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
};
}  // namespace

TEST_CASE("onion addresses and the keys in them") {
  for (const Address& address : addresses) {
    const std::string name = std::string(address.label) + ".onion";
    const Bytes key = base::hex_decode(address.public_key).value();
    CHECK(onion_address(key) == name);
    CHECK(onion_public_key(name) == std::optional<Bytes>(key));
    CHECK(onion_public_key("www." + name) == std::optional<Bytes>(key));
    CHECK(onion_public_key("*." + name) == std::optional<Bytes>(key));
    for (const std::size_t place : {0u, 30u, 52u}) {  // key, key, checksum
      std::string wrong = name;
      wrong[place] = wrong[place] == 'a' ? 'b' : 'a';
      CAPTURE(wrong);
      CHECK_FALSE(onion_public_key(wrong));
    }
  }
  for (const char* name : {"", "onion", ".onion", "example.com", "expyuzz4wqqyqhjn.onion",
                           "bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccra8.onion",
                           "bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccrad.onion.example"}) {
    CAPTURE(name);
    CHECK_FALSE(onion_public_key(name));
  }
}

TEST_CASE("an expanded key signs as its seed does") {
  // RFC 8032 §7.1, the tests 1 and 2.
  const auto seed = base::hex_decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").value();
  const ExpandedKey key = ExpandedKey::from_seed(seed);
  CHECK(base::hex_encode(key.public_key()) == addresses[3].public_key);
  CHECK(
      base::hex_encode(key.sign({})) ==
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2"
      "4655141438e7a100b");
  const ExpandedKey other = ExpandedKey::from_seed(
      base::hex_decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb").value());
  const Bytes message = {0x72};
  CHECK(
      base::hex_encode(other.sign(message)) ==
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302ae"
      "eb00d291612bb0c00");

  // And as OpenSSL does, for keys and messages of all kinds.
  for (std::size_t size = 0; size < 300; size += 37) {
    const PrivateKey made = PrivateKey::generate("ed25519");
    const ExpandedKey expanded = ExpandedKey::from_private_key(made);
    const Bytes text = random_bytes(size);
    CHECK(expanded.sign(text) == made.sign(text));
  }
}

TEST_CASE("what is no Ed25519 key is refused") {
  CHECK_THROWS_AS(ExpandedKey::from_seed(Bytes(31)), Error);
  CHECK_THROWS_AS(ExpandedKey::from_expanded(Bytes(64)), Error);  // the fixed bits
  CHECK_THROWS_AS(ExpandedKey::from_expanded(Bytes(63)), Error);
  CHECK_THROWS_AS(ExpandedKey::from_private_key(PrivateKey::generate("ec:P-256")), Error);
}
