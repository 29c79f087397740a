// Delegation (RFC 9115) at the test CA, by hand.
#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/base64.hpp"
#include "base/hex.hpp"
#include "base/time.hpp"
#include "culmen/certificate.hpp"
#include "support/run_program.hpp"
#include "support/text.hpp"
#include "testca/delegation.hpp"

using namespace culmen;
using namespace culmen::testca;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

const std::string ec_keys =
    R"("keyTypes":[{"PublicKeyType":"id-ecPublicKey","namedCurve":"secp256r1","SignatureType":"ecdsa-with-SHA256"}])";

std::string template_of(const std::string& extensions, const std::string& subject = "{}") {
  return "{" + ec_keys + R"(,"subject":)" + subject + R"(,"extensions":)" + extensions + "}";
}

const std::string one_name = template_of(R"({"subjectAltName":{"DNS":["a.example"]}})");

TestCaOptions delegating() {
  TestCaOptions options;
  options.delegations.emplace_back(one_name, std::map<std::string, std::string>{{"a.example.", "a.ndc.example."}});
  options.delegations.emplace_back(template_of(R"({"subjectAltName":{"DNS":["**"]}})"));
  options.certificate_get = true;
  options.auto_renewal = true;
  return options;
}

struct DelegationBench {
  explicit DelegationBench(TestCaOptions options = delegating()) : ca(std::move(options)), caller(ca.caller()) {
    caller.register_account();
  }
  Reply order(const std::string& name, json::object more) {
    more["identifiers"] = json::array{json::object{{"type", "dns"}, {"value", name}}};
    return caller.post(caller.url("/acme/new-order"), json::serialize(more));
  }
  Reply delegated(const std::string& name, const std::string& delegation) {
    return order(name, {{"delegation", caller.url(delegation)}, {"allow-certificate-get", true}});
  }
  InProcess ca;
  AcmeCaller caller;
};

/// A request as the openssl program makes it.
Bytes made_by_openssl(const std::string& arguments, const std::string& key = "ec -pkeyopt ec_paramgen_curve:P-256") {
  const auto run =
      run_program("openssl req -new -newkey " + key + " -nodes -keyout /dev/null " + arguments + " 2>/dev/null");
  const auto blocks = pem_to_der(run.output);
  REQUIRE(blocks.size() == 1);
  return blocks[0];
}

std::string judged(const std::string& csr_template, const Bytes& csr) {
  try {
    judge_delegated_csr(json::parse(csr_template).as_object(), crypto::parse_csr(csr));
  } catch (const Refusal& refusal) {
    CHECK(refusal.problem.status == 403);
    CHECK(refusal.problem.type == "urn:ietf:params:acme:error:badCSR");
    return refusal.problem.detail;
  }
  return "good";
}

}  // namespace

TEST_CASE("delegation: what is offered, page by page") {
  TestCaOptions options = delegating();
  options.orders_per_page = 1;
  DelegationBench bench(options);
  const json::object meta = body_of(bench.caller.get("https://ca.test/directory")).at("meta").as_object();
  CHECK(meta.at("delegation-enabled") == true);
  CHECK(meta.at("allow-certificate-get") == true);
  const std::string list = text_at(body_of(bench.caller.post(bench.caller.account_url)), "delegations");
  const Reply first = bench.caller.post(list);
  CHECK(body_of(first).at("delegations") == json::array{json::value("https://ca.test/acme/delegation/1")});
  CHECK(contains(std::string(first.header("link")), "cursor=1>;rel=\"next\""));
  const Reply second = bench.caller.post(list + "?cursor=1");
  CHECK(body_of(second).at("delegations") == json::array{json::value("https://ca.test/acme/delegation/2")});
  CHECK_FALSE(contains(std::string(second.header("link")), "next"));
  CHECK(body_of(bench.caller.post(list + "?cursor=9")).at("delegations").as_array().empty());
  CHECK(problem_of(bench.caller.post(list + "?page=1")) == "malformed 404");
  CHECK(problem_of(bench.caller.post(list, "{}")) == "malformed 400");
  AcmeCaller stranger = bench.ca.caller();
  stranger.register_account();
  CHECK(problem_of(stranger.post(list)) == "unauthorized 403");

  const json::object delegation = body_of(bench.caller.post("https://ca.test/acme/delegation/1"));
  CHECK(delegation.at("csr-template") == json::parse(one_name));
  CHECK(text_at(delegation.at("cname-map").as_object(), "a.example.") == "a.ndc.example.");
  CHECK_FALSE(body_of(bench.caller.post("https://ca.test/acme/delegation/2")).contains("cname-map"));
  CHECK(problem_of(bench.caller.post("https://ca.test/acme/delegation/3")) == "malformed 404");
  CHECK(problem_of(bench.caller.post("https://ca.test/acme/delegation/1", "{}")) == "malformed 400");

  DelegationBench without((TestCaOptions()));
  CHECK_FALSE(
      body_of(without.caller.get("https://ca.test/directory")).at("meta").as_object().contains("delegation-enabled"));
  CHECK_FALSE(body_of(without.caller.post(without.caller.account_url)).contains("delegations"));
}

TEST_CASE("delegation: an order is ready at once, and its certificate is there for everybody") {
  DelegationBench bench;
  const Reply placed = bench.delegated("a.example", "/acme/delegation/1");
  REQUIRE_MESSAGE(placed.status == 201, placed.body);
  const json::object order = body_of(placed);
  CHECK(text_at(order, "status") == "ready");
  CHECK(order.at("authorizations").as_array().empty());
  CHECK(text_at(order, "delegation") == "https://ca.test/acme/delegation/1");
  CHECK(order.at("allow-certificate-get") == true);
  const PrivateKey key = PrivateKey::generate("ec:P-256");

  // The CN of the usual request is not in the template, and neither is another key.
  CHECK(problem_of(bench.caller.finalize(order, {"a.example"}, key)) == "badCSR 403");
  const auto finalized = [&](const Bytes& csr) {
    return bench.caller.post(text_at(order, "finalize"),
                             json::serialize(json::object{{"csr", base::base64url_encode(csr)}}));
  };
  CHECK(problem_of(finalized(made_by_openssl("-subj / -addext subjectAltName=DNS:b.example"))) == "badCSR 403");
  CHECK(text_at(body_of(bench.caller.post(std::string(placed.header("location")))), "status") == "ready");
  const json::object done = body_of(finalized(made_by_openssl("-subj / -addext subjectAltName=DNS:a.example")));
  CHECK(text_at(done, "status") == "valid");
  const Reply got = bench.caller.get(text_at(done, "certificate"));
  CHECK(got.status == 200);
  CHECK(Certificate::from_pem(got.body).identifiers == std::vector<Identifier>{Identifier::dns("a.example")});
  CHECK(bench.caller.post(text_at(done, "certificate")).body == got.body);
  CHECK(problem_of(bench.caller.get("https://ca.test/acme/certificate/none")) == "malformed 405");
}

TEST_CASE("delegation: the CSR is for what was ordered, too") {
  DelegationBench bench;
  const json::object order = body_of(bench.delegated("b.example", "/acme/delegation/2"));
  const Bytes csr = made_by_openssl("-subj / -addext subjectAltName=DNS:c.example");
  CHECK(problem_of(bench.caller.post(text_at(order, "finalize"),
                                     json::serialize(json::object{{"csr", base::base64url_encode(csr)}}))) ==
        "badCSR 400");
}

TEST_CASE("delegation: orders that are not to be had") {
  DelegationBench bench;
  CHECK(problem_of(bench.delegated("a.example", "/acme/delegation/7")) == "unknownDelegation 403");
  CHECK(problem_of(bench.order("a.example", {{"delegation", "https://ca.test/acme/delegation/1"}})) == "malformed 400");
  CHECK(problem_of(bench.order("a.example", {{"delegation", 1}})) == "malformed 400");
  CHECK(problem_of(bench.order("a.example", {{"allow-certificate-get", "yes"}})) == "malformed 400");

  // The CA behind the owner of the names does not do what is needed: RFC 9115 §2.3.3.
  TestCaOptions options = delegating();
  options.certificate_get = false;
  options.auto_renewal = false;
  DelegationBench other(options);
  const json::object order = body_of(other.delegated("a.example", "/acme/delegation/1"));
  CHECK(text_at(order, "status") == "invalid");
  CHECK(order.at("allow-certificate-get") == false);
  CHECK(problem_of(other.order("a.example", {{"delegation", "https://ca.test/acme/delegation/1"},
                                             {"auto-renewal", {{"allow-certificate-get", true}}}})) == "malformed 400");
}

TEST_CASE("certificates without an account: only those that were ordered so") {
  DelegationBench bench;
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  const auto url_of = [&](json::object more) {
    const json::object order = body_of(bench.order("a.example", std::move(more)));
    bench.caller.answer_challenges(order);
    return text_at(body_of(bench.caller.finalize(order, {"a.example"}, key)), "certificate");
  };
  CHECK(problem_of(bench.caller.get(url_of({}))) == "malformed 405");
  CHECK(bench.caller.get(url_of({{"allow-certificate-get", true}})).status == 200);
  DelegationBench without((TestCaOptions()));
  const json::object order = body_of(without.order("a.example", {{"allow-certificate-get", true}}));
  CHECK_FALSE(order.contains("allow-certificate-get"));
}

TEST_CASE("delegation: STAR") {
  DelegationBench bench;
  const auto end = std::chrono::floor<std::chrono::seconds>(bench.ca.server.now()) + 240h;
  json::object renewal{{"end-date", base::format_rfc3339(end)}, {"lifetime", 86400}};
  json::object asked{{"delegation", "https://ca.test/acme/delegation/1"}, {"auto-renewal", renewal}};
  CHECK(problem_of(bench.order("a.example", asked)) == "malformed 400");
  renewal["allow-certificate-get"] = true;
  asked["auto-renewal"] = renewal;
  const json::object order = body_of(bench.order("a.example", asked));
  CHECK(text_at(order, "status") == "ready");
  CHECK_FALSE(order.contains("allow-certificate-get"));
  const Bytes csr = made_by_openssl("-subj / -addext subjectAltName=DNS:a.example");
  const json::object done = body_of(bench.caller.post(
      text_at(order, "finalize"), json::serialize(json::object{{"csr", base::base64url_encode(csr)}})));
  const Reply first = bench.caller.get(text_at(done, "star-certificate"));
  REQUIRE(first.status == 200);
  bench.ca.server.advance_clock(25h);
  const Reply second = bench.caller.get(text_at(done, "star-certificate"));
  REQUIRE(second.status == 200);
  CHECK(first.body != second.body);
  CHECK(Certificate::from_pem(second.body).identifiers == std::vector<Identifier>{Identifier::dns("a.example")});

  TestCaOptions options = delegating();
  options.auto_renewal_certificate_get = false;
  DelegationBench other(options);
  CHECK(text_at(body_of(other.order("a.example", asked)), "status") == "invalid");
}

TEST_CASE("delegation: names of a CSR against a template") {
  const auto names = [](const std::string& list, const std::string& san) {
    return judged(template_of(R"({"subjectAltName":)" + list + "}"),
                  made_by_openssl("-subj / -addext subjectAltName=" + san));
  };
  CHECK(names(R"({"DNS":["a.example"]})", "DNS:a.example") == "good");
  CHECK(contains(names(R"({"DNS":["a.example"]})", "DNS:b.example"), "no DNS a.example"));
  CHECK(contains(names(R"({"DNS":["a.example"]})", "DNS:a.example,DNS:b.example"), "DNS b.example"));
  CHECK(names(R"({"DNS":["a.example","*"]})", "DNS:a.example,DNS:b.example") == "good");
  CHECK(names(R"({"DNS":["a.example",null]})", "DNS:a.example") == "good");
  CHECK(names(R"({"DNS":["a.example",{}]})", "DNS:a.example,DNS:b.example") == "good");
  CHECK(contains(names(R"({"DNS":["a.example","**"]})", "DNS:a.example"), "lacks a DNS"));
  CHECK(contains(names(R"({"DNS":["a.example"]})", "DNS:a.example,IP:192.0.2.1"), "address 192.0.2.1"));
  CHECK(contains(names(R"({"DNS":["a.example"]})", "DNS:a.example,email:a@b.c"), "Email a@b.c"));
  CHECK(names(R"({"Email":["a@b.c"],"URI":["u:x"]})", "email:a@b.c,URI:u:x") == "good");
  CHECK(contains(names(R"({"DNS":["a.example"],"URI":["u:x"]})", "DNS:a.example"), "no URI u:x"));
  CHECK(contains(names(R"({"DNS":["a.example"]})", "DNS:a.example,RID:1.2.3"), "names that no template has"));
  CHECK(contains(judged(one_name, made_by_openssl("-subj /")), "no DNS a.example"));
}

TEST_CASE("delegation: the subject of a CSR against a template") {
  const auto subject = [](const std::string& wanted, const std::string& given) {
    return judged(template_of(R"({"subjectAltName":{"DNS":["a.example"]}})", wanted),
                  made_by_openssl("-addext subjectAltName=DNS:a.example -subj '" + given + "'"));
  };
  CHECK(subject(R"({"country":"CA","locality":"**","organization":"*"})", "/C=CA/L=x") == "good");
  CHECK(subject(R"({"country":"CA","locality":{},"organization":null})", "/C=CA/L=x/O=y") == "good");
  CHECK(contains(subject(R"({"country":"CA"})", "/C=DE"), "country is \"DE\""));
  CHECK(contains(subject(R"({"country":"CA"})", "/"), "no country"));
  CHECK(contains(subject(R"({"locality":"**"})", "/"), "no locality"));
  CHECK(contains(subject("{}", "/CN=a.example"), "commonName, the template has not"));
  CHECK(contains(subject(R"({"commonName":"*"})", "/CN=x/CN=y"), "commonName twice"));
  CHECK(contains(subject("{}", "/title=x"), "the template has not"));
  const std::string all = R"({"country":"**","stateOrProvince":"**","locality":"**","organization":"**",
                              "organizationalUnit":"**","commonName":"**","emailAddress":"**"})";
  CHECK(subject(all, "/C=CA/ST=a/L=b/O=c/OU=d/CN=e/emailAddress=f@g.h") == "good");
}

TEST_CASE("delegation: key, signature and usages of a CSR against a template") {
  const std::string extensions = R"("extensions":{"subjectAltName":{"DNS":["a.example"]}}})";
  const auto key = [&](const std::string& types, const std::string& made, const std::string& how = "") {
    return judged(R"({"keyTypes":[)" + types + "]," + extensions,
                  made_by_openssl("-subj / -addext subjectAltName=DNS:a.example " + how, made));
  };
  const auto rsa = [](const std::string& signature) {
    return R"({"PublicKeyType":"rsaEncryption","PublicKeyLength":2048,"SignatureType":")" + signature + "\"}";
  };
  const auto ec = [](const std::string& curve, const std::string& signature) {
    return R"({"PublicKeyType":"id-ecPublicKey","namedCurve":")" + curve + R"(","SignatureType":")" + signature + "\"}";
  };
  const std::string pss = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:";
  CHECK(key(rsa("sha256WithRSAEncryption"), "rsa:2048", "-sha256") == "good");
  CHECK(key(rsa("sha384WithRSAEncryption"), "rsa:2048", "-sha384") == "good");
  CHECK(key(rsa("sha512WithRSAEncryption"), "rsa:2048", "-sha512") == "good");
  CHECK(key(rsa("sha256WithRSAandMGF1"), "rsa:2048", "-sha256 " + pss + "32") == "good");
  CHECK(key(rsa("sha384WithRSAandMGF1"), "rsa:2048", "-sha384 " + pss + "48") == "good");
  CHECK(key(rsa("sha512WithRSAandMGF1"), "rsa:2048", "-sha512 " + pss + "64") == "good");
  CHECK(contains(key(rsa("sha256WithRSAandMGF1"), "rsa:2048", "-sha256 " + pss + "20"), "keyTypes"));
  CHECK(contains(key(rsa("sha384WithRSAEncryption"), "rsa:2048", "-sha256"), "keyTypes"));
  CHECK(contains(key(rsa("sha256WithRSAEncryption"), "rsa:3072", "-sha256"),
                 "keyTypes does not allow a key of type rsa:3072"));
  const std::string p = "ec -pkeyopt ec_paramgen_curve:P-";
  CHECK(key(rsa("x") + "," + ec("secp256r1", "ecdsa-with-SHA256"), p + "256", "-sha256") == "good");
  CHECK(key(ec("secp384r1", "ecdsa-with-SHA384"), p + "384", "-sha384") == "good");
  CHECK(key(ec("secp521r1", "ecdsa-with-SHA512"), p + "521", "-sha512") == "good");
  CHECK(contains(key(ec("secp384r1", "ecdsa-with-SHA384"), p + "256", "-sha256"), "keyTypes"));
  CHECK(contains(key(ec("secp256r1", "ecdsa-with-SHA256"), p + "256", "-sha384"), "keyTypes"));

  const auto usages = [](const std::string& wanted, const std::string& given) {
    return judged(template_of(R"({"subjectAltName":{"DNS":["a.example"]})" + wanted + "}"),
                  made_by_openssl("-subj / -addext subjectAltName=DNS:a.example " + given));
  };
  const std::string two = R"(,"keyUsage":["digitalSignature","decipherOnly"])";
  CHECK(usages(two, "-addext keyUsage=critical,digitalSignature,decipherOnly") == "good");
  CHECK(contains(usages(two, "-addext keyUsage=digitalSignature"), "its keyUsage"));
  CHECK(contains(usages(two, ""), "its keyUsage"));
  CHECK(contains(usages("", "-addext keyUsage=digitalSignature"), "its keyUsage"));
  const std::string extended = R"(,"extendedKeyUsage":["serverAuth","1.3.6.1.5.5.7.3.17","OCSPSigning"])";
  CHECK(usages(extended, "-addext extendedKeyUsage=serverAuth,1.3.6.1.5.5.7.3.17,OCSPSigning") == "good");
  CHECK(contains(usages(extended, "-addext extendedKeyUsage=serverAuth"), "its extendedKeyUsage"));
  CHECK(contains(usages("", "-addext tlsfeature=status_request"), "the extension 1.3.6.1.5.5.7.1.24"));
  CHECK(contains(usages("", "-addext keyUsage=DER:0500"), "keyUsage is malformed"));
  CHECK(contains(usages("", "-addext extendedKeyUsage=DER:3003060180"), "extendedKeyUsage"));
  CHECK(contains(usages("", "-addext extendedKeyUsage=DER:30020603"), "extendedKeyUsage is malformed"));
}
