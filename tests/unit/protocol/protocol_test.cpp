// What is built for the wire and what is read from it: odd servers included.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "base/time.hpp"
#include "crypto/ca.hpp"
#include "culmen/certificate.hpp"
#include "protocol/account.hpp"
#include "protocol/authorization.hpp"
#include "protocol/directory.hpp"
#include "protocol/order.hpp"
#include "protocol/response.hpp"
#include "protocol/star.hpp"
#include "unit/protocol/present.hpp"

using namespace culmen;
using protocol::TimePoint;

namespace {

HttpResponse response(int status, std::string body, std::vector<std::pair<std::string, std::string>> headers = {}) {
  HttpResponse made;
  made.status = status;
  made.body = std::move(body);
  made.headers = std::move(headers);
  made.url = "https://ca.test/acme/thing/1";
  return made;
}

}  // namespace

TEST_CASE("directory: unknown members, nulls and a decoy key are no trouble, relative URLs are resolved") {
  HttpResponse reply = response(200, R"({
    "newNonce": "https://ca.test/acme/new-nonce", "newAccount": "/acme/new-account", "newOrder": "https://ca.test/acme/new-order",
    "revokeCert": "https://ca.test/acme/revoke-cert", "keyChange": "https://ca.test/acme/key-change",
    "newAuthz": null, "renewalInfo": "https://ca.test/acme/renewal-info",
    "Qx7vR2nL": "https://community.ca.test/t/adding-random-entries-to-the-directory/33417",
    "meta": {"termsOfService": "https://ca.test/tos", "caaIdentities": ["ca.test", 7], "website": null,
      "externalAccountRequired": null, "auto-renewal": {"min-lifetime": 86400, "max-duration": 31536000, "allow-certificate-get": true},
      "profiles": {"classic": "https://ca.test/profiles#classic", "odd": null}, "inBandOnionCAARequired": true}})");
  const Result<Directory> directory = protocol::parse_directory(reply);
  REQUIRE(directory.has_value());
  CHECK(directory->new_account == "https://ca.test/acme/new-account");
  CHECK(directory->new_authz.empty());
  CHECK(directory->renewal_info == "https://ca.test/acme/renewal-info");
  CHECK(directory->meta.terms_of_service == "https://ca.test/tos");
  CHECK(directory->meta.caa_identities == std::vector<std::string>{"ca.test"});
  CHECK_FALSE(directory->meta.external_account_required);
  REQUIRE(directory->meta.auto_renewal.has_value());
  CHECK(directory->meta.auto_renewal->min_lifetime == std::chrono::seconds(86400));
  CHECK(directory->meta.profiles.size() == 2);
  CHECK(directory->meta.onion_caa_required);
}

TEST_CASE("directory: a missing endpoint is named") {
  for (const std::string missing : {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"}) {
    std::string body = "{";
    for (const std::string name : {"newNonce", "newAccount", "newOrder", "revokeCert", "keyChange"}) {
      if (name != missing) body += "\"" + name + "\":\"https://ca.test/" + name + "\",";
    }
    body += "\"meta\":{}}";
    const Result<Directory> directory = protocol::parse_directory(response(200, body));
    REQUIRE_FALSE(directory.has_value());
    CHECK(std::string(directory.error().what()).find("\"" + missing + "\"") != std::string::npos);
  }
}

TEST_CASE("problems: type, subproblems and identifiers are read, labels do not matter") {
  const std::string body =
      R"({"type":"urn:ietf:params:acme:error:malformed","detail":"Some of the identifiers requested were rejected",
    "subproblems":[{"type":"urn:ietf:params:acme:error:malformed","detail":"Invalid underscore in DNS name \"_example.org\"",
      "identifier":{"type":"dns","value":"_example.org"}},
     {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"This CA will not issue for \"example.net\"",
      "identifier":{"type":"dns","value":"example.net"}}]})";
  for (const char* label : {"application/problem+json", "application/problem+json; charset=utf-8", "text/html"}) {
    const Error error =
        protocol::error_from(response(403, body, {{"content-type", label}}), "creating an order", present);
    CHECK(error.code() == Errc::malformed);
    CHECK(error.kind() == ErrorKind::acme);
    CHECK(error.http_status() == 403);
    REQUIRE(error.problem());
    REQUIRE(error.problem()->subproblems.size() == 2);
    CHECK(error.problem()->subproblems[1].identifier == Identifier("dns", "example.net"));
    CHECK(std::string(error.what()).find("example.net") != std::string::npos);
  }
}

TEST_CASE("problems: an HTML page, an empty body and a problem without a type are survived") {
  const Error html = protocol::error_from(response(502, "<html>\x1b[31mBad gateway</html>"), "fetching", present);
  CHECK(html.code() == Errc::http_status);
  CHECK(html.http_status() == 502);
  CHECK(std::string(html.what()).find('\x1b') == std::string::npos);
  CHECK(protocol::error_from(response(404, ""), "fetching", present).code() == Errc::http_status);
  const Error untyped = protocol::error_from(response(400, R"({"detail":"no type"})"), "fetching", present);
  REQUIRE(untyped.problem());
  CHECK(untyped.problem()->type == "about:blank");
  CHECK(untyped.code() == Errc::unknown_acme_error);
  // The short name alone is not the ACME type: only the URN is.
  CHECK(protocol::error_from(response(400, R"({"type":"badNonce"})"), "x", present).code() == Errc::unknown_acme_error);
  CHECK(protocol::error_from(response(400, R"({"type":"urn:ietf:params:acme:error:badNonce"})"), "x", present).code() ==
        Errc::bad_nonce);
}

TEST_CASE("problems: the type counts also when the detail is not UTF-8") {
  const Error error = protocol::error_from(
      response(400, "{\"type\":\"urn:ietf:params:acme:error:rejectedIdentifier\",\n \"detail\":\"bad \xff name\"}"),
      "x", present);
  CHECK(error.code() == Errc::rejected_identifier);
  CHECK(std::string(error.what()).find("bad ? name") != std::string::npos);
}

TEST_CASE("problems: userActionRequired brings its link, badSignatureAlgorithm its list, rateLimited its time") {
  const Error terms = protocol::error_from(
      response(403, R"({"type":"urn:ietf:params:acme:error:userActionRequired","instance":"https://ca.test/agree"})",
               {{"link", "<https://ca.test/tos-v2>;rel=\"terms-of-service\""}}),
      "creating an order", present);
  REQUIRE(terms.problem());
  CHECK(terms.problem()->terms_of_service == "https://ca.test/tos-v2");
  CHECK(terms.problem()->instance == "https://ca.test/agree");
  const Error algorithm = protocol::error_from(
      response(400, R"({"type":"urn:ietf:params:acme:error:badSignatureAlgorithm","algorithms":["RS256","ES256"]})"),
      "x", present);
  CHECK(algorithm.problem()->algorithms == std::vector<std::string>{"RS256", "ES256"});
  const Error limited =
      protocol::error_from(response(429, R"({"type":"urn:ietf:params:acme:error:rateLimited"})",
                                    {{"retry-after", base::format_http_date(present + std::chrono::hours(2))}}),
                           "x", present);
  CHECK(limited.retry_after() == std::chrono::seconds(7200));
}

TEST_CASE("nonces: what is not base64url is ignored") {
  CHECK(protocol::replay_nonce(response(200, "", {{"replay-nonce", "abc_-9"}})) == "abc_-9");
  CHECK_FALSE(protocol::replay_nonce(response(200, "", {{"replay-nonce", ""}})).has_value());
  CHECK_FALSE(protocol::replay_nonce(response(200, "", {{"replay-nonce", "a b"}})).has_value());
  CHECK_FALSE(protocol::replay_nonce(response(200, "", {{"replay-nonce", "abc="}})).has_value());
  CHECK_FALSE(protocol::replay_nonce(response(200, "")).has_value());
}

TEST_CASE("directory: limits for renewal that overflow a clock are cut") {
  const std::string body =
      R"({"newNonce":"/n","newAccount":"/a","newOrder":"/o","revokeCert":"/r","keyChange":"/k","meta":{"auto-renewal":)"
      R"({"min-lifetime":-9223372036854775807,"max-duration":9223372036854775807}}})";
  const Result<Directory> directory = protocol::parse_directory(response(200, body));
  REQUIRE(directory.has_value());
  CHECK(directory->meta.auto_renewal->min_lifetime == std::chrono::seconds(0));
  CHECK(directory->meta.auto_renewal->max_duration == std::chrono::years(100));
  StarOrderParams params({Identifier::dns("a.test")}, "2260-01-01T00:00:00Z", std::chrono::hours(1));
  CHECK_FALSE(protocol::check_star_order(params, *directory, std::chrono::system_clock::time_point()).has_value());
}

TEST_CASE("chains: what is not a chain is the CA's fault") {
  CHECK(protocol::parse_chain(response(200, "<html>")).error().code() == Errc::bad_response);
}

TEST_CASE("location: kept byte for byte when absolute, resolved when relative") {
  CHECK(protocol::location(response(201, "", {{"location", "https://CA.test:443/Acct/%7e1"}})) ==
        "https://CA.test:443/Acct/%7e1");
  CHECK(protocol::location(response(201, "", {{"location", "/acct/1"}})) == "https://ca.test/acct/1");
  CHECK_FALSE(protocol::location(response(201, "")).has_value());
}

TEST_CASE("URLs of a body: kept byte for byte when absolute, resolved when relative") {
  const HttpResponse from = response(200, "");
  for (const std::string kept :
       {"https://CA.test:443/Acct/%7e1", "http://ca.test/a/../b", "HTTPS://ca.test/a", "https://a b", ""}) {
    CHECK(protocol::absolute_url(from, kept) == kept);
  }
  CHECK(protocol::absolute_url(from, "/authz/1") == "https://ca.test/authz/1");
  CHECK(protocol::absolute_url(from, "//other.test/a") == "https://other.test/a");
  CHECK(protocol::absolute_url(from, "a b") == "a b");
}

TEST_CASE("orders: everything is read, what is unknown is data") {
  const std::string body = R"({"status":"processing","expires":"2027-01-20T14:09:07.99Z",
    "identifiers":[{"type":"dns","value":"b.example"},{"type":"ip","value":"2001:db8::1"},7],
    "authorizations":["https://ca.test/authz/2","/authz/1"],"finalize":"https://ca.test/order/7/finalize",
    "profile":"shortlived","replaces":"a.b","error":null,"certificate":null,"brand-new":{}})";
  const Result<Order> order = protocol::parse_order(response(200, body, {{"retry-after", "3"}}),
                                                    "https://ca.test/order/7", "fetching", present);
  REQUIRE(order.has_value());
  CHECK(order->status == OrderStatus::processing);
  CHECK(order->url == "https://ca.test/order/7");
  CHECK(order->identifiers == std::vector<Identifier>{Identifier("dns", "b.example"), Identifier("ip", "2001:db8::1")});
  CHECK(order->authorizations == std::vector<std::string>{"https://ca.test/authz/2", "https://ca.test/authz/1"});
  CHECK(order->certificate.empty());
  CHECK_FALSE(order->error.has_value());
  CHECK(order->expires.has_value());
  CHECK(order->profile == "shortlived");
  CHECK(order->retry_after == std::chrono::seconds(3));
  const Result<Order> strange =
      protocol::parse_order(response(200, R"({"status":"queued"})"), "u", "fetching", present);
  REQUIRE(strange.has_value());
  CHECK(strange->status == OrderStatus::unknown);
  CHECK_FALSE(protocol::parse_new_order(response(201, body), present).has_value());  // no Location
  CHECK_FALSE(protocol::parse_order(response(200, "[]"), "u", "fetching", present).has_value());
}

TEST_CASE("authorizations: wildcard flag, missing status and token, unknown and unusable challenges") {
  const std::string body = R"({"identifier":{"type":"dns","value":"example.org"},"status":"pending","wildcard":true,
    "challenges":[{"type":"dns-01","url":"https://ca.test/chall/1","token":"abc"},
      {"type":"dns-persist-01","url":"https://ca.test/chall/2","status":"pending","issuer-domain-names":["ca.test"]},
      {"type":"quantum-99","url":"/chall/3","status":"entangled"}, {"type":"no-url"}, null]})";
  const Result<Authorization> authorization =
      protocol::parse_authorization(response(200, body), "https://ca.test/authz/1", present);
  REQUIRE(authorization.has_value());
  CHECK(authorization->wildcard);
  CHECK(authorization->status == AuthorizationStatus::pending);
  REQUIRE(authorization->challenges.size() == 3);
  CHECK(authorization->challenge("dns-01").status == ChallengeStatus::pending);
  CHECK(authorization->challenge("dns-persist-01").token.empty());
  CHECK(authorization->challenge("dns-persist-01").json.find("issuer-domain-names") != std::string::npos);
  CHECK(authorization->challenge("quantum-99").status == ChallengeStatus::unknown);
  CHECK(authorization->challenge("quantum-99").url == "https://ca.test/chall/3");
  CHECK_THROWS_WITH_AS(authorization->challenge("http-01"), doctest::Contains("quantum-99"), Error);
}

TEST_CASE(
    "chains: CRLF, text around and no final newline are normalised, other blocks are refused, alternates are found") {
  const PrivateKey key = PrivateKey::generate();
  crypto::CertificateTemplate what;
  what.common_name = "Test Root";
  what.public_key_der = key.public_key_der();
  what.not_before = present;
  what.not_after = present + std::chrono::hours(24);
  const std::string pem = der_to_pem(crypto::sign_certificate(what, key));
  std::string messy = "subject: whatever\r\n";
  for (const char c : pem) messy += c == '\n' ? std::string("\r\n") : std::string(1, c);
  messy += "\r\n\r\n" + pem.substr(0, pem.size() - 1);
  const Result<CertificateChain> chain = protocol::parse_chain(
      response(200, messy,
               {{"link", "<https://ca.test/dir>;rel=\"index\", </cert/1/2>; title=\"x\"; rel=alternate"},
                {"link", "<x>; rel=up"}}));
  REQUIRE(chain.has_value());
  CHECK(chain->pem == pem + pem);
  CHECK(der_to_pem(chain->leaf.der) == pem);
  CHECK(chain->leaf.not_after == what.not_after);
  CHECK(chain->alternates == std::vector<std::string>{"https://ca.test/cert/1/2"});
  CHECK_FALSE(protocol::parse_chain(response(200, pem + key.to_pem())).has_value());
  CHECK_FALSE(protocol::parse_chain(response(200, "<html></html>")).has_value());
}

TEST_CASE("accounts: Location is needed once, contacts and orders are read") {
  const AccountKey key = AccountKey::generate();
  const HttpResponse created =
      response(201, R"({"status":"valid","contact":["mailto:a@example.org"],"orders":"/acct/1/orders"})",
               {{"location", "https://ca.test/acct/1"}});
  const Result<Account> account = protocol::parse_new_account(created, key, "creating");
  REQUIRE(account.has_value());
  CHECK(account->created);
  CHECK(account->url == "https://ca.test/acct/1");
  CHECK(account->orders == "https://ca.test/acct/1/orders");
  CHECK_FALSE(protocol::parse_new_account(response(201, "{}"), key, "creating").has_value());
  const Result<Account> fetched =
      protocol::parse_account(response(200, R"({"status":"revoked"})"), *account, "fetching");
  REQUIRE(fetched.has_value());
  CHECK(fetched->url == account->url);
  CHECK(fetched->status == AccountStatus::revoked);
}

TEST_CASE("short names of CAs") {
  CHECK(resolve_directory_url("letsencrypt-staging") == "https://acme-staging-v02.api.letsencrypt.org/directory");
  CHECK(resolve_directory_url("https://ca.test/dir") == "https://ca.test/dir");
}
