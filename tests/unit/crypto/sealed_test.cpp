#include "crypto/sealed.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/hex.hpp"
#include "culmen/error.hpp"

using namespace culmen;

namespace {

Bytes from_hex(std::string_view text) { return base::hex_decode(text).value(); }

}  // namespace

TEST_CASE("sealed: what is sealed is unsealed, with the same key and context only") {
  const Bytes key(32, 7), other_key(32, 8);
  for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 1000u, 600'000u}) {
    CAPTURE(size);
    const Bytes plain(size, 0x5a);
    const Bytes sealed = crypto::seal(key, plain, as_bytes("context"));
    CHECK(sealed.size() == size + crypto::seal_overhead);
    CHECK(crypto::unseal(key, sealed, as_bytes("context")) == plain);
    CHECK(crypto::seal(key, plain, as_bytes("context")) != sealed);
    CHECK(!crypto::unseal(other_key, sealed, as_bytes("context")));
    CHECK(!crypto::unseal(key, sealed, as_bytes("another")));
    CHECK(!crypto::unseal(key, sealed, {}));
  }
}

TEST_CASE("sealed: every octet counts, and what is too short is refused") {
  const Bytes key(32, 7);
  const Bytes sealed = crypto::seal(key, as_bytes("text"), as_bytes("context"));
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    Bytes changed = sealed;
    changed[at] ^= 1;
    CHECK(!crypto::unseal(key, changed, as_bytes("context")));
    CHECK(!crypto::unseal(key, ByteView(sealed).first(at), as_bytes("context")));
  }
  CHECK_THROWS_AS((void)crypto::seal(Bytes(16, 7), {}, {}), Error);
  CHECK_THROWS_AS((void)crypto::unseal(Bytes(16, 7), sealed, {}), Error);
}

// The Galois/Counter Mode of Operation (McGrew, Viega), test case 16: AES-256, 60 octets, 20 octets of context.
TEST_CASE("sealed: it is AES-256-GCM") {
  const Bytes key = from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const Bytes nonce = from_hex("cafebabefacedbaddecaf888");
  const Bytes encrypted = from_hex(
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
      "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662");
  const Bytes tag = from_hex("76fc6ece0f4e1768cddf8853bb2d551b");
  Bytes sealed = nonce;
  sealed.insert(sealed.end(), encrypted.begin(), encrypted.end());
  sealed.insert(sealed.end(), tag.begin(), tag.end());
  CHECK(crypto::unseal(key, sealed, from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2")) ==
        from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                 "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"));
}
