#include "protocol/star.hpp"

#include "base/time.hpp"
#include "protocol/delegation.hpp"
#include "protocol/json_reader.hpp"
#include "protocol/order.hpp"

namespace culmen::protocol {

namespace {
constexpr std::string_view ordering_star = "creating a STAR order";

std::optional<TimePoint> date_header(const HttpResponse& response, std::string_view name) {
  const std::optional<std::string_view> value = response.header(name);
  return value ? base::parse_http_date(*value) : std::nullopt;
}
}  // namespace

Result<void> check_star_order(const StarOrderParams& params, const Directory& directory, TimePoint now) {
  const bool delegated = !params.delegation.empty();
  Result<void> allowed =
      delegated ? check_delegation(params.delegation, params.allow_certificate_get, directory.meta, ordering_star)
                : Result<void>();
  if (!allowed) return allowed;
  // RFC 9115 §2.3.4: delegation-enabled does not depend on auto-renewal: another CA renews.
  if (!directory.meta.auto_renewal && !delegated) {
    return Error(Errc::not_offered, ordering_star,
                 "this CA does not renew by itself (no auto-renewal in its directory)");
  }
  if (params.identifiers.empty()) return Error(Errc::invalid_argument, ordering_star, "there is no name to order for");
  const std::optional<TimePoint> end = base::parse_rfc3339(params.end_date);
  if (!end) return Error(Errc::invalid_argument, ordering_star, "the end date is not RFC 3339: " + params.end_date);
  const std::optional<TimePoint> start =
      params.start_date.empty() ? std::optional<TimePoint>(now) : base::parse_rfc3339(params.start_date);
  if (!start)
    return Error(Errc::invalid_argument, ordering_star, "the start date is not RFC 3339: " + params.start_date);
  if (*end <= *start) return Error(Errc::invalid_argument, ordering_star, "the end date is not after the start");
  if (params.lifetime <= std::chrono::seconds(0) || params.lifetime_adjust < std::chrono::seconds(0)) {
    return Error(Errc::invalid_argument, ordering_star,
                 "the lifetime must be positive, and its adjustment not negative");
  }
  if (!directory.meta.auto_renewal) return {};
  const AutoRenewalMeta& limits = *directory.meta.auto_renewal;
  if (params.lifetime < limits.min_lifetime) {
    return Error(Errc::invalid_argument, ordering_star,
                 "the CA's shortest lifetime is " + std::to_string(limits.min_lifetime.count()) + " s");
  }
  if (limits.max_duration > std::chrono::seconds(0) && *end - *start > limits.max_duration) {
    return Error(Errc::invalid_argument, ordering_star,
                 "the CA renews for " + std::to_string(limits.max_duration.count()) + " s at most");
  }
  if (params.allow_certificate_get && !limits.allow_certificate_get && !delegated) {
    return Error(Errc::not_offered, ordering_star, "this CA does not hand out certificates without an account");
  }
  return {};
}

std::string star_order_payload(const StarOrderParams& params) {
  json::object renewal;
  renewal["end-date"] = params.end_date;
  renewal["lifetime"] = params.lifetime.count();
  if (!params.start_date.empty()) renewal["start-date"] = params.start_date;
  if (params.lifetime_adjust.count() != 0) renewal["lifetime-adjust"] = params.lifetime_adjust.count();
  if (params.allow_certificate_get) renewal["allow-certificate-get"] = true;
  OrderRequest request(params.identifiers);
  request.delegation = params.delegation;
  json::object payload = json::parse(new_order_payload(request)).as_object();
  payload["auto-renewal"] = std::move(renewal);
  return json::serialize(payload);
}

std::string cancel_payload() { return R"({"status":"canceled"})"; }

Result<StarOrder> parse_star_order(const HttpResponse& response, std::string url, TimePoint now) {
  Result<Order> order =
      url.empty() ? parse_new_order(response, now) : parse_order(response, std::move(url), "reading a STAR order", now);
  if (!order) return order.error();
  StarOrder star;
  static_cast<Order&>(star) = std::move(*order);
  Result<json::object> object = parse_object(response.body, ordering_star);
  if (!object) return object.error();
  if (const json::object* renewal = object_member(*object, "auto-renewal")) {
    star.start_date = time_member(*renewal, "start-date");
    star.end_date = time_member(*renewal, "end-date");
    star.lifetime = seconds_member(*renewal, "lifetime");
    star.lifetime_adjust = seconds_member(*renewal, "lifetime-adjust");
  }
  return star;
}

Result<StarCertificate> parse_star_certificate(const HttpResponse& response) {
  Result<CertificateChain> chain = parse_chain(response);
  if (!chain) return chain.error();
  StarCertificate certificate;
  certificate.pem = std::move(chain->pem);
  certificate.not_before = date_header(response, "cert-not-before");
  certificate.not_after = date_header(response, "cert-not-after");
  return certificate;
}

}  // namespace culmen::protocol
