// ACME Renewal Information on the wire (RFC 9773 §4).
#pragma once

#include <string>

#include "culmen/http.hpp"
#include "culmen/renewal_info.hpp"
#include "culmen/result.hpp"
#include "protocol/response.hpp"

namespace culmen::protocol {

/// The URL to GET: `base` and `certificate_id` with exactly one slash between them.
std::string renewal_info_url(std::string base, const std::string& certificate_id);
/// bad_response if there is no window, or it ends before it starts (RFC 9773 §4.2).
Result<RenewalInfo> parse_renewal_info(const HttpResponse& response, TimePoint now);

}  // namespace culmen::protocol
