// What every response has in common: success or error, nonce, links, Retry-After (RFC 8555 §6.5 to §6.7).
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culmen/error.hpp"
#include "culmen/http.hpp"

namespace culmen::protocol {

using TimePoint = std::chrono::system_clock::time_point;

bool is_success(const HttpResponse& response) noexcept;
/// The Error for an unsuccessful response.
Error error_from(const HttpResponse& response, std::string_view doing, TimePoint now);

/// Whether a successful response looks like one of an ACME server: a JSON object or certificates, as `accept` asks for.
/// A proxy in between may say 200 with a page of its own.
bool is_readable(const HttpResponse& response, std::string_view accept) noexcept;

/// The Replay-Nonce, when there is a well-formed one.
std::optional<std::string> replay_nonce(const HttpResponse& response);
/// Retry-After, clamped to 30 days.
std::optional<std::chrono::seconds> retry_after(const HttpResponse& response, TimePoint now);
/// Targets of the Link headers with that relation, absolute.
std::vector<std::string> links(const HttpResponse& response, std::string_view relation);
/// The Location header, made absolute; nullopt if there is none.
std::optional<std::string> location(const HttpResponse& response);
/// A URL out of the body, made absolute; as it came when it is absolute, empty or none at all.
std::string absolute_url(const HttpResponse& response, std::string url);

}  // namespace culmen::protocol
