// One HTTP request on its way: the one place where a request becomes the options of a curl handle, and what curl
// reports becomes a response.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include <curl/curl.h>

#include "culmen/http.hpp"
#include "culmen/result.hpp"
#include "http/curl_options.hpp"
#include "http/transport.hpp"

namespace culmen::http {

/// The request and its redirects. Transport and request must outlive it.
class Exchange {
 public:
  Exchange(Transport& transport, const HttpRequest& request);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// An Error if the request may not be made at all.
  std::optional<Error> refused();
  /// What to send next: the request, or the last redirect.
  const std::string& url() const noexcept { return response_.url; }
  HttpTrust trust() const noexcept { return request_.trust; }
  /// nullptr: none for that URL.
  const HttpClientCertificate* client_certificate() const noexcept;
  /// Whether curl has begun to send what url() says.
  bool was_sent() const noexcept { return was_sent_; }

  /// Sets the options of the handle that depend on the request. The handle must come from Transport::new_handle() for
  /// that trust, and must be detached before it or the Exchange is destroyed. Throws Error.
  void attach(CURL* handle, bool waits_for_shared_connection);
  /// Removes from the handle whatever points into the Exchange.
  void detach() noexcept;
  /// The result once curl is done with the handle, which is still attached. nullopt: redirected; detach the handle and
  /// attach one for the new URL.
  std::optional<Result<HttpResponse>> finished(CURLcode code);

 private:
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  static int on_request(void* self, char* address, char* local_address, int port, int local_port) noexcept;
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept;
  /// Whether to continue; false ends the exchange with failure_.
  bool take_header(std::string_view line);
  bool take_body(std::string_view piece);
  void set_method();
  void set_headers();
  void set_client_certificate();
  std::optional<Error> follow(const std::string& target);
  Error failure(CURLcode code) const;
  bool was_closed_unanswered(CURLcode code) const noexcept;
  std::string doing() const;
  void log_outcome(std::string_view outcome) const;

  Transport& transport_;
  const HttpRequest& request_;
  const std::chrono::milliseconds time_limit_;
  const std::size_t max_body_bytes_;
  CURL* handle_ = nullptr;
  CurlList headers_;
  HttpResponse response_;
  std::optional<Error> failure_;  // found in a callback
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point hop_started_;
  bool was_sent_ = false;
  bool repeat_refused_ = false;
  bool left_origin_ = false;  // redirected to another origin
  std::size_t header_bytes_ = 0;
  std::size_t header_count_ = 0;
  bool header_ended_ = false;  // by its blank line
  int redirects_ = 0;
  std::array<char, CURL_ERROR_SIZE> error_text_{};
};

}  // namespace culmen::http
