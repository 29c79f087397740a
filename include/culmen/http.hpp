// The HTTP messages that flows ask a driver to exchange.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "culmen/error.hpp"

namespace culmen {

enum class HttpMethod { get, head, post, put, patch, del };

/// A header field of a request. A plain value.
class HttpHeader {
 public:
  HttpHeader(std::string name_, std::string value_, bool is_secret_ = false)
      : name(std::move(name_)), value(std::move(value_)), is_secret(is_secret_) {}

  std::string name;
  std::string value;
  /// Never sent to another origin when a GET is redirected. Set it for Authorization, Cookie and the like: the name
  /// alone does not make a header secret.
  bool is_secret;
};

/// A certificate for the client side of TLS. A plain value.
class HttpClientCertificate {
 public:
  HttpClientCertificate(std::string certificate_pem_, std::string key_pem_)
      : certificate_pem(std::move(certificate_pem_)), key_pem(std::move(key_pem_)) {}

  std::string certificate_pem;  ///< The certificate, followed by intermediates if the server needs them.
  std::string key_pem;          ///< Its private key, not encrypted.
};

/// Which root certificates a server's certificate is verified with.
enum class HttpTrust {
  client,  ///< Those of the client's TransportOptions.
  system,  ///< The system's only: for servers other than the CA, such as the API of a DNS provider.
};

/// One HTTP request. The driver adds User-Agent, Accept-Language and the headers of the transport, and follows
/// redirects of a GET. Rejected with Errc::invalid_argument: URLs other than https (but see TransportOptions), header
/// names that are not tokens, control characters in header values, a header that belongs to the transport (Connection,
/// Content-Length, Expect, Host, Transfer-Encoding, Upgrade), a GET or HEAD with a body. A plain value.
class HttpRequest {
 public:
  HttpRequest() = default;
  HttpRequest(HttpMethod method_, std::string url_) : method(method_), url(std::move(url_)) {}

  HttpMethod method = HttpMethod::get;
  std::string url;
  std::string body;
  std::string content_type;         ///< Empty: no Content-Type header.
  std::string accept;               ///< Empty: no Accept header.
  std::vector<HttpHeader> headers;  ///< Further headers. They replace those that the driver or a member above adds.

  std::optional<std::chrono::milliseconds> time_limit;  ///< Instead of TransportOptions::request_timeout.
  std::optional<std::size_t> max_response_bytes;        ///< Instead of TransportOptions::max_response_bytes.

  /// The request may be sent twice: if the server closes a kept connection before it answers, the driver sends it once
  /// more on a new one. GET and HEAD are always idempotent.
  bool is_idempotent = false;
  /// Refuses http:// for this request and its redirects, also to loopback and with `allow_insecure_http`. For URLs that
  /// come from a server that was itself reached by https. Errc::bad_response.
  bool require_https = false;

  HttpTrust trust = HttpTrust::client;
  /// Not used for another origin when a GET is redirected. Only for https. Errc::tls_failed if it cannot be parsed or
  /// the key is not its key.
  std::optional<HttpClientCertificate> client_certificate;
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

/// How far a request without a response got.
enum class HttpFailure {
  other = 1,  ///< It may have been received and processed.
  not_sent,   ///< Not a byte of it was sent.
  /// The server closed a connection that had served other requests before, without sending any part of a response.
  /// Servers close idle connections, so most likely it has not read this request, but it may have.
  closed_unanswered,
};

/// The HttpFailure of an Error with which a driver answered a SendAsk; `other` for any other Error.
HttpFailure http_failure(const Error& error) noexcept;
/// For Error::system_code(), if there is no error from the operating system.
std::error_code make_error_code(HttpFailure failure) noexcept;

}  // namespace culmen

template <>
struct std::is_error_code_enum<culmen::HttpFailure> : std::true_type {};
