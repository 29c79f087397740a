// Requests made by hand, for tests: no part of culmen's client takes part.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "culmen/private_key.hpp"
#include "testca/acme_server.hpp"
#include "testca/http_message.hpp"

namespace culmen::testca {

/// One key (and its account, once there is one) that talks to one CA.
class AcmeCaller {
 public:
  using Transport = std::function<Reply(const Request&)>;
  AcmeCaller(Transport transport, std::string base_url, std::string_view key_type = "ec:P-256");

  Reply get(const std::string& url, const std::string& method = "GET");
  std::string nonce();
  /// Signed with kid; an empty payload is POST-as-GET.
  Reply post(const std::string& url, std::string_view payload = {});
  Reply post_with_jwk(const std::string& url, std::string_view payload);
  /// Any JWS: `header` as it is, signed by `key`.
  Reply post_signed(const std::string& url, const std::string& header, std::string_view payload,
                    const PrivateKey& signer);
  Reply post_body(const std::string& url, std::string body, const std::string& content_type = "application/jose+json");

  /// newAccount; keeps the URL.
  Reply register_account(std::string_view payload = "{}");
  Reply new_order(const std::vector<std::string>& names);
  /// Triggers the challenge of that type in every authorization of an order.
  void answer_challenges(const boost::json::object& order, std::string_view type = "http-01");
  Reply finalize(const boost::json::object& order, const std::vector<std::string>& names,
                 const PrivateKey& certificate_key);
  /// The whole way; the chain in PEM. The CA must validate at once (or have been told to).
  std::string issue(const std::vector<std::string>& names, const PrivateKey& certificate_key);

  std::string url(std::string_view path) const { return base_url_ + std::string(path); }
  std::string kid_header(const std::string& nonce, const std::string& url) const;
  std::string jwk_header(const std::string& nonce, const std::string& url) const;

  PrivateKey key;
  std::string account_url;

 private:
  Transport transport_;
  std::string base_url_;
};

/// `{"protected":…,"payload":…,"signature":…}` over any header.
std::string jws_text(const std::string& header, std::string_view payload, const PrivateKey& signer);

boost::json::object body_of(const Reply& reply);
std::string text_at(const boost::json::object& object, std::string_view name);
/// The problem's short type and status, as "badNonce 400"; the body when it is no problem document.
std::string problem_of(const Reply& reply);
std::string csr_payload(const std::vector<std::string>& names, const PrivateKey& key);

/// A server without sockets, and a caller with an account. `options` decide the rest; validation is skipped unless
/// validators are given.
struct InProcess {
  explicit InProcess(TestCaOptions options = {}, const std::map<std::string, Validator>& validators = {});
  AcmeCaller caller(std::string_view key_type = "ec:P-256");
  AcmeServer server;
};

}  // namespace culmen::testca
