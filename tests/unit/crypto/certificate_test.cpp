#include "culmen/certificate.hpp"

#include <doctest/doctest.h>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "base/time.hpp"
#include "crypto/ca.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

const std::string rfc9773_certificate = test_data("rfc9773-certificate.pem");

base::TimePoint at(const std::string& text) {
  const auto time = base::parse_rfc3339(text);
  REQUIRE(time);
  return *time;
}

crypto::CertificateTemplate leaf(const PrivateKey& key) {
  crypto::CertificateTemplate what;
  what.public_key_der = key.public_key_der();
  what.common_name = "example.com";
  what.identifiers = {Identifier::dns("example.com"), Identifier::dns("*.example.com"), Identifier::ip("192.0.2.53"),
                      Identifier::ip("2001:db8::1")};
  what.not_before = at("2026-01-02T03:04:05Z");
  what.not_after = at("2026-04-02T03:04:05Z");
  return what;
}

/// A certificate with one octet string found and replaced by another of the same length.
Bytes patched(Bytes der, const std::string& from, const std::string& to) {
  REQUIRE(from.size() == to.size());
  std::string text(as_text(der));
  const auto found = text.find(from);
  REQUIRE(found != std::string::npos);
  text.replace(found, from.size(), to);
  const auto bytes = as_bytes(text);
  return Bytes(bytes.begin(), bytes.end());
}

}  // namespace

TEST_CASE("the certificate of RFC 9773 appendix A") {
  const Certificate cert = Certificate::from_pem(rfc9773_certificate);
  CHECK(base::hex_encode(cert.serial) == "0087654321");
  CHECK(base::hex_encode(cert.authority_key_identifier) == "69885b6b87464041e1b37b847ba0ae2cde01c8d4");
  CHECK(base::base64url_encode(cert.authority_key_identifier) + "." + base::base64url_encode(cert.serial) ==
        "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE");
  CHECK(cert.subject_common_name == "example.com");
  CHECK(cert.issuer_common_name == "Example CA");
  CHECK(cert.identifiers.empty());
  CHECK(der_to_pem(cert.der) == rfc9773_certificate);
  // Its dates are in the year 1, before the clock's range.
  CHECK(cert.not_before < at("1678-01-01T00:00:00Z"));
  CHECK(cert.not_before == cert.not_after);
}

TEST_CASE("serial numbers keep their DER octets") {
  const std::pair<std::string, std::string> serials[] = {
      {"87654321", "AIdlQyE"},
      {"01", "AQ"},
      {"7f", "fw"},
      {"80", "AIA"},
      {"ff", "AP8"},
      {"03c1f0aa9e11", "A8Hwqp4R"},
      {"fa0102030405060708090a0b0c0d0e0f1011", "APoBAgMEBQYHCAkKCwwNDg8QEQ"}};
  const PrivateKey key = PrivateKey::generate();
  for (const auto& [digits, expected] : serials) {
    const std::string& number = digits;  // clang 14 captures no structured bindings
    CAPTURE(number);
    auto what = leaf(key);
    what.serial = *base::hex_decode(number);
    const Certificate cert = Certificate::from_der(crypto::sign_certificate(what, key));
    CHECK(base::base64url_encode(cert.serial) == expected);
  }
}

TEST_CASE("a certificate's fields are those it was made with") {
  const PrivateKey ca_key = PrivateKey::generate("ec:P-384"), key = PrivateKey::generate("ed25519");
  crypto::CertificateTemplate ca;
  ca.common_name = "Röot";
  ca.public_key_der = ca_key.public_key_der();
  ca.not_before = at("2020-01-01T00:00:00Z");
  ca.not_after = at("2050-01-01T00:00:00Z");
  ca.is_ca = true;
  const Bytes root = crypto::sign_certificate(ca, ca_key);
  const Certificate cert = Certificate::from_der(crypto::sign_certificate(leaf(key), ca_key, root));
  CHECK(cert.identifiers == leaf(key).identifiers);
  CHECK(cert.subject_common_name == "example.com");
  CHECK(cert.issuer_common_name == "Röot");
  CHECK(cert.not_before == at("2026-01-02T03:04:05Z"));
  CHECK(cert.not_after == at("2026-04-02T03:04:05Z"));
  CHECK(Certificate::from_der(root).not_after == at("2050-01-01T00:00:00Z"));
  CHECK(cert.public_key_der == key.public_key_der());
  CHECK(cert.authority_key_identifier.size() == 20);
  CHECK(cert.serial.size() == 16);
  CHECK(cert.matches(key));
  CHECK_FALSE(cert.matches(ca_key));
  CHECK_FALSE(cert.matches(PrivateKey::generate("ed25519")));
}

TEST_CASE("a certificate is for a key however the CA writes that key") {
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  const Bytes written = key.public_key_der();
  const Bytes point(written.end() - 65, written.end());
  REQUIRE(point[0] == 4);
  // The same point in its compressed form (RFC 5480 §2.2).
  Bytes compressed = *base::hex_decode("3039301306072a8648ce3d020106082a8648ce3d030107032200");
  compressed.push_back(point[64] % 2 == 0 ? 2 : 3);
  compressed.insert(compressed.end(), point.begin() + 1, point.begin() + 33);
  auto what = leaf(key);
  what.public_key_der = compressed;
  const Certificate cert = Certificate::from_der(crypto::sign_certificate(what, key));
  CHECK(cert.public_key_der == compressed);
  CHECK(compressed != written);
  CHECK(cert.matches(key));
  CHECK_FALSE(cert.matches(PrivateKey::generate("ec:P-256")));
}

TEST_CASE("a certificate without an authority key identifier has none") {
  const PrivateKey key = PrivateKey::generate();
  auto what = leaf(key);
  what.authority_key_identifier = false;
  CHECK(Certificate::from_der(crypto::sign_certificate(what, key)).authority_key_identifier.empty());
}

TEST_CASE("the years 1 and 9999 become the ends of the clock") {
  const PrivateKey key = PrivateKey::generate();
  auto what = leaf(key);
  what.not_after = at("2150-06-07T08:09:10Z");  // a GeneralizedTime
  const Bytes der = crypto::sign_certificate(what, key);
  CHECK(Certificate::from_der(der).not_after == at("2150-06-07T08:09:10Z"));
  // RFC 5280 §4.1.2.5: "99991231235959Z" stands for no good end.
  const auto forever = Certificate::from_der(patched(der, "21500607080910Z", "99991231235959Z"));
  CHECK(forever.not_after > at("2262-04-01T00:00:00Z"));
  CHECK(forever.not_after > forever.not_before);
  const auto ancient = Certificate::from_der(patched(der, "21500607080910Z", "00010101000000Z"));
  CHECK(ancient.not_after < at("1678-01-01T00:00:00Z"));
  CHECK(contains(thrown_by([&] { return Certificate::from_der(patched(der, "21500607080910Z", "21501307080910Z")); }),
                 "a time is not readable"));
}

TEST_CASE("a DNS name with a NUL in it is refused") {
  const PrivateKey key = PrivateKey::generate();
  auto what = leaf(key);
  what.identifiers = {Identifier::dns("good.example.evil.test")};
  const Bytes der =
      patched(crypto::sign_certificate(what, key), "good.example.evil", std::string("good.example\0evil", 17));
  CHECK(contains(thrown_by([&] { return Certificate::from_der(der); }), "NUL"));
}

TEST_CASE("what is no certificate is refused, wherever it is cut") {
  const Bytes der = pem_to_der(rfc9773_certificate).at(0);
  const auto refused = [](const Bytes& bytes) { return thrown_by([&] { return Certificate::from_der(bytes); }); };
  for (std::size_t length = 0; length < der.size(); ++length)
    CHECK(contains(refused(Bytes(der.begin(), der.begin() + static_cast<std::ptrdiff_t>(length))), "crypto_failed"));
  Bytes more = der;
  more.push_back(0);
  CHECK(contains(refused(more), "after its end"));
  CHECK(contains(thrown_by([] { return Certificate::from_pem("nothing"); }), "no CERTIFICATE block"));
  CHECK(contains(thrown_by([] { return Certificate::from_pem(test_data("keys/p256.pkcs8.pem")); }),
                 "no CERTIFICATE block"));
}

TEST_CASE("chains are read leaf first, with CRLF and text around the blocks") {
  const std::string other = test_data("keys/p256.certificate.pem");
  std::string text = "leaf:\n" + rfc9773_certificate + "\n\nissuer:\n" + other;
  text.pop_back();
  for (auto found = text.find('\n'); found != std::string::npos; found = text.find('\n', found + 2))
    text.insert(found, "\r");
  const auto chain = read_chain(text);
  REQUIRE(chain.size() == 2);
  CHECK(chain[0].issuer_common_name == "Example CA");
  CHECK(chain[1].subject_common_name == "culmen.test");
  CHECK(topmost_issuer(text) == "culmen.test");
  CHECK(topmost_issuer(rfc9773_certificate) == "Example CA");
}

TEST_CASE("a chain with anything but certificates in it is refused") {
  const auto refused = [](const std::string& pem) { return thrown_by([&] { return read_chain(pem); }); };
  CHECK(contains(refused(rfc9773_certificate + test_data("keys/p256.pkcs8.pem")), "a block \"PRIVATE KEY\""));
  CHECK(contains(refused(test_data("keys/p256.pkcs8.pem") + rfc9773_certificate), "a block \"PRIVATE KEY\""));
  CHECK(contains(refused(""), "no CERTIFICATE block"));
  CHECK(contains(refused("<html>Service unavailable</html>"), "no CERTIFICATE block"));
  CHECK(contains(refused(rfc9773_certificate.substr(0, 300)), "damaged: its END line is missing"));
  CHECK(contains(refused(rfc9773_certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                 "certificate 2"));
}

TEST_CASE("the openssl program reads the certificates culmen signs") {
  const PrivateKey key = PrivateKey::generate();
  auto what = leaf(key);
  what.serial = {0xab, 0xcd};
  const culmen::test::TemporaryFile file(der_to_pem(crypto::sign_certificate(what, key)));
  const auto run = run_program("openssl x509 -noout -text -in " + file.path());
  CHECK(run.status == 0);
  CHECK(contains(run.output, "Serial Number: 43981 (0xabcd)"));
  CHECK(contains(run.output,
                 "DNS:example.com, DNS:*.example.com, IP Address:192.0.2.53, IP Address:2001:DB8:0:0:0:0:0:1"));
  CHECK(contains(run.output, "Not Before: Jan  2 03:04:05 2026 GMT"));
  CHECK(contains(run.output, "CA:FALSE"));
  CHECK(contains(run.output, "TLS Web Server Authentication"));
}
