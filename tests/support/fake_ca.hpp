// An ACME server as a plain function from request to response, for transcripts: no sockets, no signatures checked.
// Knows one account and answers in the order a strict server would; every knob is a public member.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/json.hpp>

#include "base/base64.hpp"
#include "crypto/ca.hpp"
#include "culmen/certificate.hpp"
#include "culmen/flow.hpp"
#include "culmen/http.hpp"
#include "culmen/private_key.hpp"

namespace culmen::test {

class FakeCa {
 public:
  explicit FakeCa(std::vector<std::string> names_) : names(std::move(names_)), triggered(names.size(), 0) {}

  // Knobs.
  std::vector<std::string> names;
  int pending_polls = 0;     // the order stays pending for so many looks after all challenges were triggered
  int processing_polls = 0;  // and processing for so many after finalize
  int bad_nonces = 0;        // the next so many POSTs get badNonce
  int not_ready = 0;         // the next so many finalizes get orderNotReady
  bool refuse_replaces = false;
  bool authorized_before = false;
  bool finalize_location = true;
  bool alternates = false;
  std::optional<std::string> failing_name;
  std::string retry_after;                // with orders in progress
  std::string authorization_retry_after;  // with authorizations that are pending
  std::string directory_meta = R"({"termsOfService":"https://ca.test/terms"})";
  std::string http01_token_prefix = "token";
  int busy = 0;  // the next so many POSTs get 503
  std::string busy_retry_after;
  std::map<std::string, int>
      failing_attempts;                      // by name: so many validations leave the challenge pending with an error
  std::string attempt_error = "connection";  // its type
  bool stuck_authorizations = false;         // stay pending when their challenge is invalid
  bool attempts_in_reply = false;            // the reply to the trigger has that error already
  bool order_stays_pending = false;          // whatever becomes of the authorizations
  std::map<std::string, int> odd_replies;    // "POST /path": the next so many successful replies are no JSON
  std::optional<std::pair<int, std::string>> refuse_order;  // status and problem type, for orders with "replaces"
  std::string version;                                      // prefix of the endpoints: others answer 404
  int endpoint_status = 404;                                // or 410
  std::vector<std::string> extra_authorizations;            // names that were not ordered
  std::map<std::string, std::string> shown_as;              // the identifier in the authorization of a name
  bool keeps_contacts = true;
  std::string order_profile;
  bool endless_list = false;  // of delegations: its last page leads to its first

  // The certificate. Its times are those of the driver's clock.
  std::chrono::system_clock::time_point now{std::chrono::seconds(1'790'000'000)};
  std::chrono::seconds valid_from{-3600}, valid_until{23 * 3600};
  std::vector<std::string> extra_names;
  std::vector<std::string> missing_names;
  Bytes other_key;  // in place of the CSR's
  bool must_staple = false;

  // What happened.
  std::vector<std::string> log;  // "POST /new-order", …
  std::vector<std::string> nonces_given, nonces_used;
  std::vector<int> triggered;
  std::vector<std::string> payloads;
  Bytes finalized_key;  // SubjectPublicKeyInfo of the CSR that was accepted
  bool issued = false;
  bool deactivated = false;
  std::vector<std::string> contacts;
  std::vector<std::string> delegations;  // URLs, one a page
  std::vector<HttpRequest> requests;
  boost::json::object account_jwk;  // of the account's key; empty: any key will do
  bool revoked = false;
  bool authorization_deactivated = false;

  HttpResponse handle(const HttpRequest& request) {
    const std::string path = request.url.substr(std::string("https://ca.test").size());
    static const char* const methods[] = {"GET", "HEAD", "POST"};
    log.push_back(std::string(methods[static_cast<int>(request.method)]) + " " + path);
    requests.push_back(request);
    HttpResponse response = answer(request, path);
    const auto odd = odd_replies.find(log.back());
    if (odd != odd_replies.end() && odd->second > 0 && response.status < 300) {
      --odd->second;
      response.body = "<html>";
    }
    return response;
  }

 private:
  HttpResponse answer(const HttpRequest& request, const std::string& path) {
    if (request.method == HttpMethod::get && path.starts_with("/cert/")) {
      return finalized_key.empty() ? problem(request, 405, "malformed", "by POST only") : certificate(request, path);
    }
    if (request.method != HttpMethod::post) {
      if (path == "/dir") return directory(request);
      if (path == version + "/nonce") return plain(request, 200, "");
      if (path.starts_with(version + "/ari/")) {
        return plain(request, 200,
                     R"({"suggestedWindow":{"start":"2026-10-01T00:00:00Z","end":"2026-10-02T00:00:00Z"}})");
      }
      return plain(request, endpoint_status, "");
    }

    const boost::json::object jws = boost::json::parse(request.body).as_object();
    const boost::json::object header = boost::json::parse(decoded(jws.at("protected"))).as_object();
    const std::string payload = decoded(jws.at("payload"));
    payloads.push_back(payload);
    nonces_used.emplace_back(header.at("nonce").as_string());
    if (bad_nonces > 0) {
      --bad_nonces;
      return problem(request, 400, "badNonce", "try again");
    }
    if (busy > 0) {
      --busy;
      HttpResponse response = problem(request, 503, "rateLimited", "too many");
      if (!busy_retry_after.empty()) response.headers.emplace_back("retry-after", busy_retry_after);
      return response;
    }
    if (deactivated) return problem(request, 401, "unauthorized", "the account is deactivated");
    if (path == version + "/new-account") {
      const boost::json::object& jwk = header.at("jwk").as_object();
      if (account_jwk.empty() && payload.find("onlyReturnExisting") == payload.npos) account_jwk = jwk;
      if (jwk != account_jwk && !account_jwk.empty())
        return problem(request, 400, "accountDoesNotExist", "no such key");
      return account(request, 201);
    }
    if (path == version + "/key-change") {
      const boost::json::object inner =
          boost::json::parse(decoded(boost::json::parse(payload).at("protected"))).as_object();
      account_jwk = inner.at("jwk").as_object();
      return plain(request, 200, "");
    }
    if (!version.empty() && path.starts_with(version)) return route(request, path.substr(version.size()), payload);
    const bool endpoint = path == "/new-order" || path == "/revoke" || path == "/new-authz";
    if (endpoint && !version.empty()) return plain(request, endpoint_status, "");
    return route(request, path, payload);
  }

  static std::string decoded(const boost::json::value& text) {
    const auto bytes = base::base64url_decode(std::string(text.as_string()));
    return std::string(as_text(*bytes));
  }

  HttpResponse plain(const HttpRequest& request, int status, std::string body) {
    HttpResponse response;
    response.status = status;
    response.url = request.url;
    response.body = std::move(body);
    nonces_given.push_back("nonce" + std::to_string(nonces_given.size()));
    response.headers.emplace_back("replay-nonce", nonces_given.back());
    return response;
  }

  HttpResponse directory(const HttpRequest& request) {
    HttpResponse response;
    response.status = 200;
    response.url = request.url;
    const std::string base = "https://ca.test" + version;
    response.body = R"({"newNonce":")" + base + R"(/nonce","newAccount":")" + base + R"(/new-account","newOrder":")" +
                    base + R"(/new-order","revokeCert":")" + base + R"(/revoke","keyChange":")" + base +
                    R"(/key-change","newAuthz":")" + base + R"(/new-authz","renewalInfo":")" + base +
                    R"(/ari","meta":)" + directory_meta + "}";
    return response;
  }

  HttpResponse problem(const HttpRequest& request, int status, const std::string& type, const std::string& detail) {
    boost::json::object body;
    body["type"] = "urn:ietf:params:acme:error:" + type;
    body["detail"] = detail;
    HttpResponse response = plain(request, status, boost::json::serialize(body));
    response.headers.emplace_back("content-type", "application/problem+json");
    return response;
  }

  bool order_failed() const {
    if (!failing_name) return false;
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] == *failing_name && triggered[i] > 0) return true;
    }
    return false;
  }
  /// A name is valid when it was triggered more often than its validation fails.
  bool is_validated(std::size_t i) const {
    const auto failing = failing_attempts.find(names[i]);
    return authorized_before || triggered[i] > (failing == failing_attempts.end() ? 0 : failing->second);
  }
  bool all_triggered() const {
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (!is_validated(i)) return false;
    }
    return !order_stays_pending;
  }

  std::string order_status(bool look) {
    if (order_failed() && !order_stays_pending) return "invalid";
    if (issued) {
      if (processing_polls > 0) {
        if (look) --processing_polls;
        return "processing";
      }
      return "valid";
    }
    if (!all_triggered()) return "pending";
    if (pending_polls > 0) {
      if (look) --pending_polls;
      return "pending";
    }
    return "ready";
  }

  HttpResponse order(const HttpRequest& request, int http_status, bool look) {
    boost::json::object body;
    const std::string status = order_status(look);
    body["status"] = status;
    body["finalize"] = "https://ca.test/finalize/1";
    boost::json::array identifiers, authorizations;
    for (std::size_t i = names.size(); i-- > 0;) {  // in another order than asked for
      identifiers.push_back(boost::json::object{{"type", "dns"}, {"value", names[i]}});
      authorizations.push_back(boost::json::string("https://ca.test/authz/" + std::to_string(i)));
    }
    for (std::size_t i = 0; i < extra_authorizations.size(); ++i)
      authorizations.push_back(boost::json::string("https://ca.test/authz/" + std::to_string(names.size() + i)));
    body["identifiers"] = identifiers;
    if (!order_profile.empty()) body["profile"] = order_profile;
    body["authorizations"] = authorizations;
    if (status == "valid") body["certificate"] = "https://ca.test/cert/1";
    HttpResponse response = plain(request, http_status, boost::json::serialize(body));
    if (!retry_after.empty() && (status == "pending" || status == "processing")) {
      response.headers.emplace_back("retry-after", retry_after);
    }
    return response;
  }

  boost::json::object challenge_of(std::size_t i) {
    const bool extra = i >= names.size();
    const bool failed = !extra && failing_name && *failing_name == names[i] && triggered[i] > 0;
    const bool valid = !extra && !failed && is_validated(i);
    boost::json::object challenge{{"type", "http-01"},
                                  {"url", "https://ca.test/chall/" + std::to_string(i)},
                                  {"status", failed  ? "invalid"
                                             : valid ? "valid"
                                                     : "pending"},
                                  {"token", http01_token_prefix + std::to_string(i)}};
    if (failed || (!valid && !extra && triggered[i] > 0)) {
      challenge["error"] =
          boost::json::object{{"type", "urn:ietf:params:acme:error:" + (failed ? "unauthorized" : attempt_error)},
                              {"detail", failed ? "wrong answer" : "nobody answered"}};
    }
    return challenge;
  }

  HttpResponse authorization(const HttpRequest& request, std::size_t i) {
    const boost::json::object challenge = challenge_of(i);
    boost::json::object unknown{{"type", "brand-new-02"}, {"url", "https://ca.test/chall/x"}};
    std::string value = i < names.size() ? names[i] : extra_authorizations.at(i - names.size());
    if (shown_as.contains(value)) value = shown_as.at(value);
    boost::json::object body{{"status", challenge.at("status")},
                             {"challenges", boost::json::array{unknown, challenge}}};
    if (authorization_deactivated) body["status"] = "deactivated";
    if (stuck_authorizations && body["status"] == "invalid") body["status"] = "pending";
    if (value.starts_with("*.")) {
      value.erase(0, 2);
      body["wildcard"] = true;
    }
    body["identifier"] = boost::json::object{{"type", "dns"}, {"value", value}};
    HttpResponse response = plain(request, 200, boost::json::serialize(body));
    if (!authorization_retry_after.empty() && body["status"] == "pending")
      response.headers.emplace_back("retry-after", authorization_retry_after);
    return response;
  }

  HttpResponse account(const HttpRequest& request, int status) {
    boost::json::array contact;
    if (keeps_contacts) contact = boost::json::array(contacts.begin(), contacts.end());
    boost::json::object body{{"status", deactivated ? "deactivated" : "valid"}, {"contact", contact}};
    if (!delegations.empty()) body["delegations"] = "https://ca.test/delegations/0";
    HttpResponse response = plain(request, status, boost::json::serialize(body));
    response.headers.emplace_back("location", "https://ca.test/acct/1");
    return response;
  }

  HttpResponse route(const HttpRequest& request, const std::string& path, const std::string& payload) {
    const auto index = [&path] { return static_cast<std::size_t>(std::stoul(path.substr(path.rfind('/') + 1))); };
    if (path == "/revoke") {
      if (std::exchange(revoked, true)) return problem(request, 400, "alreadyRevoked", "it is revoked");
      return plain(request, 200, "");
    }
    if (path == "/new-authz") {
      HttpResponse response = authorization(request, 0);
      response.status = 201;
      response.headers.emplace_back("location", "https://ca.test/authz/0");
      return response;
    }
    if (path == "/acct/1") {
      if (!payload.empty()) {
        const boost::json::object update = boost::json::parse(payload).as_object();
        if (update.contains("status")) deactivated = true;
        if (update.contains("contact")) {
          contacts.clear();
          for (const auto& contact : update.at("contact").as_array()) contacts.emplace_back(contact.as_string());
        }
      }
      return account(request, 200);
    }
    if (path == "/new-order") {
      if (refuse_replaces && payload.find("replaces") != std::string::npos) {
        return problem(request, 409, "alreadyReplaced", "has been replaced");
      }
      if (refuse_order && payload.find("replaces") != std::string::npos)
        return problem(request, refuse_order->first, refuse_order->second, "refused");
      HttpResponse response = order(request, 201, false);
      response.headers.emplace_back("location", "https://ca.test/order/1");
      return response;
    }
    if (path == "/order/1") return order(request, 200, true);
    if (path.starts_with("/authz/")) {
      if (!payload.empty()) {
        if (std::exchange(authorization_deactivated, true)) return problem(request, 400, "malformed", "it is final");
      }
      return authorization(request, index());
    }
    if (path.starts_with("/chall/")) {
      if (!payload.empty()) ++triggered[index()];
      boost::json::object challenge = challenge_of(index());
      const bool told = challenge.at("status") == "pending" && (attempts_in_reply || triggered[index()] == 0);
      if (!told) {
        challenge["status"] = "processing";
        challenge.erase("error");
      }
      challenge.erase("token");
      return plain(request, 200, boost::json::serialize(challenge));
    }
    if (path.starts_with("/delegations/")) {
      HttpResponse page = plain(request, 200, R"({"delegations":[")" + delegations.at(index()) + "\"]}");
      const std::size_t next = endless_list ? (index() + 1) % delegations.size() : index() + 1;
      if (next < delegations.size())
        page.headers.emplace_back("link", "</delegations/" + std::to_string(next) + ">;rel=\"next\"");
      return page;
    }
    if (path == "/delegation/1")
      return plain(
          request, 200,
          R"({"csr-template":{"extensions":{"subjectAltName":{"DNS":["example.com"]}}},"cname-map":{"a.":"b."}})");
    if (path == "/finalize/1") return finalize(request, payload);
    if (path.starts_with("/cert/")) return certificate(request, path);
    return problem(request, 404, "malformed", "no such thing");
  }

  HttpResponse finalize(const HttpRequest& request, const std::string& payload) {
    if (not_ready > 0) {
      --not_ready;
      return problem(request, 403, "orderNotReady", "in a moment");
    }
    if (order_status(false) != "ready") return problem(request, 403, "orderNotReady", "it is " + order_status(false));
    const auto csr = base::base64url_decode(std::string(boost::json::parse(payload).at("csr").as_string()));
    finalized_key = crypto::parse_csr(*csr).public_key_der;
    issued = true;
    HttpResponse response = order(request, 200, false);
    if (finalize_location) response.headers.emplace_back("location", "https://ca.test/order/1");
    return response;
  }

  HttpResponse certificate(const HttpRequest& request, const std::string& path) {
    crypto::CertificateTemplate root;
    root.common_name = path == "/cert/1" ? "Standard Root" : "Other Root";
    const PrivateKey root_key = PrivateKey::generate("ec:P-256");
    root.public_key_der = root_key.public_key_der();
    root.not_before = now - std::chrono::hours(1);
    root.not_after = now + std::chrono::hours(2400);
    root.is_ca = true;
    const Bytes root_der = crypto::sign_certificate(root, root_key);
    crypto::CertificateTemplate leaf;
    for (const std::string& name : names) {
      if (std::ranges::find(missing_names, name) == missing_names.end()) leaf.identifiers.emplace_back("dns", name);
    }
    for (const std::string& name : extra_names) leaf.identifiers.emplace_back("dns", name);
    leaf.public_key_der = other_key.empty() ? finalized_key : other_key;
    leaf.not_before = now + valid_from;
    leaf.not_after = now + valid_until;
    if (must_staple) leaf.extensions.emplace_back("1.3.6.1.5.5.7.1.24", Bytes{0x30, 0x03, 0x02, 0x01, 0x05});
    HttpResponse response =
        plain(request, 200, der_to_pem(crypto::sign_certificate(leaf, root_key, root_der)) + "\r\n");
    if (alternates && path == "/cert/1") response.headers.emplace_back("link", "</cert/2>;rel=\"alternate\"");
    return response;
  }
};

}  // namespace culmen::test
