// STAR orders on the wire (RFC 8739 §3).
#pragma once

#include <string>

#include "culmen/directory.hpp"
#include "culmen/http.hpp"
#include "culmen/result.hpp"
#include "culmen/star.hpp"
#include "protocol/response.hpp"

namespace culmen::protocol {

/// Checks the parameters, also against the CA's limits, before anything is sent.
Result<void> check_star_order(const StarOrderParams& params, const Directory& directory, TimePoint now);
std::string star_order_payload(const StarOrderParams& params);
std::string cancel_payload();

/// `url` empty: newOrder's answer, the Location must be there.
Result<StarOrder> parse_star_order(const HttpResponse& response, std::string url, TimePoint now);
Result<StarCertificate> parse_star_certificate(const HttpResponse& response);

}  // namespace culmen::protocol
