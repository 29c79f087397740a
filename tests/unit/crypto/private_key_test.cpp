#include "culmen/private_key.hpp"

#include <doctest/doctest.h>
#include <openssl/opensslv.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/hex.hpp"
#include "crypto/key.hpp"
#include "culmen/certificate.hpp"
#include "support/errors.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;

namespace {

const std::vector<std::string> classic_types = {"ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048",
                                                "rsa:3072", "rsa:4096", "ed25519",  "ed448"};

Bytes from_hex(const std::string& text) {
  auto octets = base::hex_decode(text);
  REQUIRE(octets);
  return std::move(*octets);
}

}  // namespace

TEST_CASE("every classic key type is made, signs, and survives PEM") {
  const std::vector<std::pair<std::string, std::string>> algs = {
      {"ec:P-256", "ES256"}, {"ec:P-384", "ES384"}, {"ec:P-521", "ES512"}, {"rsa:2048", "RS256"},
      {"rsa:3072", "RS256"}, {"rsa:4096", "RS256"}, {"ed25519", "EdDSA"},  {"ed448", "EdDSA"}};
  for (const auto& [name, alg] : algs) {
    const std::string& type = name;  // clang 14 captures no structured bindings
    CAPTURE(type);
    CHECK(key_type_available(type));
    const PrivateKey key = PrivateKey::generate(type);
    CHECK(key.type() == type);
    CHECK(key.alg() == alg);
    const std::string pem = key.to_pem();
    CHECK(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    CHECK(pem.ends_with("-----END PRIVATE KEY-----\n"));
    const PrivateKey again = PrivateKey::from_pem(pem);
    CHECK(again.type() == type);
    CHECK(again.to_pem() == pem);
    CHECK(again.same_key_as(key));
    CHECK(again.public_key_der() == key.public_key_der());
    const Bytes signature = again.sign(as_bytes("message"));
    CHECK(crypto::public_key(key).verify(alg, as_bytes("message"), signature));
    CHECK_FALSE(crypto::public_key(key).verify(alg, as_bytes("massage"), signature));
  }
}

TEST_CASE("public keys are written as the openssl program writes them") {
  for (const std::string type : {"ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048", "ed25519", "ed448"}) {
    CAPTURE(type);
    const PrivateKey key = PrivateKey::generate(type);
    const culmen::test::TemporaryFile file(key.to_pem());
    const auto seen = run_program("openssl pkey -pubout -in " + file.path());
    CHECK(der_to_pem(key.public_key_der(), "PUBLIC KEY") == seen.output);
  }
  // A key whose file has the point compressed is written in the form that all CAs read, and stays the same key.
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  const culmen::test::TemporaryFile file(key.to_pem());
  const auto compressed = run_program("openssl ec -conv_form compressed -in " + file.path());
  const PrivateKey again = PrivateKey::from_pem(compressed.output);
  CHECK(again.same_key_as(key));
  CHECK(again.public_key_der() == key.public_key_der());
}

TEST_CASE("EC private keys are written as the openssl program writes them") {
  for (const std::string type : {"ec:P-256", "ec:P-384", "ec:P-521"}) {
    for (int i = 0; i < 8; ++i) {
      const std::string pem = PrivateKey::generate(type).to_pem();
      const culmen::test::TemporaryFile file(pem);
      CHECK(run_program("openssl pkcs8 -topk8 -nocrypt -in " + file.path()).output == pem);
    }
  }
  // Numbers that begin with zeros keep their width: 1 is the private key of the curve's base point.
  const std::string one =
      "-----BEGIN EC PRIVATE KEY-----\n"
      "MDECAQEEIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABoAoGCCqGSM49\n"
      "AwEH\n"
      "-----END EC PRIVATE KEY-----\n";
  const std::string pem = PrivateKey::from_pem(one).to_pem();
  const culmen::test::TemporaryFile file(pem);
  CHECK(run_program("openssl pkcs8 -topk8 -nocrypt -in " + file.path()).output == pem);
  const auto text = run_program("openssl pkey -noout -check -text -in " + file.path()).output;
  CHECK(text.find("Key is valid") != std::string::npos);
  CHECK(text.find("04:6b:17:d1:f2:e1:2c:42:47:f8:bc:e6:e5:63:a4") != std::string::npos);
}

TEST_CASE("the names of key types are known, in whatever case") {
  const auto names = key_type_names();
  CHECK(names.size() == 11);
  for (const std::string& type : classic_types) CHECK(std::ranges::count(names, type) == 1);
  CHECK(PrivateKey::generate("EC:p-256").type() == "ec:P-256");
  CHECK(PrivateKey::generate("Ed25519").type() == "ed25519");
  CHECK(PrivateKey::generate().type() == "ec:P-256");
}

TEST_CASE("an unknown key type is an error that lists the known ones") {
  for (const std::string type :
       {"", "ec", "ec:P-224", "rsa:1024", "rsa:2560", "rsa:", "rsa:99999999999999999999", "dsa"}) {
    CAPTURE(type);
    const std::string text = thrown_by([&] { return PrivateKey::generate(type); });
    CHECK(contains(text, "unsupported_key_type"));
    CHECK(contains(text, "ec:P-256 ec:P-384 ec:P-521 rsa:2048"));
    CHECK_FALSE(key_type_available(type));
  }
}

#if OPENSSL_VERSION_NUMBER < 0x30500000L
TEST_CASE("without OpenSSL 3.5 the ml-dsa types say what they need") {
  for (const std::string type : {"ml-dsa-44", "ml-dsa-65", "ML-DSA-87"}) {
    CAPTURE(type);
    CHECK_FALSE(key_type_available(type));
    const std::string text = thrown_by([&] { return PrivateKey::generate(type); });
    CHECK(contains(text, "unsupported_key_type"));
    CHECK(contains(text, "OpenSSL 3.5 or newer, this is OpenSSL 3."));
    CHECK(contains(text, "-DCULMEN_OPENSSL=bundled"));
  }
  crypto::KeyParts parts;
  parts.type = "ml-dsa-65";
  parts.pub = Bytes(1952);
  CHECK(contains(thrown_by([&] { return crypto::PublicKey::from_parts(parts); }), "OpenSSL 3.5 or newer"));
}
#endif

TEST_CASE("two keys are different keys") {
  for (const std::string type : {"ec:P-256", "ed25519"}) {
    const PrivateKey one = PrivateKey::generate(type), two = PrivateKey::generate(type);
    CHECK_FALSE(one.same_key_as(two));
    CHECK(one.to_pem() != two.to_pem());
  }
  CHECK_FALSE(PrivateKey::generate("ec:P-256").same_key_as(PrivateKey::generate("ed25519")));
}

TEST_CASE("thousands of ECDSA signatures have the exact width and verify") {
  struct Curve {
    std::string type, alg;
    std::size_t width;
    int count;
  };
  for (const Curve& curve : {Curve{"ec:P-256", "ES256", 64, 3000}, Curve{"ec:P-384", "ES384", 96, 600},
                             Curve{"ec:P-521", "ES512", 132, 600}}) {
    CAPTURE(curve.type);
    const PrivateKey key = PrivateKey::generate(curve.type);
    const crypto::PublicKey open = crypto::public_key(key);
    // One in 128 starts with a zero octet in r or s (P-521: three in four). It is the one that goes wrong, so signing
    // goes on until there was one; none in 20,000 (one chance in 10^68) would mean that they are lost.
    int made = 0, good = 0, leading_zero = 0;
    while (made < curve.count || (leading_zero == 0 && made < 20000)) {
      const std::string message = std::to_string(made++);
      const Bytes signature = key.sign(as_bytes(message));
      if (signature.size() == curve.width && open.verify(curve.alg, as_bytes(message), signature)) ++good;
      if (signature[0] == 0 || signature[curve.width / 2] == 0) ++leading_zero;
    }
    CHECK(good == made);
    CHECK(leading_zero > 0);
  }
}

TEST_CASE("ECDSA signatures of another width do not verify") {
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  const crypto::PublicKey open = crypto::public_key(key);
  Bytes signature = key.sign(as_bytes("message"));
  Bytes longer = signature;
  longer.insert(longer.begin(), 0);
  longer.insert(longer.begin() + 33, 0);
  CHECK_FALSE(open.verify("ES256", as_bytes("message"), longer));
  CHECK_FALSE(open.verify("ES256", as_bytes("message"), crypto::ecdsa_raw_to_der(signature)));
  CHECK_FALSE(open.verify("ES256", as_bytes("message"), Bytes(64)));
  CHECK_FALSE(open.verify("ES256", as_bytes("message"), {}));
  signature.pop_back();
  CHECK_FALSE(open.verify("ES256", as_bytes("message"), signature));
}

TEST_CASE("ECDSA signatures go between raw and DER") {
  const std::string raw =
      "0ed1215379636c483c2f7f155807d402a3b228033af97c7e17819ac3169ea665"
      "c50a07d38c3c70e5d8f12daf084a5480a66590c5f293509a8f3f7f8a83a354d5";
  const std::string der =
      "304502200ed1215379636c483c2f7f155807d402a3b228033af97c7e17819ac3169ea665022100c50a07d38c3c70e5d8f12d"
      "af084a5480a66590c5f293509a8f3f7f8a83a354d5";
  CHECK(base::hex_encode(crypto::ecdsa_raw_to_der(from_hex(raw))) == der);
  CHECK(base::hex_encode(crypto::ecdsa_der_to_raw(from_hex(der), 32)) == raw);

  // r is short and needs zeros in front, s has the top bit set and needs a sign octet in DER.
  const std::string edge_raw = std::string(60, '0') + "0102" + "80" + std::string(62, '0');
  const std::string edge_der = "3027020201020221008" + std::string(63, '0');
  CHECK(base::hex_encode(crypto::ecdsa_raw_to_der(from_hex(edge_raw))) == edge_der);
  CHECK(base::hex_encode(crypto::ecdsa_der_to_raw(from_hex(edge_der), 32)) == edge_raw);

  CHECK(contains(thrown_by([&] { return crypto::ecdsa_der_to_raw(from_hex(der), 31); }), "too large"));
  CHECK(contains(thrown_by([&] { return crypto::ecdsa_der_to_raw(from_hex(der + "00"), 32); }), "after its end"));
  CHECK(contains(thrown_by([&] { return crypto::ecdsa_der_to_raw({}, 32); }), "crypto_failed"));
  CHECK(contains(thrown_by([&] { return crypto::ecdsa_raw_to_der(from_hex("010203")); }), "halves"));
}

TEST_CASE("one key signs on eight threads at once") {
  for (const std::string type : {"ec:P-256", "rsa:2048", "ed25519"}) {
    CAPTURE(type);
    const PrivateKey key = PrivateKey::generate(type);
    std::atomic<int> good = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        const crypto::PublicKey open = crypto::public_key(key);
        for (int i = 0; i < 50; ++i) {
          const std::string message = std::to_string(t) + "/" + std::to_string(i);
          if (open.verify(key.alg(), as_bytes(message), key.sign(as_bytes(message)))) ++good;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 400);
  }
}

TEST_CASE("an empty message and a large one are signed") {
  const std::string large(5'000'000, 'x');
  for (const std::string type : {"ec:P-384", "rsa:2048", "ed448"}) {
    const PrivateKey key = PrivateKey::generate(type);
    const crypto::PublicKey open = crypto::public_key(key);
    CHECK(open.verify(key.alg(), {}, key.sign({})));
    CHECK(open.verify(key.alg(), as_bytes(large), key.sign(as_bytes(large))));
  }
}

TEST_CASE("public keys go through DER and parts unchanged") {
  for (const std::string type : {"ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048", "ed25519", "ed448"}) {
    CAPTURE(type);
    const PrivateKey key = PrivateKey::generate(type);
    const auto open = crypto::PublicKey::from_der(key.public_key_der());
    CHECK(open.type() == type);
    CHECK(open.to_der() == key.public_key_der());
    const auto rebuilt = crypto::PublicKey::from_parts(open.parts());
    CHECK(rebuilt.to_der() == key.public_key_der());
    CHECK(rebuilt.verify(key.alg(), as_bytes("m"), key.sign(as_bytes("m"))));
  }
}

TEST_CASE("what is no public key is refused") {
  const Bytes good = PrivateKey::generate("ec:P-256").public_key_der();
  const auto refused = [](const Bytes& der) { return thrown_by([&] { return crypto::PublicKey::from_der(der); }); };
  for (std::size_t length = 0; length < good.size(); ++length)
    CHECK(contains(refused(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length))), "crypto_failed"));
  Bytes more = good;
  more.push_back(0);
  CHECK(contains(refused(more), "after its end"));
  Bytes off_curve = good;
  off_curve.back() ^= 1;
  CHECK(contains(refused(off_curve), "crypto_failed"));
}

TEST_CASE("a public key that was moved from is still the same") {
  crypto::PublicKey key = crypto::public_key(PrivateKey::generate("ed25519"));
  const Bytes der = key.to_der();
  const crypto::PublicKey taken = std::move(key);
  CHECK(key.type() == "ed25519");
  CHECK(key.to_der() == der);
  CHECK(taken.to_der() == der);
}

TEST_CASE("no key: a default one, and one that was moved from") {
  PrivateKey key = PrivateKey::generate();
  CHECK(key);
  const PrivateKey taken = std::move(key);
  CHECK(taken);
  for (const PrivateKey& none : {PrivateKey(), key}) {
    CHECK_FALSE(none);
    CHECK(none.type().empty());
    CHECK(none.alg().empty());
    CHECK_FALSE(none.same_key_as(taken));
    CHECK_FALSE(none.same_key_as(none));
    CHECK_THROWS_WITH_AS(none.to_pem(), doctest::Contains("there is none"), Error);
    CHECK_THROWS_AS(none.sign({}), Error);
    CHECK_THROWS_AS(none.public_key_der(), Error);
  }
}
