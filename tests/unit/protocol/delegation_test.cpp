// Delegation on the wire, and CSRs that follow a template (RFC 9115).
#include "protocol/delegation.hpp"

#include <doctest/doctest.h>

#include "crypto/ca.hpp"
#include "culmen/error.hpp"
#include "protocol/account.hpp"
#include "protocol/order.hpp"
#include "protocol/star.hpp"
#include "support/errors.hpp"
#include "unit/protocol/present.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using Kind = TemplateValue::Kind;

namespace {

// RFC 9115 §4.2.
const std::string rfc_template = R"({
  "keyTypes": [
    {"PublicKeyType": "rsaEncryption", "PublicKeyLength": 2048, "SignatureType": "sha256WithRSAEncryption"},
    {"PublicKeyType": "id-ecPublicKey", "namedCurve": "secp256r1", "SignatureType": "ecdsa-with-SHA256"}
  ],
  "subject": {"country": "CA", "stateOrProvince": "**", "locality": "**"},
  "extensions": {
    "subjectAltName": {"DNS": ["abc.ido.example"]},
    "keyUsage": ["digitalSignature"],
    "extendedKeyUsage": ["serverAuth", "clientAuth"]
  }
})";

HttpResponse response(std::string body) {
  HttpResponse made;
  made.status = 200;
  made.url = "https://ido.test/acme/thing";
  made.body = std::move(body);
  return made;
}

CsrTemplate with(const std::string& extensions, const std::string& more = "") {
  return CsrTemplate::from_json("{" + more + "\"extensions\":" + extensions + "}");
}

CsrSubject chosen() {
  CsrSubject subject;
  subject.state = "Quebec";
  subject.locality = "Montreal";
  return subject;
}

const PrivateKey& ec_key() {
  static const PrivateKey key = PrivateKey::generate("ec:P-256");
  return key;
}

std::vector<Identifier> dns(const std::vector<std::string>& names) {
  std::vector<Identifier> identifiers;
  for (const std::string& name : names) identifiers.push_back(Identifier::dns(name));
  return identifiers;
}

std::string refusal(const CsrTemplate& csr_template, const std::vector<Identifier>& identifiers,
                    const CsrSubject& subject = {}, const PrivateKey& key = ec_key()) {
  return thrown_by([&] { return build_delegated_csr(csr_template, identifiers, key, subject); });
}

const std::string fine = "(nothing thrown)";

}  // namespace

TEST_CASE("delegation: the template of RFC 9115 is read") {
  const CsrTemplate read = CsrTemplate::from_json(rfc_template);
  REQUIRE(read.key_types.size() == 2);
  CHECK(read.key_types[0].key_type() == "rsa:2048");
  CHECK(read.key_types[0].signature_type == "sha256WithRSAEncryption");
  CHECK(read.key_types[1].key_type() == "ec:P-256");
  CHECK(read.country.kind == Kind::literal);
  CHECK(read.country.text == "CA");
  CHECK(read.state.kind == Kind::mandatory);
  CHECK(read.locality.kind == Kind::mandatory);
  CHECK(read.common_name.kind == Kind::absent);
  CHECK(read.key_usage == std::vector<std::string>{"digitalSignature"});
  CHECK(read.extended_key_usage == std::vector<std::string>{"serverAuth", "clientAuth"});
  REQUIRE(read.dns.size() == 1);
  CHECK(read.dns[0].kind == Kind::literal);
  CHECK(read.dns[0].text == "abc.ido.example");
  CHECK(read.not_understood.empty());
  CHECK(read.json == rfc_template);
}

TEST_CASE("delegation: both ways to leave a value to us") {
  const CsrTemplate read = CsrTemplate::from_json(
      R"({"subject":{"country":"**","stateOrProvince":{},"locality":"*","organization":null,"organizationalUnit":"***",
          "commonName":"*.x","emailAddress":"a@b"},
          "extensions":{"subjectAltName":{"DNS":["**","*",{},null,"*.a.example"],"Email":["e@x"],"URI":["u:x"]},
          "keyUsage":null}})");
  CHECK(read.country.kind == Kind::mandatory);
  CHECK(read.state.kind == Kind::mandatory);
  CHECK(read.locality.kind == Kind::optional);
  CHECK(read.organization.kind == Kind::optional);
  CHECK(read.organizational_unit.text == "***");
  CHECK(read.common_name.text == "*.x");
  CHECK(read.email_address.text == "a@b");
  REQUIRE(read.dns.size() == 5);
  CHECK(read.dns[0].kind == Kind::mandatory);
  CHECK(read.dns[1].kind == Kind::optional);
  CHECK(read.dns[2].kind == Kind::mandatory);
  CHECK(read.dns[3].kind == Kind::optional);
  CHECK(read.dns[4].text == "*.a.example");
  CHECK(read.emails.at(0).text == "e@x");
  CHECK(read.uris.at(0).text == "u:x");
  CHECK(read.key_usage.empty());
  CHECK(read.not_understood.empty());
}

TEST_CASE("delegation: key types and curves by culmen's names") {
  const auto named = [](const std::string& type, std::int64_t bits, const std::string& curve) {
    TemplateKeyType read;
    read.public_key_type = type;
    read.key_length = bits;
    read.named_curve = curve;
    return read.key_type();
  };
  CHECK(named("rsaEncryption", 3072, "") == "rsa:3072");
  CHECK(named("rsaEncryption", 0, "") == "");
  CHECK(named("id-ecPublicKey", 0, "secp384r1") == "ec:P-384");
  CHECK(named("id-ecPublicKey", 0, "secp521r1") == "ec:P-521");
  CHECK(named("id-ecPublicKey", 0, "secp256k1") == "");
  CHECK(named("id-Ed25519", 0, "secp256r1") == "");
}

TEST_CASE("delegation: what is strange in a template is kept apart, what is too large is refused") {
  const CsrTemplate read = CsrTemplate::from_json(
      R"({"version":7,"keyTypes":[7,{"PublicKeyType":[]}],"subject":{"serialNumber":"**","title":"*","country":5},
          "extensions":{"keyUsage":["flying","digitalSignature",null,7],"extendedKeyUsage":"**","foo":["x"],"bar":null,
          "subjectAltName":{"DNS":["",{"a":1}],"IP":["192.0.2.1"],"Email":{}}}})");
  CHECK(read.not_understood ==
        std::vector<std::string>{"subject.serialNumber", "subject.country", "extensions.keyUsage.flying",
                                 "extensions.keyUsage", "extensions.extendedKeyUsage", "extensions.subjectAltName.DNS",
                                 "extensions.subjectAltName.DNS", "extensions.subjectAltName.Email",
                                 "extensions.subjectAltName.IP", "extensions.foo"});
  CHECK(read.key_types.size() == 2);
  CHECK(read.key_usage == std::vector<std::string>{"digitalSignature"});
  CHECK(contains(refusal(read, dns({"a.example"})),
                 "the template's subject.serialNumber is something that culmen cannot put into a CSR"));
  CHECK(CsrTemplate::from_json(R"({"subject":7,"extensions":[],"keyTypes":{}})").not_understood.size() == 3);
  CHECK(CsrTemplate::from_json("{}").not_understood.empty());

  const auto failure = [](const std::string& text) { return thrown_by([&] { return CsrTemplate::from_json(text); }); };
  CHECK(contains(failure("[]"), "bad_response"));
  CHECK(contains(failure("{"), "bad_response: reading a CSR template"));
  CHECK(contains(failure("{\"x\":\"" + std::string(70000, 'x') + "\"}"), "larger than in any template"));
  CHECK(contains(failure(R"({"subject":{"country":")" + std::string(1025, 'x') + "\"}}"), "\"subject.country\""));
  std::string many = "\"a\"";
  for (int i = 0; i < 100; ++i) many += ",\"a\"";
  CHECK(contains(failure(R"({"extensions":{"subjectAltName":{"DNS":[)" + many + "]}}}"), "subjectAltName.DNS"));
  std::string strange;
  for (int i = 0; i < 101; ++i) strange += (i ? ",\"m" : "\"m") + std::to_string(i) + "\":7";
  CHECK(contains(failure("{\"subject\":{" + strange + "}}"), "bad_response"));
}

TEST_CASE("delegation: lists, delegations and accounts are read") {
  const auto page =
      protocol::parse_delegations_page(response(R"({"delegations":["/acme/delegation/1","https://x.test/2",7]})"));
  REQUIRE(page.has_value());
  CHECK(*page == std::vector<std::string>{"https://ido.test/acme/delegation/1", "https://x.test/2"});
  CHECK(protocol::parse_delegations_page(response("{}"))->empty());
  CHECK_FALSE(protocol::parse_delegations_page(response("[]")).has_value());
  std::string many = "\"a\"";
  for (int i = 0; i < 1000; ++i) many += ",\"a\"";
  CHECK_FALSE(protocol::parse_delegations_page(response("{\"delegations\":[" + many + "]}")).has_value());

  const auto read =
      protocol::parse_delegation(response("{\"csr-template\":" + rfc_template +
                                          R"(,"cname-map":{"abc.ido.example.":"abc.ndc.example.","bad":7}})"),
                                 "https://ido.test/acme/delegation/1");
  REQUIRE(read.has_value());
  CHECK(read->url == "https://ido.test/acme/delegation/1");
  CHECK(read->csr_template.dns.at(0).text == "abc.ido.example");
  CHECK(contains(read->csr_template.json, "\"keyTypes\""));
  CHECK(read->cname_map == std::map<std::string, std::string>{{"abc.ido.example.", "abc.ndc.example."}});
  CHECK(protocol::parse_delegation(response("{}"), "u").error().code() == Errc::bad_response);
  CHECK(protocol::parse_delegation(response("7"), "u").error().code() == Errc::bad_response);
  CHECK(protocol::parse_delegation(
            response(R"({"csr-template":{"subject":{"country":")" + std::string(1025, 'x') + "\"}}}"), "u")
            .error()
            .code() == Errc::bad_response);
  std::string names = "\"a\":\"b\"";
  for (int i = 0; i < 1000; ++i) names += ",\"" + std::to_string(i) + "\":\"b\"";
  CHECK_FALSE(
      protocol::parse_delegation(response("{\"csr-template\":{},\"cname-map\":{" + names + "}}"), "u").has_value());

  const Account known("https://ido.test/acct/1", AccountKey::generate());
  CHECK(protocol::parse_account(response(R"({"status":"valid","delegations":"/acct/1/d"})"), known, "x")->delegations ==
        "https://ido.test/acct/1/d");
}

TEST_CASE("delegation: orders say what they are for") {
  OrderRequest request(dns({"abc.ido.example"}));
  CHECK(protocol::new_order_payload(request) == R"({"identifiers":[{"type":"dns","value":"abc.ido.example"}]})");
  request.delegation = "https://ido.test/d/1";
  request.allow_certificate_get = true;
  CHECK(
      protocol::new_order_payload(request) ==
      R"({"identifiers":[{"type":"dns","value":"abc.ido.example"}],"delegation":"https://ido.test/d/1","allow-certificate-get":true})");
  const auto order = protocol::parse_order(
      response(R"({"status":"ready","authorizations":[],"delegation":"/d/1","allow-certificate-get":true})"), "u",
      "reading", {});
  REQUIRE(order.has_value());
  CHECK(order->delegation == "https://ido.test/d/1");
  CHECK(order->allow_certificate_get);
  CHECK_FALSE(protocol::parse_order(response(R"({"status":"ready"})"), "u", "reading", {})->allow_certificate_get);

  CHECK(protocol::parse_order(response(R"({"auto-renewal":{"allow-certificate-get":true}})"), "u", "reading", {})
            ->allow_certificate_get);

  // In a STAR order it is asked for, and granted, with the renewal.
  StarOrderParams params(dns({"abc.ido.example"}), "2027-02-01T00:00:00Z", 259200s);
  params.delegation = request.delegation;
  params.allow_certificate_get = true;
  CHECK(protocol::star_order_payload(params) ==
        R"({"identifiers":[{"type":"dns","value":"abc.ido.example"}],"delegation":"https://ido.test/d/1",)"
        R"("auto-renewal":{"end-date":"2027-02-01T00:00:00Z","lifetime":259200,"allow-certificate-get":true}})");
  const auto star = protocol::parse_star_order(
      response(R"({"status":"ready","delegation":"/d/1","auto-renewal":{"allow-certificate-get":true}})"), "u", {});
  REQUIRE(star.has_value());
  CHECK(star->delegation == "https://ido.test/d/1");
  CHECK(star->allow_certificate_get);
}

TEST_CASE("delegation: what the server does not offer is found before anything is sent") {
  DirectoryMeta meta;
  const auto outcome = [&](const std::string& delegation, bool get) {
    const Result<void> checked = protocol::check_delegation(delegation, get, meta, "ordering");
    return checked ? std::string("fine") : std::string(to_string(checked.error().code()));
  };
  CHECK(outcome("", false) == "fine");
  CHECK(outcome("", true) == "not_offered");
  CHECK(outcome("u", true) == "not_offered");
  meta.delegation_enabled = true;
  CHECK(outcome("u", true) == "fine");
  CHECK(outcome("u", false) == "invalid_argument");
  CHECK(outcome("", true) == "not_offered");
  meta.allow_certificate_get = true;
  CHECK(outcome("", true) == "fine");

  // The limits for STAR are those of another CA, when the names' owner does not repeat them.
  Directory directory;
  StarOrderParams params(dns({"a.example"}), "2027-02-01T00:00:00Z", 259200s);
  params.delegation = "u";
  params.allow_certificate_get = true;
  CHECK(protocol::check_star_order(params, directory, present).error().code() == Errc::not_offered);
  directory.meta.delegation_enabled = true;
  CHECK(protocol::check_star_order(params, directory, present).has_value());
  params.allow_certificate_get = false;
  CHECK(protocol::check_star_order(params, directory, present).error().code() == Errc::invalid_argument);
  params.allow_certificate_get = true;
  directory.meta.auto_renewal.emplace();
  CHECK(protocol::check_star_order(params, directory, present).has_value());
  directory.meta.auto_renewal->min_lifetime = 400000s;
  CHECK(protocol::check_star_order(params, directory, present).error().code() == Errc::invalid_argument);
}

TEST_CASE("delegation: a CSR that follows the template of RFC 9115") {
  const CsrTemplate wanted = CsrTemplate::from_json(rfc_template);
  const Bytes der = build_delegated_csr(wanted, dns({"ABC.ido.example"}), ec_key(), chosen());
  const crypto::Csr csr = crypto::parse_csr(der);
  CHECK(csr.signature_ok);
  CHECK(csr.public_key_der == ec_key().public_key_der());
  using Values = std::vector<std::pair<std::string, std::string>>;
  CHECK(csr.subject == Values{{"2.5.4.6", "CA"}, {"2.5.4.8", "Quebec"}, {"2.5.4.7", "Montreal"}});
  CHECK(csr.san == dns({"abc.ido.example"}));
  REQUIRE(csr.extensions.size() == 3);
  CHECK(csr.extensions[1].oid == "2.5.29.15");
  CHECK(csr.extensions[1].value == Bytes{0x03, 0x02, 0x07, 0x80});
  CHECK(csr.extensions[2].oid == "2.5.29.37");
  CHECK(csr.extensions[2].value.size() == 22);
}

TEST_CASE("delegation: the key and how it signs are the template's affair") {
  const auto offering = [](const std::string& types) {
    return with(R"({"subjectAltName":{"DNS":["a.example"]}})", "\"keyTypes\":[" + types + "],");
  };
  const std::string p384 =
      R"({"PublicKeyType":"id-ecPublicKey","namedCurve":"secp384r1","SignatureType":"ecdsa-with-SHA384"})";
  const std::string pss =
      R"({"PublicKeyType":"rsaEncryption","PublicKeyLength":2048,"SignatureType":"sha384WithRSAandMGF1"})";
  const std::string future =
      R"({"PublicKeyType":"id-ecPublicKey","namedCurve":"secp256r1","SignatureType":"ecdsa-with-SHA3"})";
  const std::string mixed =
      R"({"PublicKeyType":"id-ecPublicKey","namedCurve":"secp256r1","SignatureType":"sha256WithRSAEncryption"})";
  const std::string said = refusal(offering(p384 + "," + pss), dns({"a.example"}));
  CHECK(contains(said, "invalid_argument"));
  CHECK(contains(said, "keyTypes wants ec:P-384 (ecdsa-with-SHA384), rsa:2048 (sha384WithRSAandMGF1)"));
  CHECK(contains(said, "the key is of the type ec:P-256"));
  CHECK(contains(refusal(offering(future), dns({"a.example"})), "keyTypes"));
  CHECK(contains(refusal(offering(mixed), dns({"a.example"})), "keyTypes"));
  CHECK(contains(refusal(offering("7"), dns({"a.example"})), "keyTypes"));
  CHECK(refusal(offering(""), dns({"a.example"})) == fine);

  const PrivateKey rsa = PrivateKey::generate("rsa:2048");
  const crypto::Csr csr = crypto::parse_csr(build_delegated_csr(offering(p384 + "," + pss), dns({"a.example"}), rsa));
  CHECK(csr.signature_ok);
  CHECK(csr.signature_algorithm.size() == 67);  // RSASSA-PSS, with its parameters
  CHECK(contains(refusal(offering(pss), dns({"a.example"}), {}, PrivateKey::generate("rsa:3072")), "rsa:3072"));
}

TEST_CASE("delegation: the subject is the template's, and ours where it says so") {
  const std::string names = R"({"subjectAltName":{"DNS":["a.example"]}})";
  const CsrTemplate wanted = with(names, R"("subject":{"country":"CA","locality":"**","organization":"*"},)");
  CsrSubject subject;
  CHECK(contains(refusal(wanted, dns({"a.example"}), subject), "subject.locality is mandatory"));
  subject.locality = "Montreal";
  CHECK(refusal(wanted, dns({"a.example"}), subject) == fine);
  subject.country = "DE";
  CHECK(contains(refusal(wanted, dns({"a.example"}), subject), "subject.country is \"CA\", not \"DE\""));
  subject.country = "CA";
  subject.organization = "Example";
  CHECK(crypto::parse_csr(build_delegated_csr(wanted, dns({"a.example"}), ec_key(), subject)).subject.size() == 3);

  struct Row {
    std::string CsrSubject::*value;
    std::string path;
  };
  for (const Row& row :
       {Row{&CsrSubject::country, "country"}, Row{&CsrSubject::state, "stateOrProvince"},
        Row{&CsrSubject::locality, "locality"}, Row{&CsrSubject::organization, "organization"},
        Row{&CsrSubject::organizational_unit, "organizationalUnit"}, Row{&CsrSubject::common_name, "commonName"},
        Row{&CsrSubject::email_address, "emailAddress"}}) {
    CsrSubject one;
    one.*row.value = "XY";
    CHECK(contains(refusal(with(names), dns({"a.example"}), one), "subject." + row.path + " is not there"));
    CHECK(refusal(with(names, "\"subject\":{\"" + row.path + "\":\"**\"},"), dns({"a.example"}), one) == fine);
  }
}

TEST_CASE("delegation: names are the template's, and ours where it says so") {
  const CsrTemplate fixed = with(R"({"subjectAltName":{"DNS":["a.example","b.example"]}})");
  CHECK(refusal(fixed, dns({"b.example", "a.example", "a.example"})) == fine);
  CHECK(contains(refusal(fixed, dns({"a.example"})),
                 "extensions.subjectAltName.DNS has \"b.example\", which is not among the identifiers"));
  CHECK(contains(refusal(fixed, dns({"a.example", "b.example", "c.example"})), "has no room for \"c.example\""));
  CHECK(contains(refusal(fixed, {Identifier::ip("192.0.2.1")}), "has no room for \"192.0.2.1\""));
  CHECK(contains(refusal(fixed, {Identifier("dns", "no name")}), "cannot have \"no name\""));

  const CsrTemplate open = with(R"({"subjectAltName":{"DNS":["a.example","**","*"]}})");
  CHECK(contains(refusal(open, dns({"a.example"})), "wants 1 for us to choose; there are 0"));
  CHECK(refusal(open, dns({"a.example", "b.example"})) == fine);
  const Bytes der = build_delegated_csr(open, dns({"c.example", "*.b.example", "a.example"}), ec_key());
  CHECK(crypto::parse_csr(der).san == dns({"a.example", "c.example", "*.b.example"}));
  CHECK(contains(refusal(open, dns({"a.example", "b.example", "c.example", "d.example"})), "has no room"));

  const CsrTemplate others =
      with(R"({"subjectAltName":{"DNS":["a.example"],"Email":["ops@a.example","*"],"URI":["u:x"]}})");
  crypto::Csr csr = crypto::parse_csr(build_delegated_csr(others, dns({"a.example"}), ec_key()));
  CHECK(csr.emails == std::vector<std::string>{"ops@a.example"});
  CHECK(csr.uris == std::vector<std::string>{"u:x"});
  std::vector<Identifier> more = dns({"a.example"});
  more.emplace_back("email", "me@a.example");
  csr = crypto::parse_csr(build_delegated_csr(others, more, ec_key()));
  CHECK(csr.emails == std::vector<std::string>{"ops@a.example", "me@a.example"});
  more.emplace_back("uri", "u:y");
  CHECK(contains(refusal(others, more), "extensions.subjectAltName.URI has no room for \"u:y\""));
}
