// A request as a CA makes it when it validates http-01 (RFC 8555 §8.3): to one address, by a name, without trust.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "culmen/result.hpp"

namespace culmen::http {

/// A plain value.
struct Visit {
  Visit() = default;
  std::string url;
  std::string address;  ///< Where to connect, an IP address, whatever host the URL names.
  std::uint16_t port = 80;
  std::chrono::seconds time_limit{10};
};

/// A plain value.
struct Visited {
  Visited() = default;
  int status = 0;
  std::string body;      ///< At most 64 KiB of it.
  std::string redirect;  ///< Where a redirect leads, as an absolute URL; empty: it is none.
};

/// Blocks. Certificates are not verified, and no proxy is used. Errors: connection_failed, timeout, tls_failed,
/// bad_response.
Result<Visited> visit_address(const Visit& visit);

/// What a URL with http or https leads to. A plain value.
struct Origin {
  Origin() = default;
  std::string scheme, host;
  std::uint16_t port = 0;
};
/// Error (bad_response) for another scheme, and for what is not a URL.
Result<Origin> origin_of(const std::string& url);

}  // namespace culmen::http
