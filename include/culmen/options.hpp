// The options of a client, with their defaults.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"

namespace culmen {

/// Retries, polling and nonces. A plain value. Values out of range are replaced by the nearest that is allowed: times
/// by 0 s to 10 years, numbers by 0 to 100 (`nonce_pool`: 10,000), `poll_interval_limit` by 1 ms to 1 h.
struct SessionOptions {
  SessionOptions() = default;
  /// How often to repeat a request that got badNonce (RFC 8555 §6.5). issue() uses at least 10.
  int nonce_retries = 1;
  /// Maximum number of unused nonces to keep; 0: none.
  std::size_t nonce_pool = 64;
  /// Maximum age of a nonce; older ones are discarded.
  std::chrono::seconds nonce_lifetime{900};
  /// Default time limit of the polling functions, and the limit for all repetitions of one request.
  std::chrono::seconds poll_deadline{30};
  /// Maximum pause between two polls if the server sends no Retry-After.
  std::chrono::milliseconds poll_interval_limit{5000};
  /// How often to repeat a request after 429 with Retry-After, or after 503, if the pause fits into `poll_deadline`.
  int busy_retries = 3;
  /// Maximum age of the directory; at least 1 s. It is fetched again before the first request after that time.
  std::chrono::seconds directory_lifetime{24 * 3600};
};

/// HTTP, TLS and proxy. A plain value. A client checks the options when it connects: Error (invalid_argument), and for
/// the root file (io_failed, crypto_failed).
struct TransportOptions {
  // Time limits above 24 h count as 24 h.
  std::chrono::seconds connect_timeout{15};
  /// For one request, from start to the last byte, including redirects.
  std::chrono::seconds request_timeout{60};
  /// Give up if fewer than 10 bytes per second arrive for this long.
  std::chrono::seconds stall_timeout{30};
  /// Larger bodies are rejected (response_too_large) while they arrive.
  std::size_t max_response_bytes = 1 << 20;
  /// Concurrent connections to one host, 1 to 1000. Where HTTP/2 is spoken, two are used: one with HTTP/1.1 for
  /// requests that are alone, and one with HTTP/2.
  long max_connections = 8;
  /// PEM file with additional root certificates to trust; empty: none.
  std::string extra_root_file{};
  /// Trust only `extra_root_file`, not the system's root certificates.
  bool only_extra_root = false;
  /// Proxy URL, such as "http://proxy:3128" or "socks5h://…"; empty: none.
  std::string proxy{};
  /// If `proxy` is empty, take the proxy from the environment (https_proxy, no_proxy, …).
  bool proxy_from_environment = false;
  /// Connect to this Unix socket instead of host and port; empty: no. Not for requests with HttpTrust::system.
  std::string unix_socket{};
  /// Allow http:// URLs to hosts other than loopback, and redirects from https to http; not for requests with
  /// HttpRequest::require_https.
  bool allow_insecure_http = false;
  /// "host:port:address" rules as for curl's --resolve, separated by commas; empty: none.
  std::string resolve{};
  /// Precedes culmen's User-Agent, such as "my-server/1.2".
  std::string user_agent{};
  /// Accept-Language: the language for error texts from the server (RFC 8555 §6.1).
  std::string accept_language = "en";
};

/// Called with one line per HTTP exchange; must not block. The blocking client calls it on the thread of each call,
/// possibly on several at the same time; the Asio client on its strand. Exceptions are ignored.
using LogCallback = std::function<void(std::string_view line)>;

/// All options of a client. A plain value. It has a constructor, unlike TransportOptions, because it is handed to
/// awaited functions: GCC 12 destroys aggregate temporaries in a co_await statement twice.
struct ClientOptions {
  ClientOptions() = default;
  SessionOptions session;
  TransportOptions transport;
  LogCallback log;
};

}  // namespace culmen
