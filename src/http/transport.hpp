// What all HTTP exchanges of a client share: options, trust, rules for URLs, the log.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <string_view>

#include "culmen/http.hpp"
#include "culmen/options.hpp"
#include "culmen/result.hpp"
#include "http/curl_options.hpp"

namespace culmen::http {

/// Must outlive everything that uses it. Thread-safe.
class Transport {
 public:
  /// Throws Error: a root file that cannot be used (io_failed, crypto_failed), options that make no sense
  /// (invalid_argument), an option that libcurl does not have (io_failed).
  Transport(TransportOptions options, LogCallback log);
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// With every number within the bounds that libcurl accepts.
  const TransportOptions& options() const noexcept { return options_; }
  /// For CURLOPT_RESOLVE, which libcurl applies to the next transfer of a handle only; nullptr: no rules.
  curl_slist* resolve_rules() const noexcept { return resolve_.get(); }

  /// A handle with every option that is the same for all requests of that trust. Throws Error.
  EasyHandle new_handle(HttpTrust trust) const;

  /// Whether requests may go to the URL: https, or http to loopback or a unix socket, or where the caller opted in.
  Result<void> check_url(const std::string& url, std::string_view doing);
  /// Whether anyone listens to log().
  bool logs() const noexcept { return static_cast<bool>(log_); }
  void log(std::string_view line) const noexcept;

 private:
  void set_trust(CURL* handle, HttpTrust trust) const;
  void set_proxy(CURL* handle) const;
  bool knows_origin_of(const std::string& url) const;
  Result<void> accepted(const std::string& url);

  TransportOptions options_;
  LogCallback log_;
  std::string user_agent_;
  std::string roots_;  // PEM; empty: the system's
  CurlList resolve_;
  mutable std::mutex mutex_;
  std::string known_origin_;  // which check_url() last accepted
};

/// Adds a copy of `text`.
CurlList append(CurlList list, const std::string& text);
/// The scheme in lower case; empty: none.
std::string scheme_of(std::string_view url);
/// Whether both URLs, which curl must be able to read, have the same scheme, host and port.
bool same_origin(const std::string& a, const std::string& b);
long milliseconds(std::chrono::nanoseconds time) noexcept;

}  // namespace culmen::http
