// The Link header (RFC 8288) and URLs (RFC 3986).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culmen::base {

struct Link {
  Link() = default;
  std::string target;                  ///< Absolute: resolved against where the response came from.
  std::vector<std::string> relations;  ///< Lower-case.
};

/// All links of one Link header value; what is malformed is skipped.
std::vector<Link> parse_link(std::string_view value, std::string_view base_url);

/// The parts of an absolute http or https URL.
struct UrlParts {
  UrlParts() = default;
  std::string scheme;  ///< Lower-case.
  std::string host;    ///< Lower-case; IPv6 without brackets.
  std::string port;    ///< Empty: the scheme's own.
  std::string path;
};
std::optional<UrlParts> parse_http_url(std::string_view url);
/// An absolute URL from a reference found at `base_url`; nullopt when either is malformed.
std::optional<std::string> resolve_url(std::string_view base_url, std::string_view reference);
/// localhost, *.localhost, 127.0.0.0/8, ::1.
bool is_loopback_host(std::string_view host);

}  // namespace culmen::base
