// RFC 8555 §7.4 (finalize), §7.4.2 (download), §7.6 (revocation).
#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/base64.hpp"
#include "base/time.hpp"
#include "crypto/ca.hpp"
#include "culmen/certificate.hpp"
#include "culmen/csr.hpp"
#include "jose/jws.hpp"
#include "support/errors.hpp"
#include "support/run_program.hpp"

using namespace culmen;
using namespace culmen::testca;
namespace json = boost::json;

namespace {

struct Ready {
  explicit Ready(TestCaOptions options = {}) : ca(std::move(options)) { caller.register_account(); }
  /// An order whose authorizations are valid.
  json::object order(const std::vector<std::string>& names) {
    json::object made = body_of(caller.new_order(names));
    caller.answer_challenges(made);
    for (const std::string& name : names)
      if (name.starts_with("*.")) caller.answer_challenges(made, "dns-01");
    return made;
  }
  InProcess ca;
  AcmeCaller caller = ca.caller();
};

std::string revocation(ByteView der, std::optional<int> reason = {}) {
  json::object payload{{"certificate", base::base64url_encode(der)}};
  if (reason) payload["reason"] = *reason;
  return json::serialize(payload);
}

std::vector<std::string> alternates(const Reply& reply) {
  std::vector<std::string> urls;
  for (const auto& [name, value] : reply.headers)
    if (name == "Link" && value.ends_with(";rel=\"alternate\"")) urls.push_back(value.substr(1, value.find('>') - 1));
  return urls;
}

/// Each certificate signed by the next, the last one by `root`.
void check_chain(const std::string& pem, const std::string& root_pem) {
  std::vector<Bytes> ders = pem_to_der(pem);
  ders.push_back(pem_to_der(root_pem).front());
  for (std::size_t i = 0; i + 1 < ders.size(); ++i) CHECK(crypto::is_signed_by(ders[i], ders[i + 1]));
}

}  // namespace

TEST_CASE("finalize with a good CSR gives a valid order and a certificate for those names and that key") {
  Ready r;
  std::vector<std::string> names = {"a.example", "*.b.example", "192.0.2.7", "2001:db8::1"};
  json::object order = r.order(names);
  PrivateKey key = PrivateKey::generate();
  Reply reply = r.caller.finalize(order, names, key);
  REQUIRE(reply.status == 200);
  CHECK(std::string(reply.header("location")) + "/finalize" == text_at(order, "finalize"));
  json::object done = body_of(reply);
  CHECK(text_at(done, "status") == "valid");
  Reply download = r.caller.post(text_at(done, "certificate"));
  CHECK(download.header("content-type") == "application/pem-certificate-chain");
  Certificate leaf = Certificate::from_pem(download.body);
  CHECK(leaf.matches(key));
  CHECK(leaf.identifiers.size() == 4);
  CHECK(leaf.not_after - leaf.not_before == std::chrono::hours(24 * 90));
  check_chain(download.body, r.ca.server.authority().root_pem());
  CHECK(r.ca.server.issued() == std::vector<std::string>{der_to_pem(leaf.der)});

  CHECK(problem_of(r.caller.get(text_at(done, "certificate"))) == "malformed 405");
  CHECK(problem_of(r.caller.post(text_at(done, "certificate"), "{}")) == "malformed 400");
  CHECK(problem_of(r.caller.finalize(order, names, key)) == "orderNotReady 403");
  AcmeCaller other = r.ca.caller();
  other.register_account();
  CHECK(problem_of(other.post(text_at(done, "certificate"))) == "unauthorized 403");
}

TEST_CASE("every key type makes a certificate") {
  Ready r;
  for (const std::string& type : key_type_names()) {
    if (!key_type_available(type) || type == "rsa:3072" || type == "rsa:4096") continue;
    CAPTURE(type);
    PrivateKey key = PrivateKey::generate(type);
    std::string chain = r.caller.issue({"a.example"}, key);
    CHECK(Certificate::from_pem(chain).matches(key));
  }
}

TEST_CASE("CSRs that are refused, and the order stays ready") {
  Ready r;
  json::object order = r.order({"a.example", "b.example"});
  std::string url = text_at(order, "finalize");
  PrivateKey key = PrivateKey::generate();
  auto send = [&](const Bytes& der) {
    return problem_of(r.caller.post(url, json::serialize(json::object{{"csr", base::base64url_encode(der)}})));
  };
  std::vector<std::string> names = {"a.example", "b.example"};
  Bytes good = build_csr(names, key);
  Bytes broken = good;
  broken.back() ^= 1;
  CHECK(send(broken) == "badCSR 400");
  CHECK(send({1, 2, 3}) == "badCSR 400");
  CHECK(send({}) == "badCSR 400");
  CHECK(send(build_csr(std::vector<std::string>{"a.example"}, key)) == "badCSR 400");
  CHECK(send(build_csr(std::vector<std::string>{"a.example", "b.example", "c.example"}, key)) == "badCSR 400");
  CHECK(send(build_csr(std::vector<std::string>{"a.example", "*.b.example"}, key)) == "badCSR 400");
  CHECK(send(build_csr(names, r.caller.key)) == "badCSR 400");
  AcmeCaller other = r.ca.caller();
  other.register_account();
  CHECK(send(build_csr(names, other.key)) == "badCSR 400");
  const auto short_key = run_program("openssl req -new -newkey rsa:1024 -nodes -keyout /dev/null -subj / 2>/dev/null");
  Reply reply = r.caller.post(
      url, json::serialize(json::object{{"csr", base::base64url_encode(pem_to_der(short_key.output).at(0))}}));
  CHECK(problem_of(reply) == "badCSR 400");
  CHECK(contains(text_at(body_of(reply), "detail"), "keys of type rsa:1024"));
  CHECK(problem_of(r.caller.post(url, R"({"csr":"not base64url="})")) == "malformed 400");
  CHECK(problem_of(r.caller.post(url, "{}")) == "malformed 400");
  CHECK(problem_of(r.caller.post(url, json::serialize(json::object{{"csr", base::base64_encode(good)}}))) ==
        "malformed 400");

  std::string order_url = url.substr(0, url.rfind('/'));
  CHECK(text_at(body_of(r.caller.post(order_url)), "status") == "ready");
  CHECK(r.caller.finalize(order, {"b.example", "a.example"}, key).status == 200);
}

TEST_CASE("must-staple is granted when asked for, and the CN stays what the CSR says") {
  Ready r;
  json::object order = r.order({"a.example"});
  CsrOptions wishes;
  wishes.must_staple = true;
  Bytes csr = build_csr(std::vector<std::string>{"a.example"}, PrivateKey::generate(), wishes);
  std::string payload = json::serialize(json::object{{"csr", base::base64url_encode(csr)}});
  json::object done = body_of(r.caller.post(text_at(order, "finalize"), payload));
  Certificate leaf = Certificate::from_pem(r.caller.post(text_at(done, "certificate")).body);
  CHECK(leaf.subject_common_name == "a.example");
  // The DER of id-pe-tlsfeature (RFC 7633), 1.3.6.1.5.5.7.1.24.
  constexpr std::string_view tls_feature = "\x06\x08\x2b\x06\x01\x05\x05\x07\x01\x18";
  CHECK(as_text(leaf.der).find(tls_feature) != std::string_view::npos);
}

TEST_CASE("finalize before the order is ready") {
  Ready r;
  json::object order = body_of(r.caller.new_order({"a.example"}));
  CHECK(problem_of(r.caller.finalize(order, {"a.example"}, PrivateKey::generate())) == "orderNotReady 403");
}

TEST_CASE("the validity asked for is the validity given") {
  Ready r;
  auto from = std::chrono::floor<std::chrono::seconds>(r.ca.server.now()) + std::chrono::hours(1);
  auto until = from + std::chrono::hours(4);
  json::object payload{{"identifiers", json::array{json::object{{"type", "dns"}, {"value", "a.example"}}}},
                       {"notBefore", base::format_rfc3339(from)},
                       {"notAfter", base::format_rfc3339(until)}};
  json::object order = body_of(r.caller.post(r.caller.url("/acme/new-order"), json::serialize(payload)));
  r.caller.answer_challenges(order);
  json::object done = body_of(r.caller.finalize(order, {"a.example"}, PrivateKey::generate()));
  Certificate leaf = Certificate::from_pem(r.caller.post(text_at(done, "certificate")).body);
  CHECK(leaf.not_before == from);
  CHECK(leaf.not_after == until);
}

TEST_CASE("chains of every length, with alternates that end in other roots") {
  for (int length : {0, 1, 3}) {
    CAPTURE(length);
    TestCaOptions options;
    options.chain_length = length;
    options.alternate_roots = 2;
    Ready r(options);
    json::object order = r.order({"a.example"});
    json::object done = body_of(r.caller.finalize(order, {"a.example"}, PrivateKey::generate()));
    Reply reply = r.caller.post(text_at(done, "certificate"));
    CHECK(pem_to_der(reply.body).size() == static_cast<std::size_t>(length) + 1);
    check_chain(reply.body, r.ca.server.authority().root_pem());
    std::vector<std::string> urls = alternates(reply);
    std::vector<std::string> roots = r.ca.server.authority().alternate_root_pems();
    REQUIRE(urls.size() == 2);
    for (std::size_t i = 0; i < urls.size(); ++i) {
      Reply alternate = r.caller.post(urls[i]);
      REQUIRE(alternate.status == 200);
      check_chain(alternate.body, roots[i]);
      CHECK(pem_to_der(alternate.body).front() == pem_to_der(reply.body).front());
      CHECK(topmost_issuer(alternate.body) == Certificate::from_pem(roots[i]).subject_common_name);
      CHECK(alternates(alternate).size() == 2);
    }
    CHECK(problem_of(r.caller.post(text_at(done, "certificate") + "/3")) == "malformed 404");
    CHECK(problem_of(r.caller.post(text_at(done, "certificate") + "/0")) == "malformed 404");
  }
}

TEST_CASE("revocation by the account, once") {
  Ready r;
  Certificate leaf = Certificate::from_pem(r.caller.issue({"a.example"}, PrivateKey::generate()));
  std::string url = r.caller.url("/acme/revoke-cert");
  CHECK(problem_of(r.caller.post(url, revocation(leaf.der, 7))) == "badRevocationReason 400");
  CHECK(problem_of(r.caller.post(url, revocation(leaf.der, 11))) == "badRevocationReason 400");
  CHECK(problem_of(r.caller.post(url, revocation(leaf.der, -1))) == "badRevocationReason 400");
  CHECK(problem_of(r.caller.post(url, R"({"certificate":"AAAA"})")) == "malformed 404");
  CHECK(problem_of(r.caller.post(url, "{}")) == "malformed 400");
  json::object text_reason{{"certificate", base::base64url_encode(leaf.der)}, {"reason", "superseded"}};
  CHECK(problem_of(r.caller.post(url, json::serialize(text_reason))) == "malformed 400");
  CHECK_FALSE(r.ca.server.is_revoked(leaf.der));
  Reply revoked = r.caller.post(url, revocation(leaf.der, 4));
  CHECK(revoked.status == 200);
  CHECK(revoked.body.empty());
  CHECK(r.ca.server.is_revoked(leaf.der));
  CHECK(problem_of(r.caller.post(url, revocation(leaf.der))) == "alreadyRevoked 400");
}

TEST_CASE("revocation by the certificate's key, and by nobody else's") {
  Ready r;
  PrivateKey key = PrivateKey::generate("ec:P-384");
  Certificate leaf = Certificate::from_pem(r.caller.issue({"a.example"}, key));
  std::string url = r.caller.url("/acme/revoke-cert");
  AcmeCaller stranger = r.ca.caller();
  CHECK(problem_of(stranger.post_with_jwk(url, revocation(leaf.der))) == "unauthorized 403");
  stranger.register_account();
  CHECK(problem_of(stranger.post(url, revocation(leaf.der))) == "unauthorized 403");
  CHECK(problem_of(r.caller.post_with_jwk(url, revocation(leaf.der))) == "unauthorized 403");
  stranger.key = key;
  CHECK(stranger.post_with_jwk(url, revocation(leaf.der)).status == 200);
  CHECK(r.ca.server.is_revoked(leaf.der));
}

TEST_CASE("revocation by an account that holds authorizations for all names") {
  Ready r;
  PrivateKey key = PrivateKey::generate();
  Certificate leaf = Certificate::from_pem(r.caller.issue({"a.example", "b.example"}, key));
  std::string url = r.caller.url("/acme/revoke-cert");
  AcmeCaller other = r.ca.caller();
  other.register_account();
  other.issue({"a.example"}, PrivateKey::generate());
  CHECK(problem_of(other.post(url, revocation(leaf.der))) == "unauthorized 403");
  other.issue({"b.example"}, PrivateKey::generate());
  CHECK(other.post(url, revocation(leaf.der)).status == 200);
}
