// An ACME server as a plain function from request to response, for transcripts: no sockets, no signatures checked.
// Knows one account and answers in the order a strict server would; every knob is a public member.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
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
  std::string retry_after;  // with orders in progress
  std::string directory_meta = R"({"termsOfService":"https://ca.test/terms"})";
  std::string http01_token_prefix = "token";
  int busy = 0;  // the next so many POSTs get 503
  std::string busy_retry_after;

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

  HttpResponse handle(const HttpRequest& request) {
    const std::string path = request.url.substr(std::string("https://ca.test").size());
    static const char* const methods[] = {"GET", "HEAD", "POST"};
    log.push_back(std::string(methods[static_cast<int>(request.method)]) + " " + path);
    if (request.method == HttpMethod::get && path.starts_with("/cert/")) {
      return finalized_key.empty() ? problem(request, 405, "malformed", "by POST only") : certificate(request, path);
    }
    if (request.method != HttpMethod::post) return path == "/dir" ? directory(request) : plain(request, 200, "");

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
    return route(request, path, payload);
  }

 private:
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
    response.body =
        R"({"newNonce":"https://ca.test/nonce","newAccount":"https://ca.test/new-account","newOrder":"https://ca.test/new-order",)"
        R"("revokeCert":"https://ca.test/revoke","keyChange":"https://ca.test/key-change","newAuthz":"https://ca.test/new-authz",)"
        R"("meta":)" +
        directory_meta + "}";
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
  bool all_triggered() const {
    if (authorized_before) return true;
    for (const int times : triggered) {
      if (times == 0) return false;
    }
    return true;
  }

  std::string order_status(bool look) {
    if (order_failed()) return "invalid";
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
    body["identifiers"] = identifiers;
    body["authorizations"] = authorizations;
    if (status == "valid") body["certificate"] = "https://ca.test/cert/1";
    HttpResponse response = plain(request, http_status, boost::json::serialize(body));
    if (!retry_after.empty() && (status == "pending" || status == "processing")) {
      response.headers.emplace_back("retry-after", retry_after);
    }
    return response;
  }

  HttpResponse authorization(const HttpRequest& request, std::size_t i) {
    const bool failed = failing_name && *failing_name == names[i] && triggered[i] > 0;
    const std::string status = failed ? "invalid" : authorized_before || triggered[i] > 0 ? "valid" : "pending";
    boost::json::object challenge{{"type", "http-01"},
                                  {"url", "https://ca.test/chall/" + std::to_string(i)},
                                  {"status", status},
                                  {"token", http01_token_prefix + std::to_string(i)}};
    if (failed) {
      challenge["error"] =
          boost::json::object{{"type", "urn:ietf:params:acme:error:unauthorized"}, {"detail", "wrong answer"}};
    }
    boost::json::object unknown{{"type", "brand-new-02"}, {"url", "https://ca.test/chall/x"}};
    std::string value = names[i];
    boost::json::object body{{"status", status}, {"challenges", boost::json::array{unknown, challenge}}};
    if (value.starts_with("*.")) {
      value.erase(0, 2);
      body["wildcard"] = true;
    }
    body["identifier"] = boost::json::object{{"type", "dns"}, {"value", value}};
    return plain(request, 200, boost::json::serialize(body));
  }

  HttpResponse account(const HttpRequest& request, int status) {
    boost::json::array contact(contacts.begin(), contacts.end());
    boost::json::object body{{"status", deactivated ? "deactivated" : "valid"}, {"contact", contact}};
    if (!delegations.empty()) body["delegations"] = "https://ca.test/delegations/0";
    HttpResponse response = plain(request, status, boost::json::serialize(body));
    response.headers.emplace_back("location", "https://ca.test/acct/1");
    return response;
  }

  HttpResponse route(const HttpRequest& request, const std::string& path, const std::string& payload) {
    const auto index = [&path] { return static_cast<std::size_t>(std::stoul(path.substr(path.rfind('/') + 1))); };
    if (path == "/new-account") return account(request, 201);
    if (path == "/key-change") return plain(request, 200, "");
    if (path == "/revoke") return plain(request, 200, "");
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
      HttpResponse response = order(request, 201, false);
      response.headers.emplace_back("location", "https://ca.test/order/1");
      return response;
    }
    if (path == "/order/1") return order(request, 200, true);
    if (path.starts_with("/authz/")) return authorization(request, index());
    if (path.starts_with("/chall/")) {
      ++triggered[index()];
      return plain(request, 200,
                   R"({"type":"http-01","url":"https://ca.test/chall/)" + std::to_string(index()) +
                       R"(","status":"processing"})");
    }
    if (path.starts_with("/delegations/")) {
      HttpResponse page = plain(request, 200, R"({"delegations":[")" + delegations.at(index()) + "\"]}");
      if (index() + 1 < delegations.size())
        page.headers.emplace_back("link", "</delegations/" + std::to_string(index() + 1) + ">;rel=\"next\"");
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
    root.not_before = std::chrono::system_clock::now() - std::chrono::hours(1);
    root.not_after = root.not_before + std::chrono::hours(2400);
    root.is_ca = true;
    const Bytes root_der = crypto::sign_certificate(root, root_key);
    crypto::CertificateTemplate leaf;
    for (const std::string& name : names) leaf.identifiers.emplace_back("dns", name);
    leaf.public_key_der = finalized_key;
    leaf.not_before = root.not_before;
    leaf.not_after = root.not_before + std::chrono::hours(24);
    HttpResponse response =
        plain(request, 200, der_to_pem(crypto::sign_certificate(leaf, root_key, root_der)) + "\r\n");
    if (alternates && path == "/cert/1") response.headers.emplace_back("link", "</cert/2>;rel=\"alternate\"");
    return response;
  }
};

}  // namespace culmen::test
