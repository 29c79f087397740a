// ML-DSA keys: registered only with OpenSSL >= 3.5.
#include <doctest/doctest.h>

#include <atomic>
#include <boost/json.hpp>
#include <thread>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/ca.hpp"
#include "crypto/random.hpp"
#include "culmen/account_key.hpp"
#include "culmen/certificate.hpp"
#include "culmen/csr.hpp"
#include "jose/jwk.hpp"
#include "jose/jws.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;

namespace {

/// The sample keys of RFC 9964: the seed is 32 zero octets.
struct Sample {
  std::string number, thumbprint, first_16_of_pub, sha256_of_pub, spki_prefix;
  std::size_t signature_size;

  std::string alg() const { return "ML-DSA-" + number; }
  std::string type() const { return "ml-dsa-" + number; }
};

const std::vector<Sample> samples = {
    {"44", "T4xl70S7MT6Zeq6r9V9fPJGVn76wfnXJ21-gyo0Gu6o", "ba71f9f64e11baeb58fa9c6fbb6e14e6",
     "eb4e7302842153b0fa19e8620739ad258af4929c26dd89079a7ec7d4282208e1", "30820532300b06096086480165030403110382052100",
     2420},
    {"65", "Suiu29qbfuaBaR4Ats-c6XQBePB_OpAxAwcTR_0KXVM", "424b2f267e58d5b3b44d71acfc6a656b",
     "085ba380ff386dd52e42349c6eb88489d6058ea541a4e3fb0dce9a3fd1f7a911", "308207b2300b0609608648016503040312038207a100",
     3309},
    {"87", "tRn1JNIkgMsABVQBlXeDHxAIcclh-2IX0UdDEzPt5XU", "e45ffc8cc73db885dc662e62a18cd8e3",
     "1d4a461707fc50a7ec93a9c02454778a8b82321ca460eea345e7bbfaff38a3aa", "30820a32300b060960864801650304031303820a2100",
     4627}};

PrivateKey from_zero_seed(const Sample& sample) {
  crypto::KeyParts parts;
  parts.type = sample.type();
  parts.secret = Bytes(32, 0);
  return crypto::private_key_from_parts(parts);
}

std::string private_jwk(const PrivateKey& key, const std::string& priv = std::string(43, 'A')) {
  const std::string open = key.public_jwk();
  return open.substr(0, open.size() - 1) + R"(,"priv":")" + priv + "\"}";
}

}  // namespace

TEST_CASE("ML-DSA: the sample keys of RFC 9964") {
  for (const Sample& sample : samples) {
    CAPTURE(sample.number);
    const PrivateKey key = from_zero_seed(sample);
    const Bytes pub = crypto::public_parts(key).pub;
    CHECK(base::hex_encode(ByteView(pub).first(16)) == sample.first_16_of_pub);
    CHECK(base::hex_encode(crypto::sha256(pub)) == sample.sha256_of_pub);
    CHECK(key.thumbprint() == sample.thumbprint);
    CHECK(key.alg() == sample.alg());
    CHECK(key.type() == sample.type());
    CHECK(key.public_jwk() ==
          R"({"alg":")" + sample.alg() + R"(","kty":"AKP","pub":")" + base::base64url_encode(pub) + "\"}");
    CHECK(base::hex_encode(key.public_key_der()) == sample.spki_prefix + base::hex_encode(pub));
    CHECK(PrivateKey::from_jwk(private_jwk(key)).same_key_as(key));
  }
}

TEST_CASE("ML-DSA: PKCS#8 that holds the seed only is the same key") {
  for (const Sample& sample : samples) {
    CAPTURE(sample.number);
    const PrivateKey key = PrivateKey::from_pem(test_data("keys/mldsa" + sample.number + ".seed-only.pem"));
    CHECK(key.same_key_as(from_zero_seed(sample)));
    CHECK(key.thumbprint() == sample.thumbprint);
  }
}

TEST_CASE("ML-DSA: keys are made, sign, and survive PEM") {
  for (const Sample& sample : samples) {
    CAPTURE(sample.number);
    CHECK(key_type_available(sample.type()));
    const PrivateKey key = PrivateKey::generate(sample.type());
    CHECK_FALSE(key.same_key_as(PrivateKey::generate(sample.type())));
    const PrivateKey again = PrivateKey::from_pem(key.to_pem());
    CHECK(again.same_key_as(key));
    CHECK(again.to_pem() == key.to_pem());
    const Bytes signature = again.sign(as_bytes("message"));
    CHECK(signature.size() == sample.signature_size);
    const auto open = crypto::PublicKey::from_der(key.public_key_der());
    CHECK(open.type() == sample.type());
    CHECK(open.verify(sample.alg(), as_bytes("message"), signature));
    CHECK_FALSE(open.verify(sample.alg(), as_bytes("massage"), signature));
    CHECK_FALSE(open.verify("ML-DSA-99", as_bytes("message"), signature));
    CHECK_FALSE(open.verify(sample.alg(), as_bytes("message"), ByteView(signature).first(100)));
    CHECK(crypto::PublicKey::from_parts(open.parts()).verify(sample.alg(), as_bytes("message"), signature));
  }
}

TEST_CASE("ML-DSA: JWKs are read strictly") {
  const PrivateKey key = from_zero_seed(samples[1]);
  const auto refused = [](const std::string& jwk, bool secret) {
    return thrown_by([&] {
      if (secret)
        jose::parse_private_jwk(jwk).value();
      else
        jose::parse_public_jwk(jwk).value();
      return 0;
    });
  };
  std::string other_alg = key.public_jwk();
  other_alg.replace(other_alg.find("ML-DSA-65"), 9, "ML-DSA-87");
  CHECK(contains(refused(other_alg, false), "has 1952 octets; it must have 2592"));
  CHECK(contains(refused(private_jwk(key), false), "private member \"priv\""));
  CHECK(contains(refused(private_jwk(key, "AAAA"), true), "it must have 32"));
  CHECK(contains(refused(private_jwk(key, std::string(42, 'A') + "E"), true), "do not belong together"));
  CHECK(contains(refused(key.public_jwk(), true), "\"priv\" is missing"));
}

TEST_CASE("ML-DSA: requests and key changes verify") {
  for (const Sample& sample : samples) {
    CAPTURE(sample.number);
    const PrivateKey key = from_zero_seed(sample), old_key = PrivateKey::generate("ec:P-256");
    for (const std::string& text :
         {jose::sign_with_jwk(key, "nonce", "https://ca.test/new-account", "{}"),
          jose::key_change_payload(old_key, key, "https://ca.test/acct/1", "https://ca.test/key-change")}) {
      const auto jws = boost::json::parse(text).as_object();
      const std::string input =
          std::string(jws.at("protected").as_string()) + "." + std::string(jws.at("payload").as_string());
      const auto signature = base::base64url_decode(std::string(jws.at("signature").as_string()));
      REQUIRE(signature);
      CHECK(crypto::public_key(key).verify(sample.alg(), as_bytes(input), *signature));
      const auto header = base::base64url_decode(std::string(jws.at("protected").as_string()));
      REQUIRE(header);
      const auto members = boost::json::parse(std::string(as_text(*header))).as_object();
      CHECK(members.at("alg").as_string() == sample.alg());
      CHECK(boost::json::serialize(members.at("jwk")) == key.public_jwk());
    }
  }
}

TEST_CASE("ML-DSA: an account key has its key authorization") {
  const AccountKey key(from_zero_seed(samples[0]));
  CHECK(key.key_authorization("token") == "token." + samples[0].thumbprint);
}

TEST_CASE("ML-DSA: requests and certificates are signed, and the openssl program agrees") {
  for (const Sample& sample : samples) {
    CAPTURE(sample.number);
    const PrivateKey key = PrivateKey::generate(sample.type()), ca_key = PrivateKey::generate(sample.type());
    const Bytes csr_der = build_csr({"example.com", "192.0.2.1"}, key);
    const crypto::Csr csr = crypto::parse_csr(csr_der);
    CHECK(csr.signature_ok);
    CHECK(csr.key_type == sample.type());
    const culmen::test::TemporaryFile csr_file(der_to_pem(csr_der, "CERTIFICATE REQUEST"));
    const std::string openssl = CULMEN_OPENSSL_PROGRAM;
    const auto request = run_program(openssl + " req -noout -verify -text -in " + csr_file.path());
    CHECK(request.status == 0);
    CHECK(contains(request.output, "verify OK"));
    CHECK(contains(request.output, "Public Key Algorithm: " + sample.alg()));

    crypto::CertificateTemplate what;
    what.public_key_der = ca_key.public_key_der();
    what.common_name = "Root";
    what.is_ca = true;
    what.not_before = std::chrono::system_clock::now() - std::chrono::hours(1);
    what.not_after = what.not_before + std::chrono::hours(24);
    const Bytes root = crypto::sign_certificate(what, ca_key);
    what.is_ca = false;
    what.common_name.clear();
    what.public_key_der = csr.public_key_der;
    what.identifiers = csr.san;
    const Bytes leaf = crypto::sign_certificate(what, ca_key, root);
    CHECK(crypto::is_signed_by(leaf, root));
    CHECK(Certificate::from_der(leaf).matches(key));
    const culmen::test::TemporaryFile root_file(der_to_pem(root)), leaf_file(der_to_pem(leaf));
    const auto verified =
        run_program(openssl + " verify -x509_strict -CAfile " + root_file.path() + " " + leaf_file.path());
    CHECK_MESSAGE(verified.status == 0, verified.output);
  }
}

TEST_CASE("ML-DSA: one key signs on eight threads at once") {
  const PrivateKey key = PrivateKey::generate("ml-dsa-65");
  std::atomic<int> good = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const crypto::PublicKey open = crypto::public_key(key);
      for (int i = 0; i < 5; ++i) {
        const std::string message = std::to_string(t) + "/" + std::to_string(i);
        if (open.verify("ML-DSA-65", as_bytes(message), key.sign(as_bytes(message)))) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 40);
}
