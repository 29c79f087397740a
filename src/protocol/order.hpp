// Order objects, finalization and certificates (RFC 8555 §7.1.3, §7.4).
#pragma once

#include <string>
#include <string_view>

#include "culmen/bytes.hpp"
#include "culmen/http.hpp"
#include "culmen/onion_caa.hpp"
#include "culmen/order.hpp"
#include "culmen/result.hpp"
#include "protocol/response.hpp"

namespace culmen::protocol {

std::string new_order_payload(const OrderRequest& request);
std::string finalize_payload(ByteView csr_der, const std::vector<OnionCaa>& onion_caa = {});

/// newOrder's answer: the Location is the order's URL and must be there.
Result<Order> parse_new_order(const HttpResponse& response, TimePoint now);
/// Any other response with an order object. Its URL is that of the request, regardless of Location.
Result<Order> parse_order(const HttpResponse& response, std::string url, std::string_view doing, TimePoint now);

/// A downloaded chain, normalised; bad_response for anything but CERTIFICATE blocks (RFC 8555 §9.1).
Result<CertificateChain> parse_chain(const HttpResponse& response);

/// The revokeCert payload; reason 0 is left out (RFC 8555 §7.6). invalid_argument for 7 and for what is not in 0..10.
Result<std::string> revoke_payload(ByteView certificate_der, std::optional<int> reason);

}  // namespace culmen::protocol
