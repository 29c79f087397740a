#include <doctest/doctest.h>

#include "crypto/pem.hpp"
#include "culmen/certificate.hpp"
#include "culmen/private_key.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;

namespace {

const std::string passphrase = "correct horse";

std::string error_of(const std::string& pem, const PassphraseCallback& ask = {}) {
  return thrown_by([&] { return PrivateKey::from_pem(pem, ask); });
}

std::string error_of_file(const std::string& name) { return error_of(test_data("keys/" + name)); }

std::string with_crlf(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\n' ? std::string("\r\n") : std::string(1, c);
  return out;
}

}  // namespace

TEST_CASE("SEC1, PKCS#1 and PKCS#8 hold the same keys") {
  const auto same = [](const std::string& a, const std::string& b) {
    return PrivateKey::from_pem(test_data("keys/" + a)).to_pem() ==
           PrivateKey::from_pem(test_data("keys/" + b)).to_pem();
  };
  CHECK(same("p256.sec1.pem", "p256.pkcs8.pem"));
  CHECK(same("rsa2048.pkcs1.pem", "rsa2048.pkcs8.pem"));
  CHECK(same("ed25519.certmagic.pem", "ed25519.pem"));
  CHECK(PrivateKey::from_pem(test_data("keys/p256.pkcs8.pem")).to_pem() == test_data("keys/p256.pkcs8.pem"));
}

TEST_CASE("encrypted keys are read with their passphrase, asked for once") {
  for (const std::string name :
       {"p256.sec1-encrypted.pem", "p256.pkcs8-encrypted.pem", "rsa2048.pkcs1-encrypted.pem"}) {
    CAPTURE(name);
    int asked = 0;
    const PrivateKey key = PrivateKey::from_pem(test_data("keys/" + name), [&] { return ++asked, passphrase; });
    const std::string plain = name.starts_with("rsa") ? "rsa2048.pkcs8.pem" : "p256.pkcs8.pem";
    CHECK(key.to_pem() == test_data("keys/" + plain));
    CHECK(asked == 1);
  }
}

TEST_CASE("encrypted keys without the right passphrase are a clear error") {
  for (const std::string name :
       {"p256.sec1-encrypted.pem", "p256.pkcs8-encrypted.pem", "rsa2048.pkcs1-encrypted.pem"}) {
    CAPTURE(name);
    const std::string pem = test_data("keys/" + name);
    CHECK(contains(error_of(pem), "the key is encrypted, and no passphrase was given"));
    for (const std::string& wrong : {std::string(), std::string("wrong"), std::string(5000, 'x')})
      CHECK(contains(error_of(pem, [&] { return wrong; }), "the passphrase may be wrong"));
  }
}

TEST_CASE("a passphrase that cannot be had is the caller's error") {
  const std::string pem = test_data("keys/p256.pkcs8-encrypted.pem");
  const auto refuses = []() -> std::string { throw Error(Errc::cancelled, "asking for a passphrase"); };
  CHECK(contains(error_of(pem, refuses), "cancelled"));
}

TEST_CASE("nobody is asked for the passphrase of a plain key") {
  CHECK_NOTHROW(PrivateKey::from_pem(test_data("keys/p256.pkcs8.pem"), []() -> std::string { throw 1; }));
}

TEST_CASE("what stands around a key does not matter") {
  const std::string key = test_data("keys/p256.pkcs8.pem");
  const std::string cert = test_data("keys/p256.certificate.pem");
  std::string indented = "\n" + key;
  for (auto at = indented.find('\n'); at + 1 < indented.size(); at = indented.find('\n', at + 1))
    indented.insert(at + 1, "    ");
  for (const std::string& text :
       {with_crlf(key), "\xef\xbb\xbf" + key, cert + key, key + cert, "some words: 1\n" + key + "and more", indented,
        key.substr(0, key.size() - 1), test_data("keys/p256.sec1.pem") + key}) {
    CAPTURE(text);
    CHECK(PrivateKey::from_pem(text).to_pem() == key);
  }
}

TEST_CASE("what is no private key gets an error that says what it is") {
  CHECK(contains(error_of(""), "there is no PEM block"));
  CHECK(contains(error_of("hello"), "there is no PEM block"));
  CHECK(contains(error_of_file("p256.certificate.pem"), "this is a CERTIFICATE, not a private key"));
  CHECK(contains(error_of_file("p256.public.pem"), "this is a PUBLIC KEY, not a private key"));
  CHECK(contains(error_of("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
                 "ssh-keygen -p"));
  CHECK(contains(error_of("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"),
                 "\"EC PARAMETERS\" is not a private key"));
}

TEST_CASE("keys nobody should use are refused") {
  CHECK(contains(error_of_file("rsa1024.pem"), "1024 bits; it must have from 2048 to 8192"));
  CHECK(contains(error_of_file("secp256k1.pem"), "EC secp256k1 cannot be used"));
  CHECK(contains(error_of_file("x25519.pem"), "X25519 cannot be used"));
  CHECK(contains(error_of_file("rsa-pss.pem"), "RSA-PSS cannot be used"));
  CHECK(contains(error_of_file("p256-explicit.pem"), "spelt out instead of named"));
}

TEST_CASE("halves of different keys are refused") {
  CHECK(contains(error_of_file("p256-mismatched.pem"), "do not belong together"));
}

TEST_CASE("damaged keys are refused, wherever they are cut") {
  for (const std::string name : {"p256.sec1.pem", "p256.pkcs8.pem", "rsa2048.pkcs1.pem", "ed25519.pem"}) {
    const std::string pem = test_data("keys/" + name);
    const std::size_t needed = pem.rfind("-----END") + 9;
    for (std::size_t length = 0; length < needed; length += 7)
      CHECK(contains(error_of(pem.substr(0, length)), "crypto_failed"));
    std::string junk = pem;
    junk.replace(junk.find("KEY-----\n") + 12, 3, "?!?");
    CHECK(contains(error_of(junk.substr(junk.find("-----BEGIN"))), "crypto_failed"));
  }
  CHECK(contains(error_of("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"), "it is empty"));
  CHECK(contains(error_of("-----BEGIN PRIVATE KEY-----\nAAAA\n"), "its END line is missing"));
  CHECK(contains(error_of("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), "its END line is missing"));
  CHECK(contains(error_of("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "crypto_failed"));
}

TEST_CASE("huge texts are refused, and quickly") {
  CHECK(contains(error_of(std::string(50'000'000, 'x')), "longer than any key file"));
  std::string openings;
  while (openings.size() < 900'000) openings += "-----BEGIN PRIVATE KEY-----\n";
  CHECK(contains(error_of(openings), "damaged"));
}

TEST_CASE("all blocks of a text become DER, in order, none is an empty list") {
  const std::string cert = test_data("keys/p256.certificate.pem"), key = test_data("keys/p256.pkcs8.pem");
  const auto both = pem_to_der("text\n" + with_crlf(cert) + "\n  \n" + key);
  REQUIRE(both.size() == 2);
  CHECK(der_to_pem(both[0]) == cert);
  CHECK(der_to_pem(both[1], "PRIVATE KEY") == key);
  CHECK(pem_to_der("").empty());
  CHECK(pem_to_der("no blocks here").empty());
  CHECK(pem_to_der("-----BEGIN X-----\n????\n-----END X-----\n").empty());
  CHECK(pem_to_der(cert.substr(0, cert.size() / 2)).empty());
}

TEST_CASE("PEM has LF line ends and 64 columns") {
  CHECK(der_to_pem(Bytes(48, 0)) ==
        "-----BEGIN CERTIFICATE-----\n" + std::string(64, 'A') + "\n-----END CERTIFICATE-----\n");
  CHECK(der_to_pem(Bytes(49, 0), "X") == "-----BEGIN X-----\n" + std::string(64, 'A') + "\nAA==\n-----END X-----\n");
}

TEST_CASE("the openssl program reads the keys culmen writes") {
  for (const std::string type : {"ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048", "ed25519", "ed448"}) {
    CAPTURE(type);
    const PrivateKey key = PrivateKey::generate(type);
    const culmen::test::TemporaryFile file(key.to_pem());
    const auto checked = run_program("openssl pkey -noout -check -in " + file.path());
    CHECK(checked.status == 0);
    CHECK(contains(checked.output, "Key is valid"));
    const auto open = run_program("openssl pkey -pubout -in " + file.path());
    CHECK(open.output == der_to_pem(key.public_key_der(), "PUBLIC KEY"));
  }
}
