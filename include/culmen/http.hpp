// The HTTP messages that the protocol core asks a driver to exchange.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace culmen {

enum class HttpMethod { get, head, post };

/// One HTTP request. The driver adds User-Agent, Accept-Language and what the transport needs.
class HttpRequest {
 public:
  HttpRequest() = default;
  HttpRequest(HttpMethod method_, std::string url_) : method(method_), url(std::move(url_)) {}

  HttpMethod method = HttpMethod::get;
  std::string url;
  std::string body;
  std::string content_type;  ///< Empty: no Content-Type header.
  std::string accept;        ///< Empty: no Accept header.
};

/// One HTTP response, whatever its status. Header names are lower-case.
class HttpResponse {
 public:
  HttpResponse() = default;

  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string url;  ///< Where it came from: the request's URL, or where redirects of a GET led.

  /// The first header of that (lower-case) name.
  std::optional<std::string_view> header(std::string_view lower_case_name) const;
  /// All headers of that (lower-case) name, in order.
  std::vector<std::string_view> all_headers(std::string_view lower_case_name) const;
};

}  // namespace culmen
