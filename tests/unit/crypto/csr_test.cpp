#include "culmen/csr.hpp"

#include <doctest/doctest.h>

#include "base/base64.hpp"
#include "base/hex.hpp"
#include "crypto/ca.hpp"
#include "culmen/certificate.hpp"
#include "support/csr_text.hpp"
#include "support/errors.hpp"
#include "support/run_program.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;

namespace {

const std::string long_name = std::string(60, 'a') + ".example.com";  // 72 octets

// RFC 9799 §3.2: an empty subject, and two attributes beside no extensionRequest.
const std::string onion_csr =
    "MIGxMGUCAQAwADAqMAUGAytlcAMhANdamAGCsQq31Uv-08lkBzoO4XLz2qYjJa8CGmj3B1EaoDIwFAYEZ4EMKjEMBAqgoaKjpKWmp6ipMBoGBGeB"
    "DCkxEgQQAAECAwQFBgcICQoLDA0ODzAFBgMrZXADQQCYZrQ7z2GwDN8T87lIALyqlNRCtfUKH4W8TS96BpWucQiWvWe3-nUvkwMIHbqp_x8PRG2L"
    "14Gi__bKKid8NTQG";

}  // namespace

TEST_CASE("the openssl program reads the requests of every key type") {
  for (const std::string type : {"ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048", "ed25519", "ed448"}) {
    CAPTURE(type);
    const PrivateKey key = PrivateKey::generate(type);
    const Bytes csr = build_csr({"example.com", "*.example.com", "192.0.2.53", "2001:db8::1"}, key);
    CHECK(crypto::parse_csr(csr).public_key_der == key.public_key_der());
    const std::string text = as_openssl_sees(csr);
    CHECK(contains(text, "Subject: CN=example.com"));
    CHECK(contains(text, "DNS:example.com, DNS:*.example.com, IP Address:192.0.2.53, IP Address:2001:DB8:0:0:0:0:0:1"));
    CHECK_FALSE(contains(text, "TLS Feature"));
  }
}

TEST_CASE("a request reads back as it was built") {
  const PrivateKey key = PrivateKey::generate();
  const Bytes der = build_csr({"b.example", "a.example", "192.0.2.1", "*.b.example"}, key);
  const crypto::Csr csr = crypto::parse_csr(der);
  CHECK(csr.signature_ok);
  CHECK(csr.common_name == "b.example");
  CHECK(csr.key_type == "ec:P-256");
  CHECK(csr.public_key_der == key.public_key_der());
  CHECK_FALSE(csr.other_names);
  CHECK(csr.attributes.empty());
  const std::vector<Identifier> expected = {Identifier::dns("b.example"), Identifier::dns("a.example"),
                                            Identifier::ip("192.0.2.1"), Identifier::dns("*.b.example")};
  CHECK(csr.san == expected);
  CHECK(csr_identifiers(der) == expected);
}

TEST_CASE("the CN is the first DNS name that fits, or there is none") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  const auto cn = [&](const std::vector<std::string>& names) {
    return crypto::parse_csr(build_csr(names, key)).common_name;
  };
  CHECK(cn({"example.com"}) == "example.com");
  CHECK(cn({"192.0.2.1", "*.example.com"}) == "*.example.com");
  CHECK(cn({long_name, "b.example"}) == "b.example");
  CHECK(cn({long_name}) == "");
  CHECK(cn({"192.0.2.1"}) == "");
  const std::string exactly_64 = std::string(52, 'a') + ".example.com";
  REQUIRE(exactly_64.size() == 64);
  CHECK(cn({exactly_64}) == exactly_64);
  CHECK(cn({"a" + exactly_64}) == "");

  CsrOptions without;
  without.common_name = false;
  const Bytes der = build_csr({"example.com"}, key, without);
  CHECK(crypto::parse_csr(der).common_name == "");
  CHECK(csr_identifiers(der) == std::vector<Identifier>{Identifier::dns("example.com")});
}

TEST_CASE("a name of 253 octets and a hundred names fit in") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  const std::string label(59, 'x');
  const std::string longest = label + "." + label + "." + label + "." + label + ".longest.name";
  REQUIRE(longest.size() == 252);
  CHECK(csr_identifiers(build_csr(std::vector<std::string>{longest}, key)) ==
        std::vector<Identifier>{Identifier::dns(longest)});
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("host" + std::to_string(i) + ".example.com");
  const auto identifiers = csr_identifiers(build_csr(names, key));
  REQUIRE(identifiers.size() == 100);
  CHECK(identifiers[99] == Identifier::dns("host99.example.com"));
}

TEST_CASE("must-staple asks for the TLS feature status_request") {
  CsrOptions options;
  options.must_staple = true;
  const Bytes der = build_csr({"example.com"}, PrivateKey::generate(), options);
  CHECK(contains(as_openssl_sees(der), "status_request"));
  const crypto::Csr csr = crypto::parse_csr(der);
  REQUIRE(csr.extensions.size() == 2);
  CHECK(csr.extensions[1].oid == "1.3.6.1.5.5.7.1.24");
  CHECK(base::hex_encode(csr.extensions[1].value) == "3003020105");
}

TEST_CASE("names may be given in every form") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  const Bytes expected =
      build_csr(std::vector<Identifier>{Identifier::dns("a.example"), Identifier::dns("b.example")}, key);
  CHECK(build_csr({"a.example", "b.example"}, key) == expected);
  CHECK(build_csr({std::string("a.example"), std::string("b.example")}, key) == expected);
  CHECK(build_csr({Identifier::dns("a.example"), Identifier::dns("b.example")}, key) == expected);
  CHECK(build_csr(std::vector<std::string>{"a.example", "b.example"}, key) == expected);
}

TEST_CASE("names are written in their canonical form") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  const auto identifiers =
      csr_identifiers(build_csr(std::vector<Identifier>{{"dns", "EXAMPLE.com."}, {"ip", "2001:DB8:0::1"}}, key));
  CHECK(identifiers == std::vector<Identifier>{{"dns", "example.com"}, {"ip", "2001:db8::1"}});
}

TEST_CASE("IP addresses are iPAddress octets") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  const auto san = [&](const std::string& ip) {
    return base::hex_encode(crypto::parse_csr(build_csr(std::vector<std::string>{ip}, key)).extensions.at(0).value);
  };
  CHECK(san("192.0.2.53") == "30068704c0000235");
  CHECK(san("2001:db8::1") == "3012871020010db8000000000000000000000001");
  CHECK(san("2001:db8:0:0:1:0:0:1") == "3012871020010db8000000000001000000000001");
}

TEST_CASE("a request for nothing, or for what cannot be, is an error") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  CHECK(contains(thrown_by([&] { return build_csr(std::vector<std::string>{}, key); }), "invalid_argument"));
  CHECK(contains(thrown_by([&] { return build_csr(std::vector<Identifier>{}, key); }), "at least one DNS name"));
  CHECK(
      contains(thrown_by([&] { return build_csr(std::vector<std::string>{"not a name"}, key); }), "invalid_argument"));
  CHECK(contains(thrown_by([&] { return build_csr(std::vector<std::string>{""}, key); }), "invalid_argument"));
  CHECK(contains(thrown_by([&] {
                   return build_csr(std::vector<Identifier>{{"ip", "1.2.3"}}, key);
                 }),
                 "is not an IP address"));
  CHECK(contains(thrown_by([&] {
                   return build_csr(std::vector<Identifier>{{"email", "a@b.c"}}, key);
                 }),
                 "\"email\" cannot be in"));
}

TEST_CASE("a request with a subject only: the openssl program reads it, for every key type") {
  CsrSubject subject;
  subject.country = "DE";
  subject.state = "Baden-Württemberg";
  subject.locality = "Tübingen";
  subject.organization = "Example, Inc.";
  subject.organizational_unit = "Unit 7";
  subject.common_name = "device 4711";
  subject.email_address = "ops@example.com";
  for (const std::string type : {"ec:P-256", "ec:P-384", "ec:P-521", "rsa:2048", "ed25519", "ed448"}) {
    CAPTURE(type);
    const PrivateKey key = PrivateKey::generate(type);
    const Bytes csr = build_subject_only_csr(subject, key);
    CHECK(crypto::parse_csr(csr).public_key_der == key.public_key_der());
    const culmen::test::TemporaryFile file(der_to_pem(csr, "CERTIFICATE REQUEST"));
    const auto run = run_program("openssl req -noout -verify -text -nameopt sep_comma_plus,utf8 -in " + file.path());
    CHECK(run.status == 0);
    CHECK(contains(run.output, "verify OK"));
    CHECK(contains(run.output,
                   "Subject: C=DE,ST=Baden-Württemberg,L=Tübingen,O=Example, Inc.,OU=Unit 7,CN=device 4711,"
                   "emailAddress=ops@example.com"));
    CHECK(crypto::parse_csr(csr).extensions.empty());
  }
  CHECK(csr_identifiers(build_subject_only_csr(subject, PrivateKey::generate("ed25519"))).empty());
}

TEST_CASE("a request with a subject only: what is empty is left out, and all of it may not be") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  CHECK(CsrSubject().empty());
  CHECK(contains(thrown_by([&] { return build_subject_only_csr(CsrSubject(), key); }),
                 "invalid_argument: building a CSR: the subject is empty"));
  std::string CsrSubject::*const members[] = {&CsrSubject::country,
                                              &CsrSubject::state,
                                              &CsrSubject::locality,
                                              &CsrSubject::organization,
                                              &CsrSubject::organizational_unit,
                                              &CsrSubject::common_name,
                                              &CsrSubject::email_address};
  const std::string names[] = {"C=XY", "ST=XY", "L=XY", "O=XY", "OU=XY", "CN=XY", "emailAddress=XY"};
  for (std::size_t i = 0; i < std::size(members); ++i) {
    CsrSubject subject;
    subject.*members[i] = "XY";
    CHECK_FALSE(subject.empty());
    CHECK(contains(as_openssl_sees(build_subject_only_csr(subject, key)), "Subject: " + names[i] + "\n"));
  }
}

TEST_CASE("a request with a subject only: the bounds of RFC 5280, counted in characters") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  const auto outcome = [&](std::string CsrSubject::*member, std::string value) {
    CsrSubject subject;
    subject.*member = std::move(value);
    return thrown_by([&] { return build_subject_only_csr(subject, key); });
  };
  const auto umlauts = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "ü";
    return text;
  };
  const std::string fine = "(nothing thrown)";
  struct Row {
    std::string CsrSubject::*member;
    std::string what;
    int longest;
  };
  for (const Row& row : {Row{&CsrSubject::state, "state", 128}, Row{&CsrSubject::locality, "locality", 128},
                         Row{&CsrSubject::organization, "organization", 64},
                         Row{&CsrSubject::organizational_unit, "organizational unit", 64},
                         Row{&CsrSubject::common_name, "common name", 64}}) {
    CHECK(outcome(row.member, umlauts(row.longest)) == fine);
    const std::string refused = outcome(row.member, umlauts(row.longest + 1));
    CHECK(contains(refused, "invalid_argument: building a CSR: the subject's " + row.what));
    CHECK(contains(refused, std::to_string(row.longest + 1) + " characters"));
  }
  CHECK(outcome(&CsrSubject::email_address, std::string(255, 'a')) == fine);
  CHECK(contains(outcome(&CsrSubject::email_address, std::string(256, 'a')), "256 characters"));
  CHECK(contains(outcome(&CsrSubject::email_address, "ü@example.com"), "ASCII"));
  CHECK(contains(outcome(&CsrSubject::country, "DEU"), "two letters"));
  CHECK(contains(outcome(&CsrSubject::country, "1a"), "two letters"));
  CHECK(contains(outcome(&CsrSubject::common_name, "\xff\xfe"), "not UTF-8"));
  CHECK(contains(outcome(&CsrSubject::common_name, "\xed\xa0\x80"), "not UTF-8"));
  CHECK(contains(outcome(&CsrSubject::common_name, std::string("a\0b", 3)), "control character"));
  CHECK(contains(outcome(&CsrSubject::common_name, std::string(5000, 'a')), "far too long"));
}

TEST_CASE("telephone numbers stand in an extension of their own, not in subjectAltName") {
  const PrivateKey key = PrivateKey::generate();
  const Bytes list = *base::hex_decode("3008a006160431323334");
  const Identifier numbers = Identifier::tn_auth_list(list);
  const Bytes alone = build_csr({numbers}, key);
  as_openssl_sees(alone);
  crypto::Csr csr = crypto::parse_csr(alone);
  REQUIRE(csr.extensions.size() == 1);
  CHECK(csr.extensions[0].oid == "1.3.6.1.5.5.7.1.26");
  CHECK(csr.extensions[0].value == list);
  CHECK_FALSE(csr.extensions[0].critical);
  CHECK(csr.san.empty());
  CHECK(csr.common_name.empty());
  CHECK(csr_identifiers(alone) == std::vector<Identifier>{numbers});

  CsrOptions options;
  options.jwt_claim_constraints = *base::hex_decode("3009a00730051603736873");
  const Bytes mixed = build_csr({numbers, Identifier::dns("a.example"), Identifier::ip("192.0.2.1")}, key, options);
  as_openssl_sees(mixed);
  csr = crypto::parse_csr(mixed);
  CHECK(csr.san == std::vector<Identifier>{Identifier::dns("a.example"), Identifier::ip("192.0.2.1")});
  REQUIRE(csr.extensions.size() == 3);
  CHECK(csr.extensions[2].oid == "1.3.6.1.5.5.7.1.27");
  CHECK(csr.extensions[2].value == options.jwt_claim_constraints);
  CHECK(csr_identifiers(mixed) ==
        std::vector<Identifier>{Identifier::dns("a.example"), Identifier::ip("192.0.2.1"), numbers});

  // In a certificate they are found again.
  crypto::CertificateTemplate what;
  what.identifiers = csr.san;
  what.public_key_der = key.public_key_der();
  what.extensions.push_back(csr.extensions[1]);
  what.not_after = std::chrono::system_clock::now();
  const Certificate certificate = Certificate::from_der(crypto::sign_certificate(what, key));
  CHECK(certificate.identifiers ==
        std::vector<Identifier>{Identifier::dns("a.example"), Identifier::ip("192.0.2.1"), numbers});
}

TEST_CASE("telephone numbers that cannot be in a request") {
  const PrivateKey key = PrivateKey::generate("ed25519");
  const auto refused = [&](const std::vector<Identifier>& identifiers, const std::string& constraints = "") {
    CsrOptions options;
    options.jwt_claim_constraints = *base::hex_decode(constraints);
    return thrown_by([&] { return build_csr(identifiers, key, options); });
  };
  const Identifier one("TNAuthList", "MAigBhYEMTIzNA"), two("TNAuthList", "MAigBhYEMTIzNQ");
  CHECK(contains(refused({one, two}), "invalid_argument: building a CSR: there are two TNAuthLists"));
  CHECK(contains(refused({Identifier("TNAuthList", "MAig=")}), "is not base64url"));
  CHECK(contains(refused({Identifier("TNAuthList", "MAA")}), "TNAuthorizationList"));
  CHECK(contains(refused({one}, "3000"), "JWTClaimConstraints"));
  CHECK(contains(refused({one}, "310302010a"), "JWTClaimConstraints"));
  CHECK(contains(refused({one}, "300302010a00"), "JWTClaimConstraints"));
  CHECK(contains(refused({one}, "3003"), "JWTClaimConstraints"));
  CHECK(refused({one}, "300302010a") == "(nothing thrown)");
}

TEST_CASE("a request with attributes and an empty subject is read") {
  const auto der = base::base64url_decode(onion_csr);
  REQUIRE(der);
  const crypto::Csr csr = crypto::parse_csr(*der);
  CHECK(csr.signature_ok);
  CHECK(csr.key_type == "ed25519");
  CHECK(csr.common_name.empty());
  CHECK(csr.san.empty());
  REQUIRE(csr.attributes.size() == 2);
  CHECK(csr.attributes[0].oid == "2.23.140.42");
  CHECK(base::hex_encode(csr.attributes[0].value) == "040aa0a1a2a3a4a5a6a7a8a9");
  CHECK(csr.attributes[1].oid == "2.23.140.41");
  CHECK(base::hex_encode(csr.attributes[1].value) == "0410000102030405060708090a0b0c0d0e0f");
  CHECK(csr_identifiers(*der).empty());
}

TEST_CASE("a request that was changed does not verify") {
  Bytes der = build_csr({"example.com"}, PrivateKey::generate("ed25519"));
  der.back() ^= 1;
  CHECK_FALSE(crypto::parse_csr(der).signature_ok);
}

TEST_CASE("what is no request is refused, wherever it is cut") {
  const Bytes der = build_csr({"example.com"}, PrivateKey::generate());
  for (std::size_t length = 0; length < der.size(); ++length) {
    const Bytes cut(der.begin(), der.begin() + static_cast<std::ptrdiff_t>(length));
    CHECK(contains(thrown_by([&] { return crypto::parse_csr(cut); }), "crypto_failed"));
  }
  Bytes more = der;
  more.push_back(0);
  CHECK(contains(thrown_by([&] { return crypto::parse_csr(more); }), "after its end"));
}

TEST_CASE("names of requests made elsewhere are read, the CN among them") {
  const auto made = [](const std::string& arguments) {
    const auto run =
        run_program("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null " +
                    arguments + " 2>/dev/null");
    const auto blocks = pem_to_der(run.output);
    REQUIRE(blocks.size() == 1);
    return blocks[0];
  };
  CHECK(csr_identifiers(made("-subj /CN=OLD.example")) == std::vector<Identifier>{{"dns", "old.example"}});
  CHECK(csr_identifiers(made("-subj '/CN=Not A Name'")).empty());
  const Bytes mixed = made("-subj /CN=b.example -addext subjectAltName=DNS:A.example,email:x@y.test,IP:192.0.2.7");
  CHECK(csr_identifiers(mixed) ==
        std::vector<Identifier>{{"dns", "a.example"}, {"ip", "192.0.2.7"}, {"dns", "b.example"}});
  CHECK(crypto::parse_csr(mixed).other_names);
}
