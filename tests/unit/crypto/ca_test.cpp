#include "crypto/ca.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/hex.hpp"
#include "base/time.hpp"
#include "culmen/certificate.hpp"
#include "support/errors.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using crypto::CertificateTemplate;
using crypto::sign_certificate;

namespace {

CertificateTemplate certificate(const PrivateKey& key, const std::string& common_name, bool is_ca) {
  const auto now = std::chrono::system_clock::now();
  CertificateTemplate what;
  what.common_name = common_name;
  what.public_key_der = key.public_key_der();
  what.not_before = now - std::chrono::hours(1);
  what.not_after = now + std::chrono::hours(24);
  what.is_ca = is_ca;
  return what;
}

}  // namespace

TEST_CASE("the openssl program verifies a chain signed with each kind of key") {
  for (const std::string type : {"ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048", "ed25519", "ed448"}) {
    CAPTURE(type);
    const PrivateKey root_key = PrivateKey::generate(type), middle_key = PrivateKey::generate(type),
                     leaf_key = PrivateKey::generate(type);
    const Bytes root = sign_certificate(certificate(root_key, "Root", true), root_key);
    const Bytes middle = sign_certificate(certificate(middle_key, "Middle", true), root_key, root);
    CertificateTemplate what = certificate(leaf_key, "", false);
    what.identifiers = {Identifier::dns("example.com")};
    const Bytes leaf = sign_certificate(what, middle_key, middle);

    const culmen::test::TemporaryFile root_file(der_to_pem(root)), middle_file(der_to_pem(middle)),
        leaf_file(der_to_pem(leaf));
    const auto run =
        run_program("openssl verify -x509_strict -purpose sslserver -verify_hostname example.com -CAfile " +
                    root_file.path() + " -untrusted " + middle_file.path() + " " + leaf_file.path());
    CHECK_MESSAGE(run.status == 0, run.output);
    CHECK(crypto::is_signed_by(leaf, middle));
    CHECK(crypto::is_signed_by(middle, root));
    CHECK(crypto::is_signed_by(root, root));
    CHECK_FALSE(crypto::is_signed_by(leaf, root));
    CHECK(Certificate::from_der(leaf).issuer_common_name == "Middle");
  }
}

TEST_CASE("without a subject the names are critical") {
  const PrivateKey key = PrivateKey::generate();
  CertificateTemplate what = certificate(key, "", false);
  what.identifiers = {Identifier::dns("example.com")};
  const culmen::test::TemporaryFile nameless(der_to_pem(sign_certificate(what, key)));
  CHECK(contains(run_program("openssl x509 -noout -text -in " + nameless.path()).output,
                 "Subject Alternative Name: critical"));
  what.common_name = "example.com";
  const culmen::test::TemporaryFile named(der_to_pem(sign_certificate(what, key)));
  CHECK_FALSE(contains(run_program("openssl x509 -noout -text -in " + named.path()).output,
                       "Subject Alternative Name: critical"));
}

TEST_CASE("further extensions are put in as given") {
  const PrivateKey key = PrivateKey::generate();
  CertificateTemplate what = certificate(key, "example.com", false);
  // RFC 8737 §3, for the key authorization of another test.
  what.extensions.emplace_back(
      "1.3.6.1.5.5.7.1.31", *base::hex_decode("0420940576f75777ef6c725d5119458f63d8543c8354d8a4e689afadb40a26a178f0"),
      true);
  const Bytes der = sign_certificate(what, key);
  CHECK(contains(
      base::hex_encode(der),
      "303106082b0601050507011f0101ff04220420940576f75777ef6c725d5119458f63d8543c8354d8a4e689afadb40a26a178f0"));
}

TEST_CASE("serial numbers are random, positive and of 16 octets when none is given") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  std::vector<Bytes> serials;
  for (int i = 0; i < 200; ++i) {
    serials.push_back(Certificate::from_der(sign_certificate(certificate(key, "x", false), key)).serial);
    CHECK(serials.back().size() == 16);
    CHECK((serials.back()[0] & 0x80) == 0);
  }
  std::ranges::sort(serials);
  CHECK(std::ranges::adjacent_find(serials) == serials.end());
}

TEST_CASE("what cannot be signed is an error") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  CertificateTemplate what = certificate(key, "x", false);
  what.serial = Bytes(3, 0);
  CHECK(contains(thrown_by([&] { return sign_certificate(what, key); }), "must be positive"));
  what = certificate(key, std::string(65, 'x'), false);
  CHECK(contains(thrown_by([&] { return sign_certificate(what, key); }), "setting the CN"));
  what = certificate(key, "x", false);
  what.public_key_der.clear();
  CHECK(contains(thrown_by([&] { return sign_certificate(what, key); }), "crypto_failed"));
  what = certificate(key, "x", false);
  what.extensions.emplace_back("not an oid", Bytes{5, 0});
  CHECK(contains(thrown_by([&] { return sign_certificate(what, key); }), "making the extension"));
  CHECK(contains(thrown_by([&] { return crypto::is_signed_by({}, {}); }), "crypto_failed"));
}
