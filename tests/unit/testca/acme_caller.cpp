#include "acme_caller.hpp"

#include <doctest/doctest.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/base64.hpp"
#include "culmen/csr.hpp"
#include "jose/jws.hpp"

namespace culmen::testca {

namespace json = boost::json;

AcmeCaller::AcmeCaller(Transport transport, std::string base_url, std::string_view key_type)
    : key(PrivateKey::generate(key_type)), transport_(std::move(transport)), base_url_(std::move(base_url)) {}

Reply AcmeCaller::get(const std::string& url, const std::string& method) {
  Request request;
  request.method = method;
  request.target = url.substr(base_url_.size());
  request.headers = {{"user-agent", "by-hand/1"}};
  return transport_(request);
}

std::string AcmeCaller::nonce() { return std::string(get(url("/acme/new-nonce"), "HEAD").header("replay-nonce")); }

Reply AcmeCaller::post(const std::string& url, std::string_view payload) {
  return post_body(url, jose::sign_with_kid(key, account_url, nonce(), url, payload));
}

Reply AcmeCaller::post_with_jwk(const std::string& url, std::string_view payload) {
  return post_body(url, jose::sign_with_jwk(key, nonce(), url, payload));
}

Reply AcmeCaller::post_signed(const std::string& url, const std::string& header, std::string_view payload,
                              const PrivateKey& signer) {
  return post_body(url, jws_text(header, payload, signer));
}

Reply AcmeCaller::post_body(const std::string& url, std::string body, const std::string& content_type) {
  Request request;
  request.method = "POST";
  request.target = url.substr(base_url_.size());
  request.headers = {{"user-agent", "by-hand/1"}, {"content-type", content_type}};
  request.body = std::move(body);
  return transport_(request);
}

Reply AcmeCaller::register_account(std::string_view payload) {
  Reply reply = post_with_jwk(url("/acme/new-account"), payload);
  account_url = std::string(reply.header("location"));
  return reply;
}

Reply AcmeCaller::new_order(const std::vector<std::string>& names) {
  json::array identifiers;
  for (const std::string& name : names) {
    Identifier identifier = Identifier::parse(name);
    identifiers.push_back(json::object{{"type", identifier.type}, {"value", identifier.value}});
  }
  return post(url("/acme/new-order"), json::serialize(json::object{{"identifiers", identifiers}}));
}

void AcmeCaller::answer_challenges(const json::object& order, std::string_view type) {
  for (const json::value& authz_url : order.at("authorizations").as_array()) {
    json::object authz = body_of(post(std::string(authz_url.as_string())));
    for (const json::value& challenge : authz.at("challenges").as_array())
      if (text_at(challenge.as_object(), "type") == type) post(text_at(challenge.as_object(), "url"), "{}");
  }
}

Reply AcmeCaller::finalize(const json::object& order, const std::vector<std::string>& names,
                           const PrivateKey& certificate_key) {
  return post(text_at(order, "finalize"), csr_payload(names, certificate_key));
}

std::string AcmeCaller::issue(const std::vector<std::string>& names, const PrivateKey& certificate_key) {
  json::object order = body_of(new_order(names));
  answer_challenges(order);
  json::object done = body_of(finalize(order, names, certificate_key));
  return post(text_at(done, "certificate")).body;
}

std::string AcmeCaller::kid_header(const std::string& nonce, const std::string& url) const {
  return json::serialize(json::object{{"alg", key.alg()}, {"kid", account_url}, {"nonce", nonce}, {"url", url}});
}

std::string AcmeCaller::jwk_header(const std::string& nonce, const std::string& url) const {
  return json::serialize(
      json::object{{"alg", key.alg()}, {"jwk", json::parse(key.public_jwk())}, {"nonce", nonce}, {"url", url}});
}

std::string jws_text(const std::string& header, std::string_view payload, const PrivateKey& signer) {
  std::string head = base::base64url_encode(header);
  std::string body = base::base64url_encode(payload);
  std::string signature = base::base64url_encode(signer.sign(as_bytes(head + "." + body)));
  return json::serialize(json::object{{"protected", head}, {"payload", body}, {"signature", signature}});
}

json::object body_of(const Reply& reply) {
  boost::system::error_code error;
  json::value value = json::parse(reply.body, error);
  REQUIRE_MESSAGE(value.is_object(), reply.status, " ", reply.body);
  return value.get_object();
}

std::string text_at(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  REQUIRE_MESSAGE((found && found->is_string()), name, " in ", json::serialize(object));
  return std::string(found->get_string());
}

std::string problem_of(const Reply& reply) {
  if (reply.header("content-type") != "application/problem+json")
    return std::to_string(reply.status) + " " + reply.body;
  json::object problem = body_of(reply);
  CHECK(problem.at("status").as_int64() == reply.status);
  std::string type = text_at(problem, "type");
  constexpr std::string_view prefix = "urn:ietf:params:acme:error:";
  REQUIRE(type.starts_with(prefix));
  return type.substr(prefix.size()) + " " + std::to_string(reply.status);
}

std::string csr_payload(const std::vector<std::string>& names, const PrivateKey& key) {
  return json::serialize(json::object{{"csr", base::base64url_encode(build_csr(names, key))}});
}

namespace {

TestCaOptions with_validation(TestCaOptions options, bool real) {
  options.skip_validation = options.skip_validation || !real;
  return options;
}

}  // namespace

InProcess::InProcess(TestCaOptions options, const std::map<std::string, Validator>& validators)
    : server(with_validation(std::move(options), !validators.empty()), validators) {
  server.set_base_url("https://ca.test");
}

AcmeCaller InProcess::caller(std::string_view key_type) {
  return AcmeCaller([this](const Request& request) { return server.handle(request); }, "https://ca.test", key_type);
}

}  // namespace culmen::testca
