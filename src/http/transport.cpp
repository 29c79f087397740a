#include "http/transport.hpp"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "base/link.hpp"
#include "base/text.hpp"
#include "culmen/atomic_file.hpp"
#include "culmen/certificate.hpp"
#include "culmen/version.hpp"
#include "http/system_roots.hpp"

namespace culmen::http {

namespace {

constexpr long stall_bytes_per_second = 10;
constexpr std::chrono::seconds longest_time_limit = std::chrono::hours(24);
constexpr long most_connections = 1000;

struct FreeUrl {
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};

/// Part of a URL; empty if there is none.
std::string part_of(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  std::string result;
  if (curl_url_get(url, which, &text, flags) == CURLUE_OK) result = text;
  curl_free(text);
  return result;
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

bool system_folder_suffices() {
  const curl_version_info_data& curl = curl_library();
  return curl.cainfo && curl.capath && folder_is_known_to_suffice(curl.cainfo, curl.capath);
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

void clamp_numbers(TransportOptions& options) {
  for (std::chrono::seconds* time : {&options.connect_timeout, &options.request_timeout, &options.stall_timeout})
    *time = std::clamp(*time, std::chrono::seconds(0), longest_time_limit);
  options.max_response_bytes =
      std::min<std::size_t>(options.max_response_bytes, std::numeric_limits<curl_off_t>::max());
  options.max_connections = std::clamp(options.max_connections, 1L, most_connections);
}

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
  clamp_numbers(options_);
  user_agent_ = options_.user_agent + (options_.user_agent.empty() ? "" : " ") + "culmen/" + CULMEN_VERSION +
                " libcurl/" + curl_library().version;
  if (!options_.extra_root_file.empty()) {
    const std::string extra = read_root_file(options_.extra_root_file);
    roots_ = options_.only_extra_root || system_folder_suffices() ? extra : read_system_roots() + extra;
  }
  for (const std::string& rule : split_resolve_rules(options_.resolve)) resolve_ = append(std::move(resolve_), rule);
}

EasyHandle Transport::new_handle(HttpTrust trust) const {
  EasyHandle made(curl_easy_init());
  if (!made) throw std::bad_alloc();
  CURL* const handle = made.get();
  set_option(handle, CURLOPT_NOSIGNAL, 1L);
  set_option(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  set_option(handle, CURLOPT_FOLLOWLOCATION, 0L);  // Exchange does, by rules of its own
  set_option(handle, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  set_option(handle, CURLOPT_PATH_AS_IS, 1L);  // the "url" in a JWS is signed as it stands
  set_option(handle, CURLOPT_TCP_KEEPALIVE, 1L);
  set_option(handle, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set_option(handle, CURLOPT_USERAGENT, user_agent_.c_str());
  // A transfer that ends while the name is looked up leaves the look-up to its thread, instead of waiting for it.
  set_option(handle, CURLOPT_QUICK_EXIT, 1L);

  set_option(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set_option(handle, CURLOPT_SSL_VERIFYPEER, 1L);
  set_option(handle, CURLOPT_SSL_VERIFYHOST, 2L);
  set_trust(handle, trust);

  set_option(handle, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(options_.connect_timeout));
  set_option(handle, CURLOPT_LOW_SPEED_LIMIT, stall_bytes_per_second);
  set_option(handle, CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(options_.stall_timeout.count())));

  set_proxy(handle);
  if (!options_.unix_socket.empty() && trust == HttpTrust::client) {
    set_option(handle, CURLOPT_UNIX_SOCKET_PATH, options_.unix_socket.c_str());
  }
  return made;
}

void Transport::set_trust(CURL* handle, HttpTrust trust) const {
  const bool is_clients = trust == HttpTrust::client;
  if (is_clients && !roots_.empty()) {
    curl_blob roots{};
    roots.data = const_cast<char*>(roots_.data());
    roots.len = roots_.size();
    roots.flags = CURL_BLOB_NOCOPY;
    set_option(handle, CURLOPT_CAINFO_BLOB, &roots);
    set_option(handle, CURLOPT_PROXY_CAINFO_BLOB, &roots);
  } else if (system_folder_suffices()) {
    set_option(handle, CURLOPT_CAINFO, static_cast<const char*>(nullptr));
    set_option(handle, CURLOPT_PROXY_CAINFO, static_cast<const char*>(nullptr));
  }
  if (is_clients && options_.only_extra_root && curl_library().capath) {
    set_option(handle, CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    set_option(handle, CURLOPT_PROXY_CAPATH, static_cast<const char*>(nullptr));
  }
}

void Transport::set_proxy(CURL* handle) const {
  if (!options_.proxy.empty()) {
    set_option(handle, CURLOPT_PROXY, options_.proxy.c_str());
    set_option(handle, CURLOPT_NOPROXY, "");  // or curl would read it from the environment
  } else if (!options_.proxy_from_environment) {
    set_option(handle, CURLOPT_PROXY, "");
  }
}

bool Transport::knows_origin_of(const std::string& url) const {
  const std::string_view origin = origin_of(url);
  const std::lock_guard lock(mutex_);
  return !origin.empty() && origin == known_origin_;
}

Result<void> Transport::check_url(const std::string& url, std::string_view doing) {
  if (knows_origin_of(url)) return {};
  // Read by curl itself, so that what is checked is what is connected to.
  const std::unique_ptr<CURLU, FreeUrl> parsed(curl_url());
  if (!parsed) throw std::bad_alloc();
  const CURLUcode code = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), CURLU_DISALLOW_USER);
  if (code != CURLUE_OK) {
    return Error(Errc::invalid_argument, doing,
                 std::string("not a URL of the kind https://host/path: ") + curl_url_strerror(code));
  }
  const std::string scheme = part_of(parsed.get(), CURLUPART_SCHEME);
  if (scheme == "https") return accepted(url);
  if (scheme != "http") {
    return Error(Errc::invalid_argument, doing, "the scheme has to be https, not \"" + printable(scheme) + "\"");
  }
  std::string host = part_of(parsed.get(), CURLUPART_HOST);
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

// ---- Helpers ----

CurlList append(CurlList list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  if (!longer) throw std::bad_alloc();
  (void)list.release();
  return CurlList(longer);
}

std::string scheme_of(std::string_view url) {
  const std::size_t colon = url.find(':');
  return colon == std::string_view::npos ? std::string() : base::to_lower(url.substr(0, colon));
}

bool same_origin(const std::string& a, const std::string& b) {
  const std::unique_ptr<CURLU, FreeUrl> first(curl_url());
  const std::unique_ptr<CURLU, FreeUrl> second(curl_url());
  if (!first || !second) throw std::bad_alloc();
  if (curl_url_set(first.get(), CURLUPART_URL, a.c_str(), 0) != CURLUE_OK) return false;
  if (curl_url_set(second.get(), CURLUPART_URL, b.c_str(), 0) != CURLUE_OK) return false;
  const auto same = [&](CURLUPart which) {
    return base::to_lower(part_of(first.get(), which, CURLU_DEFAULT_PORT)) ==
           base::to_lower(part_of(second.get(), which, CURLU_DEFAULT_PORT));
  };
  return same(CURLUPART_SCHEME) && same(CURLUPART_HOST) && same(CURLUPART_PORT);
}

long milliseconds(std::chrono::nanoseconds time) noexcept {
  const auto longest = std::chrono::nanoseconds(longest_time_limit);
  const auto within = std::clamp<std::chrono::nanoseconds>(time, std::chrono::milliseconds(1), longest);
  return static_cast<long>(std::chrono::duration_cast<std::chrono::milliseconds>(within).count());
}

}  // namespace culmen::http
