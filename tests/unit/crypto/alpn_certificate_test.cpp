#include "crypto/alpn_certificate.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/hex.hpp"
#include "culmen/certificate.hpp"
#include "support/errors.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

const std::string key_authorization =
    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
const auto start_of_run = std::chrono::system_clock::now();

Bytes certificate_for(const Identifier& identifier) {
  return crypto::alpn_certificate(identifier, key_authorization, PrivateKey::generate("ec:P-256"), start_of_run);
}

std::string san_of(const Bytes& der) {
  for (const crypto::OidValue& extension : crypto::certificate_extensions(der))
    if (extension.oid == "2.5.29.17") return base::hex_encode(extension.value);
  return "none";
}

}  // namespace

TEST_CASE("the acmeIdentifier extension, octet for octet") {
  const Bytes der = certificate_for(Identifier::dns("example.com"));
  const std::string hex = base::hex_encode(der);
  const std::string whole =
      "303106082b0601050507011f0101ff04220420940576f75777ef6c725d5119458f63d8543c8354d8a4e689afadb40a26a178f0";
  CHECK(hex.find(whole) != std::string::npos);
  CHECK(hex.find("2b0601050507011f") == hex.rfind("2b0601050507011f"));
}

TEST_CASE("the subjectAltName has one entry, of the identifier's kind") {
  CHECK(san_of(certificate_for(Identifier::dns("Example.COM"))) == "300d820b6578616d706c652e636f6d");
  CHECK(san_of(certificate_for(Identifier::ip("192.0.2.53"))) == "30068704c0000235");
  CHECK(san_of(certificate_for(Identifier::ip("2001:DB8:0:0:1:0:0:1"))) == "3012871020010db8000000000001000000000001");
}

TEST_CASE("self-signed, short-lived, and nothing else in it is critical") {
  const Bytes der = certificate_for(Identifier::dns("example.com"));
  CHECK(crypto::is_self_issued(der));
  CHECK(crypto::is_signed_by(der, der));
  const Certificate read = Certificate::from_der(der);
  CHECK(read.subject_common_name.size() <= 64);
  CHECK(read.not_before <= start_of_run - 23h);
  CHECK(read.not_after >= start_of_run + 23h);
  CHECK(read.not_after - read.not_before <= 49h);
  const std::vector<crypto::OidValue> extensions = crypto::certificate_extensions(der);
  REQUIRE(extensions.size() == 2);
  CHECK(std::ranges::count_if(extensions, &crypto::OidValue::critical) == 1);
}

TEST_CASE("a name longer than a CN may be, and what openssl reads") {
  const std::string label(60, 'a');
  const std::string name = label + "." + label + "." + label + ".example";
  const Bytes der = certificate_for(Identifier::dns(name));
  CHECK(Certificate::from_der(der).identifiers == std::vector<Identifier>{Identifier::dns(name)});
  const culmen::test::TemporaryFile file(der_to_pem(der));
  const auto run = run_program("openssl x509 -noout -text -in " + file.path());
  CHECK_MESSAGE(run.status == 0, run.output);
  CHECK(run.output.find("1.3.6.1.5.5.7.1.31: critical") != std::string::npos);
  CHECK(run.output.find("DNS:" + name) != std::string::npos);
  CHECK(run.output.find("prime256v1") != std::string::npos);
}

TEST_CASE("what is neither a name nor an address gets no certificate") {
  CHECK(contains(thrown_by([] { return certificate_for(Identifier("ip", "not an address")); }), "not an IP address"));
  CHECK(contains(thrown_by([] { return certificate_for(Identifier("email", "a@example.com")); }), "email"));
}
