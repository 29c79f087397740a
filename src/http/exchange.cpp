#include "http/exchange.hpp"

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

#include "base/text.hpp"
#include "http/curl_error.hpp"

namespace culmen::http {

namespace {

constexpr std::size_t max_header_bytes = 64 << 10;
constexpr std::size_t max_header_count = 200;
constexpr int max_redirects = 5;
constexpr std::chrono::milliseconds longest_request = std::chrono::hours(24);

std::string_view method_name(HttpMethod method) {
  switch (method) {
    case HttpMethod::get: return "GET";
    case HttpMethod::head: return "HEAD";
    case HttpMethod::post: return "POST";
    case HttpMethod::put: return "PUT";
    case HttpMethod::patch: return "PATCH";
    case HttpMethod::del: return "DELETE";
  }
  return "?";
}

bool is_safe(HttpMethod method) { return method == HttpMethod::get || method == HttpMethod::head; }

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// RFC 9110 §5.6.2: "token".
bool is_header_name(std::string_view name) {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::all_of(name.begin(), name.end(), [others](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           others.find(c) != std::string_view::npos;
  });
}

/// RFC 9110 §5.5: "Field values containing CR, LF, or NUL characters are invalid and dangerous".
bool is_header_value(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](unsigned char c) { return c == '\t' || (c >= 0x20 && c != 0x7f); });
}

/// Headers that say where a message goes and where it ends.
bool is_transports_own(const std::string& lower_case_name) {
  constexpr std::array<std::string_view, 6> own = {"connection", "content-length",    "expect",
                                                   "host",       "transfer-encoding", "upgrade"};
  return std::ranges::find(own, lower_case_name) != own.end();
}

/// Errors name a header, but never its value, which may be a secret.
std::optional<Error> refused_header(std::string_view doing, const std::string& name, std::string_view value) {
  const auto refuse = [&](std::string_view why) {
    return Error(Errc::invalid_argument, doing, "header \"" + printable(name, 100) + "\": " + std::string(why));
  };
  if (!is_header_name(name)) return refuse("the name is not a token (RFC 9110)");
  if (!is_header_value(value)) return refuse("the value contains a control character");
  if (is_transports_own(base::to_lower(name))) return refuse("it is set by the HTTP transport");
  return {};
}

}  // namespace

Exchange::Exchange(Transport& transport, const HttpRequest& request)
    : transport_(transport),
      request_(request),
      time_limit_(
          std::clamp(request.time_limit.value_or(std::chrono::milliseconds(transport.options().request_timeout)),
                     std::chrono::milliseconds(1), longest_request)),
      max_body_bytes_(request.max_response_bytes.value_or(transport.options().max_response_bytes)),
      started_(std::chrono::steady_clock::now()),
      hop_started_(started_) {
  response_.url = request.url;
}

Exchange::~Exchange() { detach(); }

std::optional<Error> Exchange::refused() {
  const std::string scheme = scheme_of(url());
  if (request_.require_https && scheme == "http") {
    return Error(Errc::bad_response, doing(), "the URL has to be https, as that of the server which named it");
  }
  if (Result<void> checked = transport_.check_url(url(), doing()); !checked) return checked.error();
  if (is_safe(request_.method) && !request_.body.empty()) {
    return Error(Errc::invalid_argument, doing(), "this method has no body");
  }
  if (request_.client_certificate && scheme != "https") {
    return Error(Errc::invalid_argument, doing(), "a client certificate needs an https URL");
  }
  for (const HttpHeader& header : request_.headers) {
    if (std::optional<Error> refused = refused_header(doing(), header.name, header.value)) return refused;
  }
  if (std::optional<Error> refused = refused_header(doing(), "Accept", request_.accept)) return refused;
  return refused_header(doing(), "Content-Type", request_.content_type);
}

const HttpClientCertificate* Exchange::client_certificate() const noexcept {
  return request_.client_certificate && !left_origin_ ? &*request_.client_certificate : nullptr;
}

void Exchange::attach(CURL* handle, bool waits_for_shared_connection) {
  handle_ = handle;
  error_text_[0] = 0;
  set_option(handle, CURLOPT_ERRORBUFFER, error_text_.data());
  set_option(handle, CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  set_option(handle, CURLOPT_HEADERDATA, static_cast<void*>(this));
  set_option(handle, CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  set_option(handle, CURLOPT_WRITEDATA, static_cast<void*>(this));
  set_option(handle, CURLOPT_PREREQFUNCTION, &Exchange::on_request);
  set_option(handle, CURLOPT_PREREQDATA, static_cast<void*>(this));

  const auto spent = std::chrono::steady_clock::now() - started_;
  set_option(handle, CURLOPT_TIMEOUT_MS, milliseconds(time_limit_ - spent));
  // What a HEAD is answered names the length of a body that does not come.
  const auto largest = request_.method == HttpMethod::head
                           ? 0
                           : std::min<std::size_t>(max_body_bytes_, std::numeric_limits<curl_off_t>::max());
  set_option(handle, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(largest));
  set_option(handle, CURLOPT_URL, url().c_str());
  set_option(handle, CURLOPT_PIPEWAIT, waits_for_shared_connection ? 1L : 0L);
  set_option(handle, CURLOPT_RESOLVE, transport_.resolve_rules());
  set_method();
  set_headers();
  set_client_certificate();
}

void Exchange::set_method() {
  const char* custom = nullptr;
  if (request_.method == HttpMethod::head) {
    set_option(handle_, CURLOPT_NOBODY, 1L);
  } else if (request_.method == HttpMethod::get || (request_.method == HttpMethod::del && request_.body.empty())) {
    set_option(handle_, CURLOPT_HTTPGET, 1L);
  } else {
    set_option(handle_, CURLOPT_POST, 1L);
    set_option(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    set_option(handle_, CURLOPT_POSTFIELDS, request_.body.data());  // not copied; goes out with the header
  }
  switch (request_.method) {
    case HttpMethod::get:
    case HttpMethod::head:
    case HttpMethod::post: break;
    case HttpMethod::put: custom = "PUT"; break;
    case HttpMethod::patch: custom = "PATCH"; break;
    case HttpMethod::del: custom = "DELETE"; break;
  }
  set_option(handle_, CURLOPT_CUSTOMREQUEST, custom);
}

void Exchange::set_headers() {
  headers_.reset();
  const auto add = [this](const std::string& name, const std::string& value) {
    // curl takes "Name:" as "leave it out", and "Name;" as an empty value.
    headers_ = append(std::move(headers_), value.empty() ? name : name + ": " + value);
  };
  const auto add_own = [this, &add](const std::string& name, const std::string& value) {
    const bool is_replaced = std::ranges::any_of(request_.headers, [&name](const HttpHeader& header) {
      return base::to_lower(header.name) == base::to_lower(name);
    });
    if (!is_replaced) add(value.empty() ? name + ":" : name, value);
  };
  add_own("Accept-Language", transport_.options().accept_language);
  add_own("Accept", request_.accept);
  add_own("Content-Type", request_.content_type);
  add("Expect:", "");
  for (const HttpHeader& header : request_.headers) {
    if (header.is_secret && left_origin_) continue;
    add(header.value.empty() ? header.name + ";" : header.name, header.value);
  }
  set_option(handle_, CURLOPT_HTTPHEADER, headers_.get());
}

void Exchange::set_client_certificate() {
  const HttpClientCertificate* const identity = client_certificate();
  if (!identity) return;  // detach() leaves none
  const auto set = [this](CURLoption option, const std::string& pem) {
    curl_blob blob{};
    blob.data = const_cast<char*>(pem.data());
    blob.len = pem.size();
    blob.flags = CURL_BLOB_COPY;
    set_option(handle_, option, &blob);
  };
  set(CURLOPT_SSLCERT_BLOB, identity->certificate_pem);
  set(CURLOPT_SSLKEY_BLOB, identity->key_pem);
}

void Exchange::detach() noexcept {
  if (!handle_) return;
  // Removing a pointer cannot fail.
  for (const CURLoption option : {CURLOPT_ERRORBUFFER, CURLOPT_HTTPHEADER, CURLOPT_POSTFIELDS, CURLOPT_SSLCERT_BLOB,
                                  CURLOPT_SSLKEY_BLOB, CURLOPT_HEADERDATA, CURLOPT_WRITEDATA, CURLOPT_PREREQDATA}) {
    (void)curl_easy_setopt(handle_, option, static_cast<void*>(nullptr));
  }
  handle_ = nullptr;
}

std::optional<Result<HttpResponse>> Exchange::finished(CURLcode code) {
  if (code == CURLE_OK && !header_ended_) code = CURLE_PARTIAL_FILE;  // curl takes what came for a whole header
  if (code != CURLE_OK) {
    Error error = failure(code);
    log_outcome("failed: " + error.detail());
    return error;
  }
  long status = 0;
  curl_easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
  response_.status = static_cast<int>(status);
  log_outcome(std::to_string(status));

  char* target = nullptr;
  curl_easy_getinfo(handle_, CURLINFO_REDIRECT_URL, &target);
  // A POST is never sent elsewhere: the URL is signed with it (RFC 8555 §6.4).
  if (request_.method != HttpMethod::get || !is_redirect(response_.status) || !target) return std::move(response_);
  if (std::optional<Error> error = follow(target)) return *error;
  return {};
}

std::optional<Error> Exchange::follow(const std::string& target) {
  const std::string from = url();
  if (++redirects_ > max_redirects) {
    return Error(Errc::bad_response, doing(),
                 "redirected more than " + std::to_string(max_redirects) + " times, last to " + printable(target));
  }
  const bool is_downgrade = scheme_of(from) == "https" && scheme_of(target) != "https";
  if (is_downgrade && (request_.require_https || !transport_.options().allow_insecure_http)) {
    return Error(Errc::bad_response, doing(), "redirected from https to " + printable(target));
  }
  if (Result<void> checked = transport_.check_url(target, doing()); !checked) {
    return Error(Errc::bad_response, doing(), "redirected to " + printable(target) + ": " + checked.error().detail());
  }
  hop_started_ = std::chrono::steady_clock::now();
  if (hop_started_ - started_ >= time_limit_) return Error(Errc::timeout, doing(), "the redirects took too long");
  left_origin_ = left_origin_ || !same_origin(from, target);
  response_ = HttpResponse();
  response_.url = target;
  header_bytes_ = header_count_ = 0;
  header_ended_ = false;
  was_sent_ = false;
  return {};
}

Error Exchange::failure(CURLcode code) const {
  if (failure_) return *failure_;
  // A line that is longer than curl takes; CURLE_TOO_LARGE since 8.6.
  constexpr int curle_too_large = 100;
  if (static_cast<int>(code) == curle_too_large || (code == CURLE_OUT_OF_MEMORY && was_sent_ && !header_ended_)) {
    return too_large(doing(), "the header", max_header_bytes);
  }
  const Error error = CurlFailure(handle_, code, error_text_.data(), transport_.options(), time_limit_, max_body_bytes_)
                          .error(doing(), url());
  if (was_sent_) {
    // curl sends a request again when a kept connection breaks. That connecting fails then does not mean that nothing
    // was sent, as the system's error would say.
    if (was_closed_unanswered(code)) return error.with_system_code(HttpFailure::closed_unanswered);
    return error.system_code() ? error.with_system_code(HttpFailure::other) : error;
  }
  return error.system_code() ? error : error.with_system_code(HttpFailure::not_sent);
}

bool Exchange::was_closed_unanswered(CURLcode code) const noexcept {
  if (repeat_refused_) return true;
  long new_connections = 0;
  curl_easy_getinfo(handle_, CURLINFO_NUM_CONNECTS, &new_connections);
  const bool was_closed = code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR;
  return was_closed && new_connections == 0 && header_bytes_ == 0;
}

namespace {

/// Runs the body of a callback of curl, which is C and must not be left by an exception.
template <class Body>
bool guarded_callback(std::optional<Error>& failure, const std::string& url, Body body) noexcept {
  try {
    try {
      return body();
    } catch (const Error& error) {
      failure = error;
    } catch (const std::exception& error) {
      failure.emplace(Errc::io_failed, "receiving the response of " + printable(url), error.what());
    }
  } catch (...) {
    // Out of memory for the error as well: curl's own error has to do.
  }
  return false;
}

}  // namespace

std::size_t Exchange::on_header(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  auto& exchange = *static_cast<Exchange*>(self);
  const std::string_view line(data, size * count);
  const bool goes_on = guarded_callback(exchange.failure_, exchange.url(), [&] { return exchange.take_header(line); });
  return goes_on ? line.size() : 0;
}

// When a kept connection breaks, curl sends the request again by itself. A signed one goes out once (RFC 8555 §6.5);
// what the broken connection means is the flows' to decide.
int Exchange::on_request(void* self, char*, char*, int, int) noexcept {
  auto& exchange = *static_cast<Exchange*>(self);
  const auto spent = std::chrono::steady_clock::now() - exchange.started_;
  if (!exchange.was_sent_ && spent >= exchange.time_limit_) {
    // Its turn came too late: nobody would wait for the answer, and the server would act on it.
    guarded_callback(exchange.failure_, exchange.url(), [&exchange]() -> bool {
      const Error late(Errc::timeout, exchange.doing(), "timed out while it waited for other requests");
      throw late.with_system_code(HttpFailure::not_sent);
    });
    return CURL_PREREQFUNC_ABORT;
  }
  const bool is_repeat = std::exchange(exchange.was_sent_, true);
  if (!is_repeat || is_safe(exchange.request_.method) || exchange.request_.is_idempotent) return CURL_PREREQFUNC_OK;
  exchange.repeat_refused_ = true;
  return CURL_PREREQFUNC_ABORT;
}

std::size_t Exchange::on_body(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  auto& exchange = *static_cast<Exchange*>(self);
  const std::string_view piece(data, size * count);
  const bool goes_on = guarded_callback(exchange.failure_, exchange.url(), [&] { return exchange.take_body(piece); });
  return goes_on ? piece.size() : CURL_WRITEFUNC_ERROR;
}

bool Exchange::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > max_header_bytes || ++header_count_ > max_header_count) {
    failure_ = too_large(doing(), "the header", max_header_bytes);
    return false;
  }
  if (!response_.body.empty()) return true;  // a trailer
  if (line.starts_with("HTTP/")) {
    response_.headers.clear();  // what came before was an interim response
    header_ended_ = false;
    return true;
  }
  if (header_ended_) return true;  // a trailer, after an empty body
  if (line == "\r\n" || line == "\n") {
    header_ended_ = true;
    return true;
  }
  const bool continues = line.starts_with(' ') || line.starts_with('\t');
  if (continues && !response_.headers.empty() && !base::trimmed(line).empty()) {
    response_.headers.back().second.append(" ").append(base::trimmed(line));
    return true;
  }
  const std::size_t colon = line.find(':');
  if (continues || colon == std::string_view::npos) return true;
  std::string name = base::to_lower(base::trimmed(line.substr(0, colon)));
  response_.headers.emplace_back(std::move(name), base::trimmed(line.substr(colon + 1)));
  return true;
}

bool Exchange::take_body(std::string_view piece) {
  if (piece.size() > max_body_bytes_ - response_.body.size()) {
    failure_ = too_large(doing(), "the body", max_body_bytes_);
    return false;
  }
  response_.body.append(piece);
  return true;
}

std::string Exchange::doing() const {
  return std::string(method_name(request_.method)) + " " + printable(request_.url);
}

void Exchange::log_outcome(std::string_view outcome) const {
  if (!transport_.logs()) return;
  const auto spent = std::chrono::steady_clock::now() - hop_started_;
  transport_.log(std::string(method_name(request_.method)) + " " + printable(url()) + " " + printable(outcome) + " " +
                 std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(spent).count()) + " ms");
}

}  // namespace culmen::http
