// What RFC 8555 §6 asks of every request.
#include <doctest/doctest.h>

#include <algorithm>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/base64.hpp"
#include "jose/jws.hpp"

using namespace culmen;
using namespace culmen::testca;
namespace json = boost::json;

namespace {

struct Registered {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  Registered() { REQUIRE(caller.register_account().status == 201); }
};

}  // namespace

TEST_CASE("a well-made request passes, for every key type there is") {
  InProcess ca;
  for (const std::string& type : key_type_names()) {
    if (!key_type_available(type) || type == "rsa:3072" || type == "rsa:4096") continue;
    CAPTURE(type);
    AcmeCaller caller = ca.caller(type);
    CHECK(caller.register_account().status == 201);
    CHECK(caller.post(caller.account_url).status == 200);
  }
}

TEST_CASE("every answer to a POST has a fresh nonce and the index link, errors too") {
  Registered r;
  Reply good = r.caller.post(r.caller.account_url);
  Reply bad = r.caller.post_body(r.caller.account_url, "not a JWS");
  CHECK(good.header("replay-nonce").size() == 22);
  CHECK(bad.header("replay-nonce").size() == 22);
  CHECK(good.header("replay-nonce") != bad.header("replay-nonce"));
  CHECK(good.header("link") == "<https://ca.test/directory>;rel=\"index\"");
  CHECK(bad.header("link") == "<https://ca.test/directory>;rel=\"index\"");
}

TEST_CASE("media type, method, URL and user agent") {
  Registered r;
  std::string url = r.caller.account_url;
  std::string body = jose::sign_with_kid(r.caller.key, url, r.caller.nonce(), url, "");
  CHECK(problem_of(r.caller.post_body(url, body, "application/json")) == "malformed 415");
  CHECK(problem_of(r.caller.post_body(url, body, "application/jose+json; charset=utf-8")) == "malformed 415");
  CHECK(r.caller.post_body(url, body).status == 200);

  Reply plain_get = r.caller.get(url);
  CHECK(problem_of(plain_get) == "malformed 405");
  CHECK(plain_get.header("allow") == "POST");
  CHECK(problem_of(r.caller.get(r.caller.url("/directory"), "DELETE")) == "malformed 405");
  CHECK(problem_of(r.caller.get(r.caller.url("/acme/nothing"))) == "malformed 404");
  CHECK(problem_of(r.caller.post(r.caller.url("/acme/order/none"))) == "malformed 404");

  Request anonymous;
  anonymous.target = "/directory";
  CHECK(problem_of(r.ca.server.handle(anonymous)) == "malformed 400");
  Request with_nonce_header;
  with_nonce_header.method = "POST";
  with_nonce_header.target = "/acme/new-order";
  with_nonce_header.headers = {{"user-agent", "x"}, {"content-type", "application/jose+json"}, {"replay-nonce", "abc"}};
  CHECK(problem_of(r.ca.server.handle(with_nonce_header)) == "malformed 400");
  CHECK(problem_of(r.caller.post_body(url, std::string(300 * 1024, ' '))) == "malformed 413");
}

TEST_CASE("newNonce: HEAD is 200, GET is 204, POST-as-GET works, nothing may be stored") {
  Registered r;
  std::string url = r.caller.url("/acme/new-nonce");
  Reply head = r.caller.get(url, "HEAD");
  Reply get = r.caller.get(url);
  CHECK(head.status == 200);
  CHECK(get.status == 204);
  for (const Reply& reply : {head, get}) {
    CHECK(reply.header("cache-control") == "no-store");
    CHECK(base::base64url_decode(reply.header("replay-nonce")));
    CHECK(reply.body.empty());
  }
  CHECK(r.caller.post(url).status == 204);
  CHECK(r.caller.post(r.caller.url("/directory")).status == 200);
  CHECK(problem_of(r.caller.post(url, "{}")) == "malformed 400");
}

TEST_CASE("nonces: single use, our own only, base64url") {
  Registered r;
  std::string url = r.caller.account_url;
  std::string nonce = r.caller.nonce();
  auto with_nonce = [&](const std::string& value) {
    return r.caller.post_signed(url, r.caller.kid_header(value, url), "", r.caller.key);
  };
  CHECK(with_nonce(nonce).status == 200);
  Reply again = with_nonce(nonce);
  CHECK(problem_of(again) == "badNonce 400");
  CHECK(with_nonce(std::string(again.header("replay-nonce"))).status == 200);
  CHECK(problem_of(with_nonce("AAAA")) == "badNonce 400");
  CHECK(problem_of(with_nonce("not base64url!")) == "malformed 400");
  CHECK(problem_of(with_nonce("")) == "malformed 400");
  json::object header{{"alg", "ES256"}, {"kid", url}, {"url", url}};
  CHECK(problem_of(r.caller.post_signed(url, json::serialize(header), "", r.caller.key)) == "badNonce 400");
  header["nonce"] = 7;
  CHECK(problem_of(r.caller.post_signed(url, json::serialize(header), "", r.caller.key)) == "malformed 400");
}

TEST_CASE("a nonce is spent even when a later check fails, and kept when the signature is wrong") {
  Registered r;
  std::string url = r.caller.account_url;
  std::string nonce = r.caller.nonce();
  CHECK(problem_of(r.caller.post_signed(url, r.caller.kid_header(nonce, url), "[]", r.caller.key)) == "malformed 400");
  CHECK(problem_of(r.caller.post_signed(url, r.caller.kid_header(nonce, url), "", r.caller.key)) == "badNonce 400");
  nonce = r.caller.nonce();
  PrivateKey other = PrivateKey::generate();
  CHECK(problem_of(r.caller.post_signed(url, r.caller.kid_header(nonce, url), "", other)) == "malformed 400");
  CHECK(r.caller.post_signed(url, r.caller.kid_header(nonce, url), "", r.caller.key).status == 200);
}

TEST_CASE("only so many nonces are remembered, and only for so long") {
  Nonces nonces(3);
  const TimePoint start{std::chrono::seconds(1'790'000'000)};
  for (const char* nonce : {"a", "b", "c", "d"}) nonces.add(nonce, start);
  CHECK_FALSE(nonces.consume("a"));
  CHECK(nonces.consume("b"));
  CHECK_FALSE(nonces.consume("b"));
  CHECK(nonces.consume("d"));
  nonces.add("e", start + std::chrono::seconds(5));
  nonces.forget_older_than(start + std::chrono::seconds(5));
  CHECK(nonces.size() == 1);
  CHECK_FALSE(nonces.consume("c"));
  CHECK(nonces.consume("e"));
}

TEST_CASE("the shape of the JWS") {
  Registered r;
  std::string url = r.caller.account_url;
  auto changed = [&](const std::function<void(json::object&)>& change) {
    json::value value = json::parse(jose::sign_with_kid(r.caller.key, url, r.caller.nonce(), url, ""));
    change(value.as_object());
    return problem_of(r.caller.post_body(url, json::serialize(value)));
  };
  CHECK(changed([](json::object& jws) { jws["header"] = json::object(); }) == "malformed 400");
  CHECK(changed([](json::object& jws) { jws["signatures"] = json::array(); }) == "malformed 400");
  CHECK(changed([](json::object& jws) { jws.erase("payload"); }) == "malformed 400");
  CHECK(changed([](json::object& jws) { jws["signature"] = ""; }) == "malformed 400");
  CHECK(changed([](json::object& jws) { jws["protected"] = 1; }) == "malformed 400");
  CHECK(changed([](json::object& jws) { jws["signature"] = text_at(jws, "signature") + "=="; }) == "malformed 400");
  CHECK(changed([](json::object& jws) { jws["payload"] = "e30"; }) == "malformed 400");
  for (const char* body :
       {"", "[]", "\"x\"", "{", "\xff\xfe", "{\"protected\":\"e30\",\"payload\":\"\",\"signature\":\"AA\"}"})
    CHECK(problem_of(r.caller.post_body(url, body)) == "malformed 400");

  // The same member twice, in the JWS and in its header.
  std::string good = jose::sign_with_kid(r.caller.key, url, r.caller.nonce(), url, "");
  std::string twice = "{\"payload\":\"\"," + good.substr(1);
  CHECK(problem_of(r.caller.post_body(url, twice)) == "malformed 400");
  std::string header = r.caller.kid_header(r.caller.nonce(), url);
  CHECK(problem_of(r.caller.post_signed(url, "{\"alg\":\"none\"," + header.substr(1), "", r.caller.key)) ==
        "malformed 400");
}

TEST_CASE("the algorithm") {
  Registered r;
  std::string url = r.caller.account_url;
  for (const char* alg : {"none", "HS256", "ES256K", "PS256", "RS1", ""}) {
    json::object header{{"alg", alg}, {"kid", url}, {"nonce", r.caller.nonce()}, {"url", url}};
    Reply reply = r.caller.post_signed(url, json::serialize(header), "", r.caller.key);
    CHECK(problem_of(reply) == "badSignatureAlgorithm 400");
    json::array algorithms = body_of(reply).at("algorithms").as_array();
    CHECK(std::ranges::find(algorithms, json::value("ES256")) != algorithms.end());
    CHECK(std::ranges::find(algorithms, json::value("EdDSA")) != algorithms.end());
  }
  // One we have, but of another kind of key.
  json::object header{{"alg", "ES384"}, {"kid", url}, {"nonce", r.caller.nonce()}, {"url", url}};
  CHECK(problem_of(r.caller.post_signed(url, json::serialize(header), "", r.caller.key)) == "malformed 400");
  header["alg"] = "ES256";
  header["crit"] = json::array{"b64"};
  CHECK(problem_of(r.caller.post_signed(url, json::serialize(header), "", r.caller.key)) == "malformed 400");
}

TEST_CASE("jwk and kid: exactly one, and the right one") {
  Registered r;
  std::string account = r.caller.account_url;
  json::value jwk = json::parse(r.caller.key.public_jwk());
  auto send = [&](const std::string& url, json::object header, std::string_view payload) {
    header["alg"] = "ES256";
    header["nonce"] = r.caller.nonce();
    header["url"] = url;
    return problem_of(r.caller.post_signed(url, json::serialize(header), payload, r.caller.key));
  };
  CHECK(send(account, {{"kid", account}, {"jwk", jwk}}, "") == "malformed 400");
  CHECK(send(account, {}, "") == "malformed 400");
  CHECK(send(account, {{"jwk", jwk}}, "") == "malformed 400");
  CHECK(send(account, {{"kid", 5}}, "") == "malformed 400");
  CHECK(send(r.caller.url("/acme/new-account"), {{"kid", account}}, "{}") == "malformed 400");
  CHECK(send(account, {{"kid", "https://ca.test/acme/account/none"}}, "") == "accountDoesNotExist 400");
  CHECK(send(account, {{"kid", "https://elsewhere.test/acme/account/1"}}, "") == "accountDoesNotExist 400");
}

TEST_CASE("the url of the header must be the URL of the request") {
  Registered r;
  std::string url = r.caller.account_url;
  for (const std::string& wrong : {url + "/", url + "?", r.caller.url("/acme/new-order"), std::string()}) {
    Reply reply = r.caller.post_signed(url, r.caller.kid_header(r.caller.nonce(), wrong), "", r.caller.key);
    CHECK(problem_of(reply) == "unauthorized 403");
  }
}

TEST_CASE("public keys that are refused") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  std::string url = caller.url("/acme/new-account");
  auto send = [&](const json::object& jwk) {
    json::object header{{"alg", "ES256"}, {"jwk", jwk}, {"nonce", caller.nonce()}, {"url", url}};
    return problem_of(caller.post_signed(url, json::serialize(header), "{}", caller.key));
  };
  json::object good = json::parse(caller.key.public_jwk()).as_object();
  json::object off_curve = good;
  off_curve["y"] = good["x"];
  CHECK(send(off_curve) == "badPublicKey 400");
  json::object with_secret = good;
  with_secret["d"] = good["x"];
  CHECK(send(with_secret) == "badPublicKey 400");
  CHECK(send({{"kty", "oct"}, {"k", "AAAA"}}) == "badPublicKey 400");
  CHECK(send({}) == "badPublicKey 400");
  json::object other_alg = good;
  other_alg["alg"] = "ES384";
  CHECK(send(other_alg) == "badPublicKey 400");
}
