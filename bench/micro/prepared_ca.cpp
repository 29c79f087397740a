#include "prepared_ca.hpp"

#include <chrono>
#include <utility>

#include "crypto/ca.hpp"
#include "culmen/certificate.hpp"

namespace culmen::bench {

PreparedCa::PreparedCa(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) names.push_back("host" + std::to_string(i) + ".example.com");
  const std::string json = "application/json";
  add(directory_url, 200, json,
      R"({"newNonce":")" + base + R"(/acme/new-nonce","newAccount":")" + base + R"(/acme/new-acct","newOrder":")" +
          base + R"(/acme/new-order","revokeCert":")" + base + R"(/acme/revoke-cert","keyChange":")" + base +
          R"(/acme/key-change","meta":{"termsOfService":"https://example.org/terms"}})");
  add(base + "/acme/new-nonce", 200, "", "");
  add_order(base + "/acme/new-order", 201, "pending");
  answers_.at(base + "/acme/new-order").headers.emplace_back("location", order_url);
  add_order(order_url, 200, "ready");
  add_order(base + "/acme/finalize/1", 200, "valid");
  for (std::size_t i = 0; i < count; ++i) {
    const std::string challenges = base + "/acme/chall/1234567890/61234567" + std::to_string(i) + "/";
    std::string body = R"({"identifier":{"type":"dns","value":")" + names[i] +
                       R"("},"status":"pending","expires":"2030-01-01T00:00:00Z","challenges":[)";
    for (const std::string type : {"http-01", "dns-01", "tls-alpn-01"}) {
      const std::string challenge = R"({"type":")" + type + R"(","url":")" + challenges + type +
                                    R"(","status":"pending","token":"LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"})";
      body += (type == "http-01" ? "" : ",") + challenge;
      add(challenges + type, 200, json, challenge);
    }
    add(base + "/acme/authz/1234567890/61234567" + std::to_string(i), 200, json, body + "]}");
  }
  add(base + "/acme/cert/1", 200, "application/pem-certificate-chain", chain());
}

void PreparedCa::add(std::string url, int status, std::string content_type, std::string body) {
  HttpResponse response;
  response.status = status;
  response.url = url;
  response.headers = {{"server", "nginx"},
                      {"date", "Tue, 01 Jan 2030 00:00:00 GMT"},
                      {"content-type", std::move(content_type)},
                      {"content-length", std::to_string(body.size())},
                      {"cache-control", "public, max-age=0, no-cache"},
                      {"link", "<" + directory_url + ">;rel=\"index\""},
                      {"replay-nonce", "D8s4D2mLs8Vn-goWuPQeKAuXSLVRnmtfA7zPqLtXl0o"},
                      {"x-frame-options", "DENY"},
                      {"strict-transport-security", "max-age=604800"}};
  response.body = std::move(body);
  answers_.insert_or_assign(std::move(url), std::move(response));
}

void PreparedCa::add_order(std::string url, int status, std::string_view order_status) {
  std::string body =
      R"({"status":")" + std::string(order_status) + R"(","expires":"2030-01-01T00:00:00Z","identifiers":[)";
  std::string authorizations;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string comma = i == 0 ? "" : ",";
    body += comma + R"({"type":"dns","value":")" + names[i] + R"("})";
    authorizations += comma + "\"" + base + "/acme/authz/1234567890/61234567" + std::to_string(i) + "\"";
  }
  body += R"(],"authorizations":[)" + authorizations + R"(],"finalize":")" + base + R"(/acme/finalize/1")";
  if (order_status == "valid") body += R"(,"certificate":")" + base + R"(/acme/cert/1")";
  add(std::move(url), status, "application/json", body + "}");
}

/// A leaf and its issuer, as a CA hands them out.
std::string PreparedCa::chain() const {
  const PrivateKey root_key = PrivateKey::generate("ec:P-256");
  crypto::CertificateTemplate root;
  root.common_name = "Prepared Root";
  root.public_key_der = root_key.public_key_der();
  root.not_before = std::chrono::system_clock::now() - std::chrono::hours(1);
  root.not_after = root.not_before + std::chrono::hours(2400);
  root.is_ca = true;
  const Bytes root_der = crypto::sign_certificate(root, root_key);
  crypto::CertificateTemplate leaf;
  for (const std::string& name : names) leaf.identifiers.emplace_back("dns", name);
  leaf.public_key_der = certificate_key.public_key_der();
  leaf.not_before = root.not_before;
  leaf.not_after = root.not_before + std::chrono::hours(24);
  return der_to_pem(crypto::sign_certificate(leaf, root_key, root_der)) + der_to_pem(root_der);
}

}  // namespace culmen::bench
