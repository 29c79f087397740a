#include "protocol/order.hpp"

#include <algorithm>

#include "base/base64.hpp"
#include "base/time.hpp"
#include "protocol/json_reader.hpp"

namespace culmen {

std::string_view to_string(OrderStatus status) noexcept {
  switch (status) {
    case OrderStatus::pending: return "pending";
    case OrderStatus::ready: return "ready";
    case OrderStatus::processing: return "processing";
    case OrderStatus::valid: return "valid";
    case OrderStatus::invalid: return "invalid";
    case OrderStatus::canceled: return "canceled";
    case OrderStatus::unknown: return "unknown";
  }
  return "unknown";
}

}  // namespace culmen

namespace culmen::protocol {

namespace {
OrderStatus read_order_status(std::string_view text) {
  for (const OrderStatus status : {OrderStatus::pending, OrderStatus::ready, OrderStatus::processing,
                                   OrderStatus::valid, OrderStatus::invalid, OrderStatus::canceled}) {
    if (to_string(status) == text) return status;
  }
  return OrderStatus::unknown;
}
}  // namespace

std::string new_order_payload(const OrderRequest& request) {
  json::object payload;
  json::array identifiers;
  for (const Identifier& identifier : request.identifiers) {
    json::object entry;
    const bool onion = identifier.type == "dns" && identifier.value.ends_with(".onion");
    entry["type"] = onion ? request.onion_identifier_type : identifier.type;
    entry["value"] = identifier.value;
    const auto ancestor = request.ancestor_domains.find(identifier.value);
    if (identifier.type == "dns" && ancestor != request.ancestor_domains.end()) {
      entry["ancestorDomain"] = ancestor->second;
    }
    identifiers.push_back(std::move(entry));
  }
  payload["identifiers"] = std::move(identifiers);
  if (request.not_before) payload["notBefore"] = base::format_rfc3339(*request.not_before);
  if (request.not_after) payload["notAfter"] = base::format_rfc3339(*request.not_after);
  if (!request.profile.empty()) payload["profile"] = request.profile;
  if (!request.replaces.empty()) payload["replaces"] = request.replaces;
  if (!request.delegation.empty()) payload["delegation"] = request.delegation;
  if (request.allow_certificate_get) payload["allow-certificate-get"] = true;
  return json::serialize(payload);
}

std::string finalize_payload(ByteView csr_der, const std::vector<OnionCaa>& onion_caa) {
  json::object payload;
  payload["csr"] = base::base64url_encode(csr_der);
  if (!onion_caa.empty()) {
    json::object services;
    for (const OnionCaa& service : onion_caa) {
      json::object entry;
      entry["caa"] = nullptr;
      if (service.caa) entry["caa"] = *service.caa;
      entry["expiry"] = std::chrono::floor<std::chrono::seconds>(service.expiry.time_since_epoch()).count();
      entry["signature"] = base::base64url_encode(service.signature);
      services[service.address] = std::move(entry);
    }
    payload["onionCAA"] = std::move(services);
  }
  return json::serialize(payload);
}

Result<Order> parse_new_order(const HttpResponse& response, TimePoint now) {
  constexpr std::string_view doing = "creating an order";
  std::optional<std::string> url = location(response);
  if (!url) return Error(Errc::bad_response, doing, "the answer has no Location: the order's URL is not known");
  return parse_order(response, std::move(*url), doing, now);
}

Result<Order> parse_order(const HttpResponse& response, std::string url, std::string_view doing, TimePoint now) {
  Result<json::object> object = parse_object(response.body, doing);
  if (!object) return object.error();

  Order order;
  order.url = std::move(url);
  order.status = read_order_status(text_member(*object, "status"));
  if (const json::array* identifiers = array_member(*object, "identifiers")) {
    for (const json::value& value : *identifiers) {
      if (const json::object* identifier = value.if_object()) order.identifiers.push_back(read_identifier(*identifier));
    }
  }
  for (const std::string& authorization : texts_member(*object, "authorizations")) {
    order.authorizations.push_back(absolute_url(response, authorization));
  }
  order.finalize = absolute_url(response, text_member(*object, "finalize"));
  order.certificate = absolute_url(response, text_member(*object, "certificate"));
  order.error = problem_member(*object, "error");
  order.expires = time_member(*object, "expires");
  order.not_before = time_member(*object, "notBefore");
  order.not_after = time_member(*object, "notAfter");
  order.profile = text_member(*object, "profile");
  order.replaces = text_member(*object, "replaces");
  order.star_certificate = absolute_url(response, text_member(*object, "star-certificate"));
  order.delegation = absolute_url(response, text_member(*object, "delegation"));
  // RFC 8739 §3.4 has it with the renewal, RFC 9115 §2.3.5 in the order itself.
  const json::object* renewal = object_member(*object, "auto-renewal");
  order.allow_certificate_get =
      flag_member(*object, "allow-certificate-get") || (renewal && flag_member(*renewal, "allow-certificate-get"));
  order.retry_after = retry_after(response, now);
  return order;
}

Result<CertificateChain> parse_chain(const HttpResponse& response) {
  Result<std::vector<Certificate>> certificates = result_of([&] { return read_chain(response.body); });
  if (!certificates) {
    const Error& error = certificates.error();
    return Error(Errc::bad_response, "reading the downloaded certificate", error.doing() + ": " + error.detail());
  }
  CertificateChain chain;
  for (const Certificate& certificate : *certificates) chain.pem += der_to_pem(certificate.der);
  chain.leaf = std::move(certificates->front());
  chain.url = response.url;
  chain.alternates = links(response, "alternate");
  return chain;
}

Result<std::string> revoke_payload(ByteView certificate_der, std::optional<int> reason) {
  if (reason && (*reason < 0 || *reason > 10 || *reason == 7)) {
    return Error(Errc::invalid_argument, "revoking a certificate",
                 "reason " + std::to_string(*reason) + " does not exist: RFC 5280 has 0 to 6 and 8 to 10");
  }
  json::object payload;
  payload["certificate"] = base::base64url_encode(certificate_der);
  if (reason && *reason != 0) payload["reason"] = *reason;
  return json::serialize(payload);
}

}  // namespace culmen::protocol
