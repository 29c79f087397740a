// What the CA sent, compared with what was asked for.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "culmen/authorization.hpp"
#include "culmen/issue.hpp"
#include "culmen/order.hpp"
#include "culmen/result.hpp"

namespace culmen::engine {

/// bad_response if the order has more authorizations than names.
Result<void> check_number_of_authorizations(const IssueRequest& request, const Order& order);
/// bad_response if the authorization is for none of the names, nor for a parent domain that may be validated instead of
/// one (RFC 9444): a CA does not choose the names for which challenges are presented.
Result<void> check_authorization(const IssueRequest& request, const Authorization& authorization);

/// bad_response unless the certificate is for the key and exactly the names of the request, and valid at this time.
Result<void> check_certificate(const IssueRequest& request, const CertificateChain& chain, TimePoint now);
/// One sentence for each wish of the request that the CA ignored.
std::vector<std::string> ignored_wishes(const IssueRequest& request, const Order& order, const CertificateChain& chain);

}  // namespace culmen::engine
