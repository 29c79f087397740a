// Authorization and challenge objects (RFC 8555 §7.1.4, §7.1.5).
#pragma once

#include <string>
#include <string_view>

#include "culmen/authorization.hpp"
#include "culmen/http.hpp"
#include "culmen/result.hpp"
#include "protocol/response.hpp"

namespace culmen::protocol {

std::string new_authorization_payload(const Identifier& identifier);

/// `url` empty: newAuthz's answer, the Location must be there.
Result<Authorization> parse_authorization(const HttpResponse& response, std::string url, TimePoint now);
/// The answer to a challenge's POST; members it lacks are taken from `asked`.
Result<Challenge> parse_challenge(const HttpResponse& response, const Challenge& asked);

/// Why an authorization is not valid: its challenges' problems, each with the identifier set.
std::vector<Problem> problems_of(const Authorization& authorization);

}  // namespace culmen::protocol
