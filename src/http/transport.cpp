#include "http/transport.hpp"

#include <algorithm>
#include <cctype>
#include <system_error>
#include <utility>

#include "base/link.hpp"
#include "base/text.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "culmen/version.hpp"
#include "http/curl_error.hpp"
#include "http/system_roots.hpp"

namespace culmen::http {

namespace {

constexpr std::size_t max_header_bytes = 64 << 10;
constexpr std::size_t max_header_count = 200;
constexpr int max_redirects = 5;
constexpr std::size_t max_idle_handles = 64;
constexpr long stall_bytes_per_second = 10;

struct FreeUrl {
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};

/// The version of libcurl at run time; readies libcurl on the first call.
const curl_version_info_data& curl_library() {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK) throw Error(Errc::io_failed, "starting libcurl", curl_easy_strerror(ready));
  return *curl_version_info(CURLVERSION_NOW);
}

void require_plain_text(std::string_view option, std::string_view text) {
  const bool plain = std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  if (!plain) {
    throw Error(Errc::invalid_argument, "reading the transport options",
                std::string(option) + " contains control characters");
  }
}

/// Whether `text` starts with "host:port:", and so is a new rule and not another address of the last one.
bool begins_rule(std::string_view text) {
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) text.remove_prefix(1);
  const std::size_t host_end = text.empty() || text[0] != '[' ? text.find(':') : text.find("]:");
  if (host_end == std::string_view::npos || host_end == 0) return false;
  text.remove_prefix(text[host_end] == ']' ? host_end + 2 : host_end + 1);
  const std::size_t port_end = text.find(':');
  if (port_end == 0 || port_end == std::string_view::npos) return false;
  return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(port_end),
                     [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::vector<std::string> split_resolve_rules(std::string_view text) {
  std::vector<std::string> rules;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view piece = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    if (begins_rule(piece)) {
      rules.emplace_back(piece);
    } else if (!rules.empty()) {
      rules.back().append(",").append(piece);  // "host:port:address,address"
    } else {
      throw Error(Errc::invalid_argument, "reading the resolve rules",
                  "\"" + printable(piece) + "\" is not of the form host:port:address");
    }
  }
  return rules;
}

CurlList append(CurlList list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  if (!longer) throw std::bad_alloc();
  (void)list.release();
  return CurlList(longer);
}

std::string read_root_file(const std::string& path) {
  const std::string doing = "reading the root certificates in " + path;
  std::optional<std::string> text;
  try {
    text = read_file(path);
  } catch (const Error& error) {
    throw error.while_doing(doing);
  }
  if (!text) throw Error(Errc::io_failed, doing, "there is no such file");
  try {
    (void)read_chain(*text);
  } catch (const Error& error) {
    throw Error(Errc::crypto_failed, doing,
                "it has to be a PEM file with certificates and nothing else: " + std::string(error.what()));
  }
  return *text;
}

/// What has to be given along with further roots to keep trusting the system's: curl's CAINFO replaces the file of
/// them, but not the folder.
std::string read_system_roots() {
  const char* file = curl_library().cainfo;
  if (!file) return {};  // the system's own store
  std::string roots;
  try {
    roots = read_file(file).value_or(std::string());
  } catch (const Error& error) {
    throw error.while_doing("reading the system's root certificates in " + std::string(file));
  }
  if (!roots.empty() && roots.back() != '\n') roots.push_back('\n');
  return roots;
}

/// "https://host:port" of "https://host:port/path", whose path holds nothing that could be read in two ways; else
/// empty.
std::string_view origin_of(std::string_view url) {
  const std::size_t scheme_end = url.find("://");
  if (scheme_end == std::string_view::npos) return {};
  const std::size_t path = url.find('/', scheme_end + 3);
  if (path == std::string_view::npos) return {};
  const bool plain = std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '\\'; });
  return plain ? url.substr(0, path) : std::string_view();
}

long milliseconds(std::chrono::milliseconds time) { return static_cast<long>(std::max<long long>(1, time.count())); }

}  // namespace

// ---- Transport ----

Transport::Transport(TransportOptions options, LogCallback log) : options_(std::move(options)), log_(std::move(log)) {
  require_plain_text("user_agent", options_.user_agent);
  require_plain_text("accept_language", options_.accept_language);
  require_plain_text("proxy", options_.proxy);
  if (options_.only_extra_root && options_.extra_root_file.empty()) {
    throw Error(Errc::invalid_argument, "reading the transport options",
                "only_extra_root is set, and extra_root_file is not");
  }
  user_agent_ = options_.user_agent + (options_.user_agent.empty() ? "" : " ") + "culmen/" + CULMEN_VERSION +
                " libcurl/" + curl_library().version;
  const curl_version_info_data& curl = curl_library();
  system_folder_suffices_ =
      !options_.only_extra_root && curl.cainfo && curl.capath && folder_suffices(curl.cainfo, curl.capath);
  if (!options_.extra_root_file.empty()) {
    const std::string extra = read_root_file(options_.extra_root_file);
    roots_ = options_.only_extra_root || system_folder_suffices_ ? extra : read_system_roots() + extra;
  }
  for (const std::string& rule : split_resolve_rules(options_.resolve)) resolve_ = append(std::move(resolve_), rule);
}

Transport::~Transport() {
  for (CURL* handle : idle_) curl_easy_cleanup(handle);
}

CURL* Transport::acquire() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      CURL* const handle = idle_.back();
      idle_.pop_back();
      return handle;
    }
  }
  CURL* const handle = curl_easy_init();
  if (!handle) throw std::bad_alloc();
  set_up(handle);
  return handle;
}

void Transport::release(CURL* handle) noexcept {
  {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < max_idle_handles) {
      idle_.push_back(handle);
      return;
    }
  }
  curl_easy_cleanup(handle);
}

void Transport::set_up(CURL* handle) const {
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);  // Exchange does, by rules of its own
  curl_easy_setopt(handle, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  curl_easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);  // the "url" in a JWS is signed as it stands
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, user_agent_.c_str());

  curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
  if (!roots_.empty()) {
    curl_blob roots{};
    roots.data = const_cast<char*>(roots_.data());
    roots.len = roots_.size();
    roots.flags = CURL_BLOB_NOCOPY;
    curl_easy_setopt(handle, CURLOPT_CAINFO_BLOB, &roots);
    curl_easy_setopt(handle, CURLOPT_PROXY_CAINFO_BLOB, &roots);
  } else if (system_folder_suffices_) {
    curl_easy_setopt(handle, CURLOPT_CAINFO, nullptr);
    curl_easy_setopt(handle, CURLOPT_PROXY_CAINFO, nullptr);
  }
  if (options_.only_extra_root) {
    curl_easy_setopt(handle, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(handle, CURLOPT_PROXY_CAPATH, nullptr);
  }

  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options_.connect_timeout));
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, stall_bytes_per_second);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME,
                   static_cast<long>(std::max<long long>(1, options_.stall_timeout.count())));
  curl_easy_setopt(handle, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options_.max_response_bytes));

  if (!options_.proxy.empty()) {
    curl_easy_setopt(handle, CURLOPT_PROXY, options_.proxy.c_str());
    curl_easy_setopt(handle, CURLOPT_NOPROXY, "");  // or curl would read it from the environment
  } else if (!options_.proxy_from_environment) {
    curl_easy_setopt(handle, CURLOPT_PROXY, "");
  }
  if (!options_.unix_socket.empty()) {
    curl_easy_setopt(handle, CURLOPT_UNIX_SOCKET_PATH, options_.unix_socket.c_str());
  }
  if (resolve_) curl_easy_setopt(handle, CURLOPT_RESOLVE, resolve_.get());
}

bool Transport::knows_origin_of(const std::string& url) const {
  const std::string_view origin = origin_of(url);
  const std::lock_guard lock(mutex_);
  return !origin.empty() && origin == known_origin_;
}

Result<void> Transport::check_url(const std::string& url, std::string_view doing) {
  // Read by curl itself, so that what is checked is what is connected to.
  const std::unique_ptr<CURLU, FreeUrl> parsed(curl_url());
  if (!parsed) throw std::bad_alloc();
  const CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER);
  if (code != CURLUE_OK) {
    return Error(Errc::invalid_argument, doing,
                 std::string("not a URL of the kind https://host/path: ") + curl_url_strerror(code));
  }
  const auto part = [&parsed](CURLUPart which) {
    char* text = nullptr;
    std::string result;
    if (curl_url_get(parsed.get(), which, &text, 0) == CURLUE_OK) result = text;
    curl_free(text);
    return result;
  };
  const std::string scheme = part(CURLUPART_SCHEME);
  if (scheme == "https") return accepted(url);
  if (scheme != "http") {
    return Error(Errc::invalid_argument, doing, "the scheme has to be https, not \"" + printable(scheme) + "\"");
  }
  std::string host = part(CURLUPART_HOST);
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  if (options_.allow_insecure_http || !options_.unix_socket.empty() || base::is_loopback_host(base::to_lower(host))) {
    return accepted(url);
  }
  return Error(Errc::invalid_argument, doing,
               "http:// is not protected, and allowed to this machine only; use https:// (or allow_insecure_http)");
}

Result<void> Transport::accepted(const std::string& url) {
  const std::lock_guard lock(mutex_);
  known_origin_ = origin_of(url);
  return {};
}

void Transport::log(std::string_view line) const noexcept {
  try {
    log_(line);
  } catch (...) {
    // Exceptions from the log callback are ignored.
  }
}

// ---- Exchange ----

namespace {

std::string_view method_name(HttpMethod method) {
  switch (method) {
    case HttpMethod::get: return "GET";
    case HttpMethod::head: return "HEAD";
    case HttpMethod::post: return "POST";
  }
  return "?";
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

Exchange::Exchange(Transport& transport, const HttpRequest& request)
    : transport_(transport),
      request_(request),
      handle_(transport.acquire()),
      started_(std::chrono::steady_clock::now()),
      hop_started_(started_) {
  response_.url = request.url;
}

Exchange::~Exchange() {
  // Pointers into this Exchange must not outlive it.
  curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, nullptr);
  curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, nullptr);
  curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, nullptr);
  transport_.release(handle_);
}

std::optional<Error> Exchange::prepare() {
  if (!transport_.knows_origin_of(response_.url)) {
    if (Result<void> checked = transport_.check_url(response_.url, doing()); !checked) return checked.error();
  }
  set_options();
  return {};
}

void Exchange::set_options() {
  curl_easy_setopt(handle_, CURLOPT_ERRORBUFFER, error_text_.data());
  curl_easy_setopt(handle_, CURLOPT_HEADERFUNCTION, &Exchange::on_header);
  curl_easy_setopt(handle_, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(handle_, CURLOPT_WRITEFUNCTION, &Exchange::on_body);
  curl_easy_setopt(handle_, CURLOPT_WRITEDATA, this);

  const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(hop_started_ - started_);
  curl_easy_setopt(handle_, CURLOPT_TIMEOUT_MS, milliseconds(transport_.options().request_timeout - spent));
  curl_easy_setopt(handle_, CURLOPT_URL, response_.url.c_str());
  // To wait for a connection that others can share pays where HTTP/2 may be spoken; elsewhere curl would only know
  // after the first answer.
  curl_easy_setopt(handle_, CURLOPT_PIPEWAIT, response_.url.starts_with("https:") ? 1L : 0L);
  switch (request_.method) {
    case HttpMethod::get: curl_easy_setopt(handle_, CURLOPT_HTTPGET, 1L); break;
    case HttpMethod::head: curl_easy_setopt(handle_, CURLOPT_NOBODY, 1L); break;
    case HttpMethod::post:
      curl_easy_setopt(handle_, CURLOPT_POST, 1L);
      curl_easy_setopt(handle_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
      curl_easy_setopt(handle_, CURLOPT_POSTFIELDS, request_.body.data());  // not copied; goes out with the header
      break;
  }
  curl_easy_setopt(handle_, CURLOPT_PREREQFUNCTION, &Exchange::on_request);
  curl_easy_setopt(handle_, CURLOPT_PREREQDATA, this);

  const auto named = [](std::string name, const std::string& value) {
    return value.empty() ? name + ":" : name + ": " + value;  // curl takes "Name:" as "leave it out"
  };
  headers_ = append(nullptr, named("Accept-Language", transport_.options().accept_language));
  headers_ = append(std::move(headers_), named("Accept", request_.accept));
  headers_ = append(std::move(headers_), named("Content-Type", request_.content_type));
  headers_ = append(std::move(headers_), "Expect:");
  curl_easy_setopt(handle_, CURLOPT_HTTPHEADER, headers_.get());
}

std::optional<Result<HttpResponse>> Exchange::finished(CURLcode code) {
  if (code != CURLE_OK) {
    const CurlFailure failure(handle_, code, error_text_.data(), transport_.options());
    Error error = body_too_large_      ? too_large(doing(), "the body", transport_.options().max_response_bytes)
                  : headers_too_large_ ? too_large(doing(), "the header", max_header_bytes)
                                       : failure.error(doing(), response_.url);
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

  const std::string from = response_.url;
  const std::string to = target;
  if (++redirects_ > max_redirects) {
    return Error(Errc::bad_response, doing(),
                 "redirected more than " + std::to_string(max_redirects) + " times, last to " + printable(to));
  }
  if (from.starts_with("https:") && !to.starts_with("https:") && !transport_.options().allow_insecure_http) {
    return Error(Errc::bad_response, doing(), "redirected from https to " + printable(to));
  }
  if (Result<void> checked = transport_.check_url(to, doing()); !checked) {
    return Error(Errc::bad_response, doing(), "redirected to " + printable(to) + ": " + checked.error().detail());
  }
  hop_started_ = std::chrono::steady_clock::now();
  if (hop_started_ - started_ >= transport_.options().request_timeout) {
    return Error(Errc::timeout, doing(), "the redirects took too long");
  }
  response_ = HttpResponse();
  response_.url = to;
  header_bytes_ = header_count_ = 0;
  set_options();
  return {};
}

std::size_t Exchange::on_header(char* data, std::size_t size, std::size_t count, void* self) {
  const std::string_view line(data, size * count);
  return static_cast<Exchange*>(self)->take_header(line) ? line.size() : 0;
}

// When a connection that it kept breaks, curl sends the request again by itself. A signed one goes out once (RFC 8555
// §6.5); what the broken connection means is the flows' to decide.
int Exchange::on_request(void* self, char*, char*, int, int) {
  auto& exchange = *static_cast<Exchange*>(self);
  const bool again = std::exchange(exchange.requested_, true);
  return again && exchange.request_.method == HttpMethod::post ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

std::size_t Exchange::on_body(char* data, std::size_t size, std::size_t count, void* self) {
  const std::string_view piece(data, size * count);
  return static_cast<Exchange*>(self)->take_body(piece) || piece.empty() ? piece.size() : CURL_WRITEFUNC_ERROR;
}

bool Exchange::take_header(std::string_view line) {
  header_bytes_ += line.size();
  if (header_bytes_ > max_header_bytes || ++header_count_ > max_header_count) {
    headers_too_large_ = true;
    return false;
  }
  if (!response_.body.empty()) return true;  // a trailer
  if (line.starts_with("HTTP/")) {
    response_.headers.clear();  // what came before was an interim response
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
  if (response_.body.size() + piece.size() > transport_.options().max_response_bytes) {
    body_too_large_ = true;
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
  transport_.log(std::string(method_name(request_.method)) + " " + printable(response_.url) + " " + printable(outcome) +
                 " " + std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(spent).count()) + " ms");
}

}  // namespace culmen::http
