// Why curl failed, in words that help.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include <curl/curl.h>

#include "culmen/error.hpp"
#include "culmen/options.hpp"

namespace culmen::http {

/// A failed transfer; must be read before its handle is used again.
class CurlFailure {
 public:
  /// The limits are those of the request.
  CurlFailure(CURL* handle, CURLcode code, const char* text, const TransportOptions& options,
              std::chrono::milliseconds time_limit, std::size_t max_body_bytes);

  /// `url` is what was asked for when it failed.
  Error error(std::string_view doing, const std::string& url) const;

 private:
  Error connection(std::string_view doing, std::string detail) const;
  Error tls(std::string_view doing, const std::string& host) const;
  Error timed_out(std::string_view doing, const std::string& host) const;
  bool text_has(std::string_view words) const;
  std::string said() const;

  CURL* handle_;
  CURLcode code_;
  std::string text_;
  const TransportOptions& options_;
  std::chrono::milliseconds time_limit_;
  std::size_t max_body_bytes_;
};

Error too_large(std::string_view doing, std::string_view what, std::size_t limit);

}  // namespace culmen::http
