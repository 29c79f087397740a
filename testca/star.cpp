// Short-term, automatically renewed certificates (STAR, RFC 8739), the CA's side.
#include <algorithm>
#include <tuple>

#include <boost/json/value.hpp>

#include "base/time.hpp"
#include "testca/acme_server.hpp"
#include "testca/json_reader.hpp"

namespace culmen::testca {

namespace json = boost::json;
using std::chrono::seconds;

namespace {

constexpr std::int64_t longest = std::int64_t{100} * 366 * 24 * 3600;

std::optional<TimePoint> date_member(const json::object& object, std::string_view name) {
  const auto text = string_member(object, name);
  if (!text) return std::nullopt;
  const auto time = base::parse_rfc3339(*text);
  if (!time) throw malformed("\"" + std::string(name) + "\" is not an RFC 3339 time: " + *text);
  return std::chrono::floor<seconds>(*time);
}

std::optional<seconds> seconds_member(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  if (!found) return std::nullopt;
  if (!found->is_int64() || found->get_int64() < 0 || found->get_int64() > longest)
    throw malformed("\"" + std::string(name) + "\" must be a number of seconds");
  return seconds(found->get_int64());
}

}  // namespace

std::optional<StarRenewal> AcmeServer::read_star(const json::object& request) const {
  const json::object* asked = object_member(request, "auto-renewal");
  if (!asked) return std::nullopt;
  // RFC 8739 §3.1.1: "the notBefore and notAfter fields MUST NOT be present in a STAR Order."
  if (request.contains("notBefore") || request.contains("notAfter"))
    throw malformed("\"notBefore\" and \"notAfter\" do not go with \"auto-renewal\"");
  const std::optional<TimePoint> end = date_member(*asked, "end-date");
  const std::optional<seconds> lifetime = seconds_member(*asked, "lifetime");
  if (!end) throw malformed("\"auto-renewal\" has no \"end-date\"");
  if (!lifetime) throw malformed("\"auto-renewal\" has no \"lifetime\"");
  StarRenewal star;
  star.start = date_member(*asked, "start-date");
  star.end = *end;
  star.lifetime = *lifetime;
  star.adjust = seconds_member(*asked, "lifetime-adjust").value_or(seconds(0));
  star.allow_get =
      bool_member(*asked, "allow-certificate-get").value_or(false) && options_.auto_renewal_certificate_get;

  const TimePoint start = star.start.value_or(now());
  if (star.end <= start || star.end <= now()) throw malformed("\"end-date\" is not after the start, or in the past");
  if (star.lifetime < std::max(options_.auto_renewal_min_lifetime, seconds(1)))
    throw malformed("\"lifetime\" is under this CA's \"min-lifetime\"");
  if (star.end - start > options_.auto_renewal_max_duration)
    throw malformed("from the start to \"end-date\" is more than this CA's \"max-duration\"");
  if (star.end > authority_.not_after()) throw malformed("\"end-date\" is after the end of the CA");
  return star;
}

json::object AcmeServer::star_json(const StarRenewal& star) {
  json::object out{{"end-date", base::format_rfc3339(star.end)}, {"lifetime", star.lifetime.count()}};
  if (star.start) out["start-date"] = base::format_rfc3339(*star.start);
  if (star.adjust.count() != 0) out["lifetime-adjust"] = star.adjust.count();
  if (star.allow_get) out["allow-certificate-get"] = true;
  return out;
}

json::object AcmeServer::star_meta() const {
  json::object out{{"min-lifetime", options_.auto_renewal_min_lifetime.count()},
                   {"max-duration", options_.auto_renewal_max_duration.count()}};
  if (options_.auto_renewal_certificate_get) out["allow-certificate-get"] = true;
  return out;
}

std::pair<TimePoint, TimePoint> AcmeServer::star_validity(const StarRenewal& star, std::int64_t number) {
  // RFC 8739 §3.5: predated by lifetime-adjust, but not by more than the lifetime, and by half of it at least: the next
  // certificate must be there no later than at the half of the present one's life.
  const seconds predating = std::max(std::min(star.lifetime, star.adjust), (star.lifetime + seconds(1)) / 2);
  const TimePoint renewal = star.first + number * star.lifetime;
  const TimePoint not_before = number == 0 ? renewal : std::max(renewal - predating, star.first);
  return {not_before, std::min(renewal + star.lifetime, star.end)};
}

void AcmeServer::renew(Order& order) {
  StarRenewal& star = *order.star;
  // A certificate is published when its validity begins.
  const std::int64_t last = (star.end - star.first - seconds(1)) / star.lifetime;
  std::int64_t current = std::clamp<std::int64_t>((now() - star.first) / star.lifetime, star.issued, last);
  if (current < last && star_validity(star, current + 1).first <= now()) ++current;
  if (current <= star.issued) return;
  crypto::CertificateTemplate what = star.what;
  what.serial = state_.random_octets(16);
  std::tie(what.not_before, what.not_after) = star_validity(star, current);
  keep(order, signed_certificate(order, state_.random_id(), order.certificate->key_thumbprint, what));
  star.issued = current;
}

Reply AcmeServer::star_certificate(Call& call) {
  const auto found = state_.orders.find(call.path[0]);
  const bool exists = found != state_.orders.end() && found->second->star && found->second->star->issued >= 0;
  if (!exists || !found->second->certificate) throw Refusal(404, "malformed", "there is no such certificate");
  Order& order = *found->second;
  const StarRenewal& star = *order.star;
  const bool by_get = call.account == nullptr;
  // RFC 8739 §3.4: without an account only when that was asked for and granted.
  if (by_get && !star.allow_get)
    throw Refusal(405, "malformed", "this certificate is fetched with POST-as-GET").with_header("Allow", "POST");
  if (!by_get && call.account != order.account) throw unauthorized("the order belongs to another account");
  if (order.state == OrderState::canceled)
    throw Refusal(403, "autoRenewalCanceled", "the renewal of this certificate was canceled");
  if (star.end <= now()) throw Refusal(403, "autoRenewalExpired", "the renewal of this certificate came to its end");
  renew(order);

  const IssuedCertificate& certificate = *order.certificate;
  Reply reply(200);
  reply.add("Content-Type", "application/pem-certificate-chain");
  reply.add("Cert-Not-Before", base::format_http_date(certificate.not_before));
  reply.add("Cert-Not-After", base::format_http_date(certificate.not_after));
  if (by_get) {
    // Not longer than until the next one is there.
    const TimePoint next = std::min(star_validity(star, star.issued + 1).first, certificate.not_after);
    const auto left = std::max(std::chrono::floor<seconds>(next - now()), seconds(0));
    reply.add("Cache-Control", "public, max-age=" + std::to_string(left.count()));
  }
  reply.body = certificate.pem + authority_.chains()[0];
  return reply;
}

Reply AcmeServer::cancel_star(Order& order, const Call& call) {
  // RFC 8739 §3.1.2: "status" with the value "canceled", and only while the order is valid.
  if (string_member(read_object(call.payload, "the payload"), "status") != "canceled")
    throw malformed("the only change a STAR order can take is \"status\": \"canceled\"");
  update(order);
  if (visible_state(order) != OrderState::valid)
    throw Refusal(400, "autoRenewalCancellationInvalid",
                  "the order is " + std::string(to_string(visible_state(order))) + ", not valid");
  order.state = OrderState::canceled;
  return order_reply(200, order);
}

}  // namespace culmen::testca
