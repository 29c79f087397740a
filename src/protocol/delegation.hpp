// Delegations on the wire (RFC 9115 §2.3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "culmen/delegation.hpp"
#include "culmen/directory.hpp"
#include "culmen/http.hpp"
#include "culmen/result.hpp"

namespace culmen::protocol {

/// Checks, before anything is sent, that the CA or the owner of the names offers what is requested. `doing` as in
/// errors.
Result<void> check_delegation(const std::string& delegation, bool allow_certificate_get, const DirectoryMeta& meta,
                              std::string_view doing);

/// One page of the list of delegations; absolute URLs.
Result<std::vector<std::string>> parse_delegations_page(const HttpResponse& response);
Result<Delegation> parse_delegation(const HttpResponse& response, std::string url);

}  // namespace culmen::protocol
