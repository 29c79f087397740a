// Requests with usages, other names and other signatures, read back with the openssl program.
#include "crypto/request.hpp"

#include <doctest/doctest.h>

#include "base/hex.hpp"
#include "crypto/ca.hpp"
#include "culmen/certificate.hpp"
#include "support/csr_text.hpp"
#include "support/errors.hpp"
#include "support/run_program.hpp"

using namespace culmen;
using crypto::RequestContent;

namespace {

RequestContent for_a_name() {
  RequestContent content;
  content.names.push_back(Identifier::dns("a.example"));
  return content;
}

}  // namespace

TEST_CASE("requests: key usages, extended ones and names of every kind") {
  RequestContent content = for_a_name();
  content.subject.organization = "Example";
  content.names.emplace_back("email", "ops@a.example");
  content.names.emplace_back("uri", "https://a.example/x");
  content.names.emplace_back("ip", "192.0.2.1");
  content.key_usage = {"keyEncipherment", "digitalSignature", "decipherOnly"};
  content.extended_key_usage = {"serverAuth", "1.3.6.1.5.5.7.3.17", "OCSPSigning"};
  const Bytes der = crypto::build_request(content, PrivateKey::generate());
  const std::string text = as_openssl_sees(der);
  CHECK(contains(text, "Subject: O=Example"));
  CHECK(contains(text, "X509v3 Key Usage: critical"));
  CHECK(contains(text, "Digital Signature, Key Encipherment, Decipher Only"));
  CHECK(contains(text, "TLS Web Server Authentication, ipsec Internet Key Exchange, OCSP Signing"));
  CHECK(contains(text, "DNS:a.example, IP Address:192.0.2.1, email:ops@a.example, URI:https://a.example/x"));

  const crypto::Csr csr = crypto::parse_csr(der);
  CHECK(csr.emails == std::vector<std::string>{"ops@a.example"});
  CHECK(csr.uris == std::vector<std::string>{"https://a.example/x"});
  CHECK(csr.other_names);
  CHECK_FALSE(csr.unread_names);
  CHECK(csr.subject == std::vector<std::pair<std::string, std::string>>{{"2.5.4.10", "Example"}});
}

TEST_CASE("requests: nothing but a key has no extensions") {
  const crypto::Csr csr = crypto::parse_csr(crypto::build_request(RequestContent(), PrivateKey::generate()));
  CHECK(csr.signature_ok);
  CHECK(csr.extensions.empty());
  CHECK(csr.attributes.empty());
  CHECK(csr.subject.empty());
}

TEST_CASE("requests: names that no list here has are seen") {
  const auto run = run_program(
      "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj / "
      "-addext subjectAltName=RID:1.2.3 2>/dev/null");
  const auto blocks = pem_to_der(run.output);
  REQUIRE(blocks.size() == 1);
  CHECK(crypto::parse_csr(blocks[0]).unread_names);
}

TEST_CASE("requests: keys as others write them") {
  const auto read = [](const std::string& making_the_key) {
    const auto run =
        run_program(making_the_key + " 2>/dev/null | openssl req -new -key /dev/stdin -subj / 2>/dev/null");
    const auto blocks = pem_to_der(run.output);
    REQUIRE(blocks.size() == 1);
    return crypto::parse_csr(blocks[0]);
  };
  const crypto::Csr compressed = read("openssl ecparam -name secp384r1 -genkey | openssl ec -conv_form compressed");
  CHECK(compressed.key_type == "ec:P-384");
  CHECK(compressed.signature_ok);
  CHECK(compressed.public_key_der.size() < 90);
  CHECK(compressed.public_key.value().parts().y.size() == 48);
  CHECK(read("openssl genrsa 2048").signature_ok);

  // With a key that is not used, the signature is not looked at.
  for (const auto& made :
       {std::pair("openssl genrsa 1024", "rsa:1024"), std::pair("openssl genpkey -algorithm RSA-PSS", "unknown"),
        std::pair("openssl ecparam -name secp256k1 -genkey -noout", "unknown"),
        std::pair("openssl ecparam -name prime256v1 -genkey -noout -param_enc explicit", "unknown")}) {
    CAPTURE(made.first);
    const crypto::Csr csr = read(made.first);
    CHECK(csr.key_type == made.second);
    CHECK(!csr.public_key);
    CHECK(!csr.signature_ok);
    CHECK(!csr.public_key_der.empty());
  }
}

TEST_CASE("requests: signed as it is wanted") {
  const PrivateKey rsa = PrivateKey::generate("rsa:2048");
  const PrivateKey ec = PrivateKey::generate("ec:P-256");
  const auto signed_by = [](const PrivateKey& key, const std::string& digest, bool pss) {
    RequestContent content = for_a_name();
    content.signature.digest = digest;
    content.signature.pss = pss;
    const Bytes der = crypto::build_request(content, key);
    CHECK(crypto::parse_csr(der).signature_ok);
    return as_openssl_sees(der);
  };
  CHECK(contains(signed_by(rsa, "", false), "sha256WithRSAEncryption"));
  CHECK(contains(signed_by(rsa, "SHA512", false), "sha512WithRSAEncryption"));
  CHECK(contains(signed_by(ec, "SHA384", false), "ecdsa-with-SHA384"));
  const std::string pss = signed_by(rsa, "SHA384", true);
  CHECK(contains(pss, "rsassaPss"));
  CHECK(contains(pss, "Hash Algorithm: sha384"));
  CHECK(contains(pss, "mgf1 with sha384"));
  CHECK(contains(pss, "Salt Length: 0x30"));

  RequestContent content = for_a_name();
  content.signature.digest = "SHA256";
  content.signature.pss = true;
  // RFC 4055 §3.1, octet for octet.
  CHECK(base::hex_encode(crypto::parse_csr(crypto::build_request(content, rsa)).signature_algorithm) ==
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
        "300d06096086480165030402010500a203020120");
}

TEST_CASE("requests: usages and names that there are not") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  const auto refused = [&](auto change) {
    RequestContent content = for_a_name();
    change(content);
    return thrown_by([&] { return crypto::build_request(content, key); });
  };
  CHECK(contains(refused([](RequestContent& c) { c.key_usage = {"serverAuth"}; }), "no key usage \"serverAuth\""));
  CHECK(contains(refused([](RequestContent& c) { c.extended_key_usage = {"1.2.x"}; }), "no extended key usage"));
  CHECK(contains(refused([](RequestContent& c) { c.extended_key_usage = {"1.99.1"}; }), "no extended key usage"));
  CHECK(contains(refused([](RequestContent& c) { c.names.emplace_back("email", "a b@x"); }), "printable ASCII"));
  CHECK(contains(refused([](RequestContent& c) { c.names.emplace_back("uri", ""); }), "printable ASCII"));
  CHECK(contains(refused([](RequestContent& c) { c.names.emplace_back("dns", "no name"); }), "invalid_argument"));
  CHECK(contains(refused([](RequestContent& c) { c.subject.country = "Germany"; }), "two letters"));

  CHECK(crypto::is_key_usage("cRLSign"));
  CHECK_FALSE(crypto::is_key_usage("crlSign"));
  CHECK(crypto::is_extended_key_usage("timeStamping"));
  CHECK(crypto::is_extended_key_usage("1.3.6.1"));
  for (const char* bad : {"", "1", "1.", "3.1", "1..2", "1.2.", "anything", "12.3"}) {
    CAPTURE(bad);
    CHECK_FALSE(crypto::is_extended_key_usage(bad));
  }
  CHECK_FALSE(crypto::is_extended_key_usage("1." + std::string(100, '1')));
}
