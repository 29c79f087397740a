// tls-alpn-01 and IP addresses: what the CA demands, and both challenges end to end.
#include <doctest/doctest.h>

#include <string>

#include "base/hex.hpp"
#include "crypto/alpn_certificate.hpp"
#include "crypto/ca.hpp"
#include "support/text.hpp"
#include "testca/validation.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using testca::fault_of_alpn_certificate;
using testca::ValidationJob;

namespace {

ValidationJob job(const std::string& type, const std::string& value) {
  return ValidationJob("tls-alpn-01", Identifier(type, value), "token", "token.thumbprint");
}

/// A certificate as it should be, for a test to spoil.
struct Draft {
  explicit Draft(std::vector<Identifier> identifiers) {
    what.common_name = "x";
    what.identifiers = std::move(identifiers);
    what.public_key_der = key.public_key_der();
    what.not_before = std::chrono::system_clock::now() - 1h;
    what.not_after = what.not_before + 2h;
    what.bare = true;
    what.extensions.push_back(crypto::acme_identifier_extension("token.thumbprint"));
  }
  std::string fault(const ValidationJob& at_hand) const {
    return fault_of_alpn_certificate(crypto::sign_certificate(what, key), at_hand);
  }
  PrivateKey key = PrivateKey::generate("ec:P-256");
  crypto::CertificateTemplate what;
};

}  // namespace

TEST_CASE("tls-alpn-01: a certificate as it should be") {
  CHECK(Draft({Identifier::dns("a.example")}).fault(job("dns", "a.example")) == "");
  CHECK(Draft({Identifier::ip("192.0.2.1")}).fault(job("ip", "192.0.2.1")) == "");
  CHECK(Draft({Identifier::ip("2001:db8::1")}).fault(job("ip", "2001:db8::1")) == "");
  const std::string label(60, 'k');  // lengths past 127, and lengths that read as letters
  for (const std::string& name :
       {label + "." + label + "." + label + ".example", std::string(65, 'k').insert(30, ".")}) {
    CAPTURE(name);
    CHECK(Draft({Identifier::dns(name)}).fault(job("dns", name)) == "");
  }
  Draft with_more({Identifier::dns("a.example")});
  with_more.what.bare = false;  // "other extensions allowed"
  CHECK(with_more.fault(job("dns", "a.example")) == "");
  CHECK(fault_of_alpn_certificate(crypto::alpn_certificate(Identifier::dns("a.example"), "token.thumbprint",
                                                           with_more.key, std::chrono::system_clock::now()),
                                  job("dns", "a.example")) == "");
}

TEST_CASE("tls-alpn-01: names that are not the one asked for") {
  const auto fault = [](std::vector<Identifier> identifiers, const ValidationJob& at_hand) {
    return Draft(std::move(identifiers)).fault(at_hand);
  };
  const ValidationJob dns = job("dns", "a.example");
  CHECK(contains(fault({Identifier::dns("b.example")}, dns), "subjectAltName is not a.example"));
  CHECK(contains(fault({Identifier::dns("a.example"), Identifier::dns("b.example")}, dns), "nothing else"));
  CHECK(contains(fault({Identifier::dns("a.example"), Identifier::dns("a.example")}, dns), "nothing else"));
  CHECK(contains(fault({Identifier::ip("192.0.2.1")}, dns), "dNSName"));
  CHECK(contains(fault({}, dns), "no subjectAltName"));
  CHECK(contains(fault({Identifier::ip("192.0.2.2")}, job("ip", "192.0.2.1")), "iPAddress"));
  CHECK(contains(fault({Identifier::ip("::ffff:192.0.2.1")}, job("ip", "192.0.2.1")), "iPAddress"));
}

TEST_CASE("tls-alpn-01: proof that is missing, of another challenge, not critical, twice, or of another form") {
  const ValidationJob at_hand = job("dns", "a.example");
  const auto fault = [&](std::vector<crypto::OidValue> extensions) {
    Draft draft({Identifier::dns("a.example")});
    draft.what.extensions = std::move(extensions);
    return draft.fault(at_hand);
  };
  const crypto::OidValue good = crypto::acme_identifier_extension("token.thumbprint");
  CHECK(contains(fault({}), "no acmeIdentifier"));
  CHECK(contains(fault({crypto::acme_identifier_extension("token.other")}), "not the SHA-256"));
  CHECK(contains(fault({crypto::OidValue(good.oid, good.value, false)}), "not critical"));
  CHECK(contains(fault({good, good}), "twice"));
  CHECK(contains(fault({crypto::OidValue(good.oid, Bytes(good.value.begin() + 2, good.value.end()), true)}),
                 "not the SHA"));
  Bytes longer = good.value;
  longer.push_back(0);
  CHECK(contains(fault({crypto::OidValue(good.oid, longer, true)}), "not the SHA-256"));
  CHECK(contains(fault({crypto::OidValue("1.3.6.1.5.5.7.1.30.1", good.value, true)}), "no acmeIdentifier"));
}

TEST_CASE("tls-alpn-01: a certificate that is not self-signed, and none at all") {
  Draft draft({Identifier::dns("a.example")});
  const PrivateKey other = PrivateKey::generate("ec:P-256");
  crypto::CertificateTemplate root;
  root.common_name = "root";
  root.public_key_der = other.public_key_der();
  root.not_before = draft.what.not_before;
  root.not_after = draft.what.not_after;
  root.is_ca = true;
  const Bytes root_der = crypto::sign_certificate(root, other);
  const Bytes issued = crypto::sign_certificate(draft.what, other, root_der);
  CHECK(contains(fault_of_alpn_certificate(issued, job("dns", "a.example")), "not self-signed"));
  const Bytes forged = crypto::sign_certificate(draft.what, other);  // says it signs itself, with another's key
  CHECK(contains(fault_of_alpn_certificate(forged, job("dns", "a.example")), "not self-signed"));
  CHECK(contains(fault_of_alpn_certificate({}, job("dns", "a.example")), "cannot be read"));
}
