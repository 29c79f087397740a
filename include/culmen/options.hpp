// Everything about a client that can be tuned, with its defaults.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "culmen/bytes.hpp"

namespace culmen {

/// How the protocol core behaves.
struct SessionOptions {
  SessionOptions() = default;
  /// How often a request that got badNonce is sent again (RFC 8555 §6.5). issue() uses at least 10.
  int nonce_retries = 1;
  /// Nonces kept for later requests, a CA.
  std::size_t nonce_pool = 64;
  /// How old a kept nonce may be before it is thrown away instead of used.
  std::chrono::seconds nonce_lifetime{900};
  /// How long poll_order() and poll_authorization() go on.
  std::chrono::seconds poll_deadline{30};
  /// The longest pause between two polls when the server names none.
  std::chrono::milliseconds poll_interval_limit{5000};
  /// How often a request is sent again after 429 or 503 with a Retry-After that fits the deadline.
  int busy_retries = 3;
};

/// How requests travel.
struct TransportOptions {
  std::chrono::seconds connect_timeout{15};
  /// For one request, from start to the last byte.
  std::chrono::seconds request_timeout{60};
  /// Gives up when fewer than 10 bytes a second arrive for this long.
  std::chrono::seconds stall_timeout{30};
  /// Bodies over this are refused while they arrive.
  std::size_t max_response_bytes = 1 << 20;
  /// Connections to one host at the same time. One is enough where HTTP/2 is spoken.
  long max_connections = 8;
  /// PEM file of further root certificates to trust, beside the system's; empty: none.
  std::string extra_root_file{};
  /// Trust nothing but `extra_root_file`.
  bool only_extra_root = false;
  /// Proxy URL, as "http://proxy:3128" or "socks5h://…"; empty: none.
  std::string proxy{};
  /// Take the proxy from the environment (https_proxy, no_proxy, …) when `proxy` is empty.
  bool proxy_from_environment = false;
  /// Connect to this unix socket instead of to host and port; empty: no.
  std::string unix_socket{};
  /// Allow http:// to hosts other than loopback.
  bool allow_insecure_http = false;
  /// "host:port:address" rules, as curl's --resolve has them, separated by commas; empty: none.
  std::string resolve{};
  /// Put before culmen's own User-Agent, as "my-server/1.2".
  std::string user_agent{};
  /// For error texts in the user's language (RFC 8555 §6.1).
  std::string accept_language = "en";
};

/// Told about each HTTP exchange, when set. May be called from any thread that drives the client.
using LogCallback = std::function<void(std::string_view line)>;

struct ClientOptions {
  ClientOptions() = default;
  SessionOptions session;
  TransportOptions transport;
  LogCallback log;
};

}  // namespace culmen
