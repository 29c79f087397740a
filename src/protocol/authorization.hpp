// Authorization and challenge objects (RFC 8555 §7.1.4, §7.1.5).
#pragma once

#include <string>
#include <string_view>

#include "culmen/authorization.hpp"
#include "culmen/http.hpp"
#include "culmen/result.hpp"
#include "protocol/response.hpp"

namespace culmen::protocol {

/// `subdomains`: the authorization is to be good for names below as well (RFC 9444 §4.1).
std::string new_authorization_payload(const Identifier& identifier, bool subdomains = false);

/// `url` empty: newAuthz's answer, the Location must be there.
Result<Authorization> parse_authorization(const HttpResponse& response, std::string url, TimePoint now);
/// The response to a challenge's POST; missing members are taken from `asked`. Its body is not needed: if it cannot be
/// read, the status is `unknown`.
Challenge challenge_after_trigger(const HttpResponse& response, const Challenge& asked);

/// A text member of the challenge object as the server sent it; empty when it is not there.
std::string challenge_text(const Challenge& challenge, std::string_view member);

/// Why an authorization is not valid: its challenges' problems, each with the identifier set.
std::vector<Problem> problems_of(const Authorization& authorization);

}  // namespace culmen::protocol
