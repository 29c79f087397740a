// Delegation (RFC 9115): culmen's client and a test CA that owns the names and certifies them.
#include <doctest/doctest.h>

#include <future>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "base/time.hpp"
#include "culmen/asio/acme_client.hpp"
#include "culmen/certificate.hpp"
#include "culmen/delegation.hpp"
#include "support/errors.hpp"
#include "support/local_ca.hpp"

using namespace culmen;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// RFC 9115 §4.2, with a name of ours as well.
const char* const wide = R"({
  "keyTypes": [
    {"PublicKeyType": "rsaEncryption", "PublicKeyLength": 2048, "SignatureType": "sha256WithRSAandMGF1"},
    {"PublicKeyType": "id-ecPublicKey", "namedCurve": "secp256r1", "SignatureType": "ecdsa-with-SHA256"}
  ],
  "subject": {"country": "CA", "stateOrProvince": "**", "locality": "*"},
  "extensions": {
    "subjectAltName": {"DNS": ["abc.ido.example", "**"], "Email": ["ops@ido.example"], "URI": ["https://ido.example/"]},
    "keyUsage": ["digitalSignature", "keyAgreement"],
    "extendedKeyUsage": ["serverAuth", "clientAuth", "1.3.6.1.5.5.7.3.17"]
  }
})";
const char* const narrow = R"({
  "keyTypes": [{"PublicKeyType": "id-ecPublicKey", "namedCurve": "secp384r1", "SignatureType": "ecdsa-with-SHA384"}],
  "extensions": {"subjectAltName": {"DNS": ["one.ido.example"]}}
})";

TestCaOptions delegating() {
  TestCaOptions options;
  options.delegations.emplace_back(wide, std::map<std::string, std::string>{{"abc.ido.example.", "abc.ndc.example."}});
  options.delegations.emplace_back(narrow);
  options.orders_per_page = 1;
  options.certificate_get = true;
  options.auto_renewal = true;
  return options;
}

}  // namespace

TEST_CASE("delegation: list, look, order, follow the template, fetch without an account") {
  LocalCa local(delegating());
  blocking::AcmeClient client = local.client();
  CHECK(client.directory().meta.delegation_enabled);
  const Account account = registered(client);
  CHECK_FALSE(account.delegations.empty());
  const std::vector<std::string> urls = client.list_delegations(account);
  REQUIRE(urls.size() == 2);
  const Delegation delegation = client.get_delegation(account, urls[0]);
  CHECK(delegation.url == urls[0]);
  CHECK(delegation.cname_map.at("abc.ido.example.") == "abc.ndc.example.");

  for (const std::string type : {"ec:P-256", "rsa:2048"}) {
    CAPTURE(type);
    OrderRequest request({Identifier::dns("abc.ido.example"), Identifier::dns("ours.ido.example")});
    request.delegation = delegation.url;
    request.allow_certificate_get = true;
    const Order order = client.new_order(account, request);
    CHECK(order.status == OrderStatus::ready);
    CHECK(order.authorizations.empty());
    CHECK(order.delegation == delegation.url);
    CHECK(order.allow_certificate_get);

    const PrivateKey key = PrivateKey::generate(type);
    // What culmen itself would ask for is not what the template says.
    CHECK(contains(thrown_by([&] { return client.finalize(account, order, build_csr(order.identifiers, key)); }),
                   "bad_csr"));
    CsrSubject subject;
    subject.state = "Quebec";
    const Bytes csr = build_delegated_csr(delegation.csr_template, order.identifiers, key, subject);
    const Order done = client.finalize(account, order, csr);
    CHECK(done.status == OrderStatus::valid);
    const CertificateChain chain = client.get_certificate(done.certificate);
    CHECK(chain.pem == client.download_certificate(account, done.certificate));
    const Certificate leaf = Certificate::from_pem(chain.pem);
    CHECK(leaf.matches(key));
    CHECK(leaf.identifiers == request.identifiers);
  }
  CHECK(contains(thrown_by([&] {
                   return build_delegated_csr(client.get_delegation(account, urls[1]).csr_template,
                                              {Identifier::dns("one.ido.example")}, PrivateKey::generate("ec:P-256"));
                 }),
                 "keyTypes wants ec:P-384"));
}

TEST_CASE("delegation: certificates that renew themselves") {
  LocalCa local(delegating());
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  const Delegation delegation = client.get_delegation(account, client.list_delegations(account).at(1));
  StarOrderParams params({Identifier::dns("one.ido.example")}, base::format_rfc3339(local.ca.now() + 20 * 24h), 48h);
  params.delegation = delegation.url;
  params.allow_certificate_get = true;
  const StarOrder order = client.new_star_order(account, params);
  CHECK(order.status == OrderStatus::ready);
  CHECK(order.delegation == delegation.url);
  CHECK(order.allow_certificate_get);
  const PrivateKey key = PrivateKey::generate("ec:P-384");
  const Order done =
      client.finalize(account, order, build_delegated_csr(delegation.csr_template, order.identifiers, key));
  const StarCertificate first = client.get_star_certificate(done.star_certificate);
  CHECK(Certificate::from_pem(first.pem).matches(key));
  local.ca.advance_clock(25h);
  CHECK(client.get_star_certificate(done.star_certificate).pem != first.pem);
}

TEST_CASE("delegation: what is not there is said") {
  LocalCa local(delegating());
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  OrderRequest request({Identifier::dns("abc.ido.example")});
  request.delegation = client.list_delegations(account).front() + "0";
  request.allow_certificate_get = true;
  const auto order = [&] { return client.new_order(account, request); };
  CHECK(contains(thrown_by(order), "unknown_delegation"));
  request.allow_certificate_get = false;
  CHECK(contains(thrown_by(order), "invalid_argument"));

  LocalCa plain;
  blocking::AcmeClient other = plain.client();
  const Account there = registered(other);
  CHECK(contains(thrown_by([&] { return other.list_delegations(there); }), "not_offered"));
  request.allow_certificate_get = true;
  CHECK(contains(thrown_by([&] { return other.new_order(there, request); }), "not_offered"));
  TestCaOptions broken;
  broken.delegations.emplace_back("{");
  CHECK(contains(thrown_by([&] { return std::make_unique<TestCa>(broken); }), "csr-template"));
}

TEST_CASE("certificates without an account: only when they were ordered so") {
  TestCaOptions options;
  options.skip_validation = true;
  options.certificate_get = true;
  LocalCa local(options);
  blocking::AcmeClient client = local.client();
  const Account account = registered(client);
  const PrivateKey key = PrivateKey::generate("ec:P-256");
  const auto issued = [&](bool allow) {
    OrderRequest request({Identifier::dns("a.example")});
    request.allow_certificate_get = allow;
    const Order order = client.new_order(account, request);
    CHECK(order.allow_certificate_get == allow);
    const Authorization authorization = client.get_authorization(account, order.authorizations.at(0));
    client.trigger_challenge(account, authorization.challenge("http-01"));
    const Order ready = client.poll_order(account, order.url);
    return client.finalize(account, ready, build_csr(ready.identifiers, key)).certificate;
  };
  CHECK(Certificate::from_pem(client.get_certificate(issued(true)).pem).matches(key));
  const std::string closed = issued(false);
  CHECK(contains(thrown_by([&] { return client.get_certificate(closed); }), "malformed"));
}

TEST_CASE("delegation: awaitable") {
  LocalCa local(delegating());
  blocking::AcmeClient blocking = local.client();
  const Account account = registered(blocking);
  ClientOptions options;
  options.transport.extra_root_file = local.root->path();
  asio::io_context context;
  const auto story = [](std::string url, ClientOptions how, Account who) -> asio::awaitable<std::string> {
    AcmeClient client = co_await AcmeClient::connect(url, how);
    const std::vector<std::string> urls = co_await client.list_delegations(who);
    const Delegation delegation = co_await client.get_delegation(who, urls.at(1));
    std::vector<Identifier> names;
    names.push_back(Identifier::dns("one.ido.example"));
    OrderRequest request(names);
    request.delegation = delegation.url;
    request.allow_certificate_get = true;
    const Order order = co_await client.new_order(who, request);
    const PrivateKey key = PrivateKey::generate("ec:P-384");
    const Bytes csr = build_delegated_csr(delegation.csr_template, names, key);
    const Order done = co_await client.finalize(who, order, csr);
    const CertificateChain chain = co_await client.get_certificate(done.certificate);
    co_return chain.pem;
  };
  std::future<std::string> pem =
      asio::co_spawn(context, story(local.ca.directory_url(), options, account), asio::use_future);
  context.run_for(60s);
  REQUIRE(pem.wait_for(0s) == std::future_status::ready);
  CHECK(Certificate::from_pem(pem.get()).identifiers == std::vector<Identifier>{Identifier::dns("one.ido.example")});
}
