// RFC 8555 §7.3.
#include <doctest/doctest.h>

#include <set>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "acme_caller.hpp"
#include "base/base64.hpp"
#include "crypto/random.hpp"
#include "jose/jws.hpp"

using namespace culmen;
using namespace culmen::testca;
namespace json = boost::json;

TEST_CASE("newAccount: 201 with Location, then 200 for the same key whatever is asked") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  Reply created =
      caller.register_account(R"({"contact":["mailto:ops@example.com"],"surprise":1,"orders":"https://x/"})");
  REQUIRE(created.status == 201);
  json::object account = body_of(created);
  CHECK(text_at(account, "status") == "valid");
  CHECK(account.at("contact") == json::value(json::array{"mailto:ops@example.com"}));
  CHECK(text_at(account, "orders") == caller.account_url + "/orders");
  CHECK_FALSE(account.contains("surprise"));
  CHECK_FALSE(account.contains("termsOfServiceAgreed"));

  Reply again = caller.post_with_jwk(caller.url("/acme/new-account"), R"({"contact":["mailto:other@example.com"]})");
  CHECK(again.status == 200);
  CHECK(again.header("location") == caller.account_url);
  CHECK(body_of(again).at("contact") == json::value(json::array{"mailto:ops@example.com"}));
  CHECK(caller.post_with_jwk(caller.url("/acme/new-account"), R"({"onlyReturnExisting":true})").status == 200);
  AcmeCaller stranger = ca.caller();
  CHECK(problem_of(stranger.register_account(R"({"onlyReturnExisting":true})")) == "accountDoesNotExist 400");
  CHECK(problem_of(stranger.register_account(R"({"onlyReturnExisting":1})")) == "malformed 400");
  CHECK(problem_of(stranger.register_account("")) == "malformed 400");
}

TEST_CASE("contacts are checked") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  auto with = [&](const std::string& contact) {
    return problem_of(caller.register_account(json::serialize(json::object{{"contact", json::array{contact}}})));
  };
  CHECK(with("tel:+123") == "unsupportedContact 400");
  CHECK(with("ops@example.com") == "invalidContact 400");
  CHECK(with("mailto:ops@example.com?subject=x") == "invalidContact 400");
  CHECK(with("mailto:a@example.com,b@example.com") == "invalidContact 400");
  CHECK(with("mailto:nobody") == "invalidContact 400");
  CHECK(with("mailto:@example.com") == "invalidContact 400");
  CHECK(problem_of(caller.register_account(R"({"contact":"mailto:a@example.com"})")) == "malformed 400");
  CHECK(caller.register_account(R"({"contact":["mailto:a@example.com"]})").status == 201);
}

TEST_CASE("terms of service must be agreed to") {
  TestCaOptions options;
  options.terms_of_service = "https://ca.test/terms";
  InProcess ca(options);
  AcmeCaller caller = ca.caller();
  CHECK(text_at(body_of(caller.get(caller.url("/directory"))).at("meta").as_object(), "termsOfService") ==
        "https://ca.test/terms");
  Reply refused = caller.register_account();
  CHECK(problem_of(refused) == "userActionRequired 403");
  CHECK(refused.header("link") == "<https://ca.test/terms>;rel=\"terms-of-service\"");
  CHECK(text_at(body_of(refused), "instance") == "https://ca.test/terms");
  Reply agreed = caller.register_account(R"({"termsOfServiceAgreed":true})");
  CHECK(agreed.status == 201);
  CHECK(body_of(agreed).at("termsOfServiceAgreed").as_bool());
}

TEST_CASE("external account binding is verified and echoed") {
  TestCaOptions options;
  options.external_account_required = true;
  Bytes mac_key = crypto::random_bytes(32);
  options.eab_keys["kid-1"] = mac_key;
  InProcess ca(options);
  AcmeCaller caller = ca.caller();
  std::string url = caller.url("/acme/new-account");
  CHECK(body_of(caller.get(caller.url("/directory"))).at("meta").at("externalAccountRequired").as_bool());
  CHECK(problem_of(caller.register_account()) == "externalAccountRequired 403");

  auto mac_jws = [&](json::object header, const std::string& payload, const Bytes& key) {
    std::string head = base::base64url_encode(json::serialize(header));
    std::string body = base::base64url_encode(payload);
    std::string alg = header.at("alg").as_string().c_str();
    Bytes mac = crypto::hmac(alg.starts_with("HS") ? alg : "HS256", key, as_bytes(head + "." + body));
    json::object jws{{"protected", head}, {"payload", body}, {"signature", base::base64url_encode(mac)}};
    return problem_of(caller.register_account(json::serialize(json::object{{"externalAccountBinding", jws}})));
  };
  std::string jwk = caller.key.public_jwk();
  json::object header{{"alg", "HS256"}, {"kid", "kid-1"}, {"url", url}};
  auto changed = [&](const char* name, const std::string& value) {
    json::object copy = header;
    copy[name] = value;
    return mac_jws(copy, jwk, mac_key);
  };
  CHECK(changed("alg", "ES256") == "malformed 400");
  CHECK(changed("url", caller.url("/acme/new-order")) == "malformed 400");
  CHECK(changed("nonce", "AAAA") == "malformed 400");
  CHECK(changed("kid", "kid-2") == "unauthorized 403");
  CHECK(mac_jws(header, jwk, crypto::random_bytes(32)) == "unauthorized 403");
  CHECK(mac_jws(header, PrivateKey::generate().public_jwk(), mac_key) == "badPublicKey 400");
  CHECK(problem_of(caller.register_account(R"({"externalAccountBinding":{"protected":"e30"}})")) == "malformed 400");

  for (const char* alg : {"HS256", "HS384", "HS512"}) {
    AcmeCaller bound = ca.caller();
    auto binding = jose::external_account_binding(EabOptions("kid-1", mac_key, alg), url, bound.key);
    REQUIRE(binding);
    Reply created = bound.register_account("{\"externalAccountBinding\":" + *binding + "}");
    CHECK(created.status == 201);
    CHECK(body_of(created).at("externalAccountBinding") == json::parse(*binding));
  }
}

TEST_CASE("update and deactivation") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  caller.register_account(R"({"contact":["mailto:a@example.com"]})");
  json::object updated =
      body_of(caller.post(caller.account_url, R"({"contact":["mailto:b@example.com"],"status":"revoked"})"));
  CHECK(updated.at("contact") == json::value(json::array{"mailto:b@example.com"}));
  CHECK(text_at(updated, "status") == "valid");
  CHECK_FALSE(body_of(caller.post(caller.account_url, R"({"contact":[]})")).contains("contact"));
  CHECK(problem_of(caller.post(caller.account_url, R"({"contact":["tel:1"]})")) == "unsupportedContact 400");
  CHECK(problem_of(caller.post(caller.account_url, "[]")) == "malformed 400");

  AcmeCaller other = ca.caller();
  other.register_account();
  CHECK(problem_of(other.post(caller.account_url)) == "unauthorized 403");

  caller.new_order({"pending.example"});
  CHECK(text_at(body_of(caller.post(caller.account_url, R"({"status":"deactivated"})")), "status") == "deactivated");
  CHECK(problem_of(caller.post(caller.account_url)) == "unauthorized 401");
  CHECK(problem_of(caller.new_order({"a.example"})) == "unauthorized 401");
  CHECK(problem_of(caller.post_with_jwk(caller.url("/acme/new-account"), "{}")) == "unauthorized 403");
}

TEST_CASE("key change: every check, 409 with Location, and the new key alone works afterwards") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  AcmeCaller other = ca.caller();
  caller.register_account();
  other.register_account();
  std::string url = caller.url("/acme/key-change");
  PrivateKey fresh = PrivateKey::generate("ec:P-384");

  json::object header{{"alg", "ES384"}, {"jwk", json::parse(fresh.public_jwk())}, {"url", url}};
  json::object payload{{"account", caller.account_url}, {"oldKey", json::parse(caller.key.public_jwk())}};
  auto send = [&](const json::object& head, const json::object& body, const PrivateKey& signer) {
    return problem_of(caller.post(url, jws_text(json::serialize(head), json::serialize(body), signer)));
  };
  auto changed = [](json::object object, const char* name, const auto& value) {
    object[name] = value;
    return object;
  };
  auto without = [](json::object object, const char* name) {
    object.erase(name);
    return object;
  };
  CHECK(send(changed(header, "nonce", caller.nonce()), payload, fresh) == "malformed 400");
  CHECK(send(changed(header, "kid", caller.account_url), payload, fresh) == "malformed 400");
  CHECK(send(changed(header, "url", caller.account_url), payload, fresh) == "malformed 400");
  CHECK(send(changed(header, "alg", "none"), payload, fresh) == "badSignatureAlgorithm 400");
  CHECK(send(changed(header, "jwk", json::object{{"kty", "EC"}}), payload, fresh) == "badPublicKey 400");
  CHECK(send(without(header, "jwk"), payload, fresh) == "malformed 400");
  CHECK(send(header, payload, PrivateKey::generate("ec:P-384")) == "malformed 400");
  CHECK(send(header, changed(payload, "account", other.account_url), fresh) == "malformed 400");
  CHECK(send(header, changed(payload, "oldKey", json::parse(other.key.public_jwk())), fresh) == "malformed 400");
  CHECK(send(header, without(payload, "oldKey"), fresh) == "malformed 400");
  CHECK(problem_of(caller.post(url, "{}")) == "malformed 400");

  auto change_to = [&](const PrivateKey& key) {
    return caller.post(url, jose::key_change_payload(caller.key, key, caller.account_url, url));
  };
  CHECK(problem_of(change_to(caller.key)) == "malformed 400");
  Reply conflict = change_to(other.key);
  CHECK(problem_of(conflict) == "malformed 409");
  CHECK(conflict.header("location") == other.account_url);

  CHECK(change_to(fresh).status == 200);
  PrivateKey old = std::exchange(caller.key, fresh);
  CHECK(caller.post(caller.account_url).status == 200);
  Reply found = caller.post_with_jwk(caller.url("/acme/new-account"), R"({"onlyReturnExisting":true})");
  CHECK(found.header("location") == caller.account_url);
  caller.key = old;
  CHECK(problem_of(caller.post(caller.account_url)) == "malformed 400");
}

TEST_CASE("the list of orders is paged and leaves invalid orders out") {
  InProcess ca;
  AcmeCaller caller = ca.caller();
  caller.register_account();
  std::string list = text_at(body_of(caller.post(caller.account_url)), "orders");
  CHECK(body_of(caller.post(list)).at("orders").as_array().empty());
  std::set<std::string> made;
  for (int i = 0; i < 7; ++i)
    made.insert(std::string(caller.new_order({"n" + std::to_string(i) + ".example"}).header("location")));
  json::object doomed = body_of(caller.new_order({"doomed.example"}));
  caller.post(std::string(doomed.at("authorizations").at(0).as_string()), R"({"status":"deactivated"})");

  std::set<std::string> listed;
  std::string page = list;
  int pages = 0;
  while (!page.empty()) {
    Reply reply = caller.post(page);
    REQUIRE(reply.status == 200);
    ++pages;
    json::object body = body_of(reply);
    for (const json::value& order : body.at("orders").as_array()) listed.emplace(order.as_string());
    page.clear();
    for (const auto& [name, value] : reply.headers)
      if (name == "Link" && value.ends_with(";rel=\"next\"")) page = value.substr(1, value.find('>') - 1);
  }
  CHECK(pages == 3);
  CHECK(listed == made);
  CHECK(problem_of(caller.post(list + "?cursor=x")) == "malformed 404");
  CHECK(problem_of(caller.post(list, "{}")) == "malformed 400");
  AcmeCaller other = ca.caller();
  other.register_account();
  CHECK(problem_of(other.post(list)) == "unauthorized 403");
}
