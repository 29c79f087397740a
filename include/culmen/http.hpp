// The HTTP messages that flows ask a driver to exchange.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace culmen {

enum class HttpMethod { get, head, post };

/// One HTTP request. The driver adds User-Agent, Accept-Language and the headers of the transport. A plain value.
class HttpRequest {
 public:
  HttpRequest() = default;
  HttpRequest(HttpMethod method_, std::string url_) : method(method_), url(std::move(url_)) {}

  HttpMethod method = HttpMethod::get;
  std::string url;
  std::string body;
  std::string content_type;  ///< Empty: no Content-Type header.
  std::string accept;        ///< Empty: no Accept header.
  /// Time limit for this exchange, if it is shorter than the driver's own.
  std::optional<std::chrono::milliseconds> time_limit;
};

/// One HTTP response, with any status. Header names are in lower case. A plain value.
class HttpResponse {
 public:
  HttpResponse() = default;

  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string url;  ///< The URL of the response: that of the request, or of the last redirect of a GET.

  /// The first header with that lower-case name. Points into this response.
  std::optional<std::string_view> header(std::string_view lower_case_name) const;
  /// All headers with that lower-case name, in order. Point into this response.
  std::vector<std::string_view> all_headers(std::string_view lower_case_name) const;
};

}  // namespace culmen
