// HTTP by libcurl: the one place where a request becomes a curl easy handle, and a handle a response.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <curl/curl.h>

#include "culmen/http.hpp"
#include "culmen/options.hpp"
#include "culmen/result.hpp"

namespace culmen::http {

struct FreeList {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using CurlList = std::unique_ptr<curl_slist, FreeList>;

/// State shared by all exchanges of a client. Must outlive them. Thread-safe.
class Transport {
 public:
  /// Throws Error: a root file that cannot be used (io_failed, crypto_failed), options that make no sense
  /// (invalid_argument).
  Transport(TransportOptions options, LogCallback log);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  const TransportOptions& options() const noexcept { return options_; }

  /// A handle with every option set that does not depend on the request. An Exchange sets all the others each time.
  CURL* acquire();
  void release(CURL* handle) noexcept;

  /// Checks that requests may go to the URL: https, or http to loopback or a unix socket, or where the caller opted in.
  Result<void> check_url(const std::string& url, std::string_view doing);
  /// Whether the URL has the origin that check_url() last accepted, and so needs no check.
  bool knows_origin_of(const std::string& url) const;
  /// Whether anyone listens to log().
  bool logs() const noexcept { return static_cast<bool>(log_); }
  void log(std::string_view line) const noexcept;

 private:
  void set_up(CURL* handle) const;
  Result<void> accepted(const std::string& url);

  TransportOptions options_;
  LogCallback log_;
  std::string user_agent_;
  std::string roots_;  // PEM; empty: the system's
  bool system_folder_suffices_ = false;
  CurlList resolve_;
  mutable std::mutex mutex_;
  std::vector<CURL*> idle_;  // set up
  std::string known_origin_;
};

/// One request on its way, the redirects of a GET included. The request must outlive it.
class Exchange {
 public:
  Exchange(Transport& transport, const HttpRequest& request);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Readies the handle; an Error when the request may not be made at all.
  std::optional<Error> prepare();
  CURL* handle() const noexcept { return handle_; }
  /// What came of it, when curl is done with the handle; nullopt: redirected, give the handle to curl once more.
  std::optional<Result<HttpResponse>> finished(CURLcode code);

 private:
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self);
  static int on_request(void* self, char* address, char* local_address, int port, int local_port);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self);
  bool take_header(std::string_view line);
  bool take_body(std::string_view piece);
  std::string doing() const;
  void set_options();
  void log_outcome(std::string_view outcome) const;

  Transport& transport_;
  const HttpRequest& request_;
  CURL* handle_;
  CurlList headers_;
  HttpResponse response_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point hop_started_;
  bool requested_ = false;
  std::size_t header_bytes_ = 0;
  std::size_t header_count_ = 0;
  int redirects_ = 0;
  bool body_too_large_ = false;
  bool headers_too_large_ = false;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
};

}  // namespace culmen::http
