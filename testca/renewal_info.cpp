// ACME Renewal Information (RFC 9773), the CA's side.
#include <algorithm>

#include "base/base64.hpp"
#include "base/time.hpp"
#include "culmen/certificate.hpp"
#include "testca/acme_server.hpp"

namespace culmen::testca {

namespace json = boost::json;

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using Window = std::pair<TimePoint, TimePoint>;

constexpr auto short_lived = hours(10 * 24);

/// Around the moment when a third of its life is left, half of it for those that live less than ten days; two
/// hundredths of its life wide.
Window usual_window(const IssuedCertificate& certificate) {
  const auto lifetime = certificate.not_after - certificate.not_before + std::chrono::seconds(1);
  const TimePoint middle = certificate.not_after - (lifetime < short_lived ? lifetime / 2 : lifetime / 3);
  return {middle - lifetime / 100, middle + lifetime / 100};
}

Window window_of(const IssuedCertificate& certificate, TimePoint now) {
  // RFC 9773 §4.2: in the past means at once.
  if (certificate.revoked) return {now - hours(1), now - minutes(30)};
  return certificate.renewal_window.value_or(usual_window(certificate));
}

/// The content of a DER INTEGER that is positive and as short as can be.
bool is_serial(const Bytes& octets) {
  if (octets.empty() || octets.size() > 21 || octets[0] >= 0x80) return false;
  return octets.size() == 1 || octets[0] != 0 || octets[1] >= 0x80;
}

}  // namespace

std::string certificate_id(ByteView der) {
  const Certificate certificate = Certificate::from_der(der);
  return base::base64url_encode(certificate.authority_key_identifier) + "." +
         base::base64url_encode(certificate.serial);
}

Reply AcmeServer::renewal_info(Call& call) {
  const IssuedCertificate& certificate = certificate_of_id(call.path[0]);
  const auto [start, end] = window_of(certificate, now());
  json::object body;
  body["suggestedWindow"] = json::object{{"start", base::format_rfc3339(start)}, {"end", base::format_rfc3339(end)}};
  if (!options_.renewal_explanation_url.empty()) body["explanationURL"] = options_.renewal_explanation_url;
  Reply reply = json_reply(200, body);
  reply.add("Retry-After", std::to_string(options_.renewal_info_retry_after.count()));
  return reply;
}

IssuedCertificate& AcmeServer::certificate_of_id(std::string_view id) {
  // RFC 9773 §4.1: base64url of the key identifier, ".", base64url of the serial number, both without padding.
  const std::size_t dot = id.find('.');
  if (dot == std::string_view::npos || id.find('.', dot + 1) != std::string_view::npos)
    throw malformed("a certificate's identifier has two parts and one \".\" between them");
  const std::optional<Bytes> key = base::base64url_decode(id.substr(0, dot));
  const std::optional<Bytes> serial = base::base64url_decode(id.substr(dot + 1));
  if (!key || key->empty()) throw malformed("what stands before the \".\" is not a key identifier in base64url");
  if (!serial || !is_serial(*serial))
    throw malformed("what stands after the \".\" is not a serial number in base64url");
  const auto found = state_.certificate_by_id.find(id);
  if (found == state_.certificate_by_id.end())
    throw Refusal(404, "malformed", "this CA issued no certificate with that identifier");
  return *found->second;
}

IssuedCertificate& AcmeServer::checked_predecessor(std::string_view id, const Account& account,
                                                   const std::vector<Identifier>& identifiers) {
  IssuedCertificate& predecessor = certificate_of_id(id);
  if (predecessor.account != &account) throw unauthorized("\"replaces\" names a certificate of another account");
  const bool shared = std::ranges::any_of(predecessor.identifiers, [&](const Identifier& identifier) {
    return std::ranges::find(identifiers, identifier) != identifiers.end();
  });
  if (!shared) throw malformed("\"replaces\" names a certificate that has no name in common with the order");
  if (!predecessor.replacement.empty()) {
    const auto before = state_.orders.find(predecessor.replacement);
    if (before != state_.orders.end()) update(*before->second);
    // RFC 9773 §5: "Servers SHOULD … reject the request" with alreadyReplaced, 409. An order that is forgotten was a
    // success; see State::forget_expired().
    if (before == state_.orders.end() || before->second->state != OrderState::invalid)
      throw Refusal(409, "alreadyReplaced", "the certificate in \"replaces\" has been replaced by another order");
  }
  return predecessor;
}

}  // namespace culmen::testca
