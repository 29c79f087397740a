#include "protocol/renewal_info.hpp"

#include "base/base64.hpp"
#include "protocol/json_reader.hpp"

namespace culmen {

std::string certificate_id(const Certificate& certificate) {
  if (certificate.authority_key_identifier.empty()) {
    throw Error(Errc::not_offered, "naming a certificate for ARI",
                "it has no authority key identifier, without which ARI cannot name it");
  }
  return base::base64url_encode(certificate.authority_key_identifier) + "." +
         base::base64url_encode(certificate.serial);
}

}  // namespace culmen

namespace culmen::protocol {

std::string renewal_info_url(std::string base, const std::string& certificate_id) {
  while (base.ends_with('/')) base.pop_back();
  return base + "/" + certificate_id;
}

Result<RenewalInfo> parse_renewal_info(const HttpResponse& response, TimePoint now) {
  constexpr std::string_view doing = "reading renewal information";
  Result<json::object> object = parse_object(response.body, doing);
  if (!object) return object.error();
  const json::object* window = object_member(*object, "suggestedWindow");
  if (!window) return Error(Errc::bad_response, doing, "there is no suggestedWindow");
  const std::optional<TimePoint> start = time_member(*window, "start");
  const std::optional<TimePoint> end = time_member(*window, "end");
  if (!start || !end) return Error(Errc::bad_response, doing, "the window lacks a start or an end");
  // RFC 9773 §4.2: "A RenewalInfo object in which the end timestamp equals or precedes the start timestamp is invalid."
  if (*end <= *start) return Error(Errc::bad_response, doing, "the window ends before it starts");
  RenewalInfo info;
  info.window_start = *start;
  info.window_end = *end;
  info.explanation_url = text_member(*object, "explanationURL");
  info.retry_after = retry_after(response, now);
  return info;
}

}  // namespace culmen::protocol
