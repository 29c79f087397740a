#include "http/visit.hpp"

#include <array>
#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

#include <curl/curl.h>

#include "base/text.hpp"
#include "http/curl_options.hpp"
#include "http/transport.hpp"

namespace culmen::http {

namespace {

constexpr std::size_t most_octets = 1 << 16;

/// More than `most_octets` ends the transfer: what came suffices.
std::size_t take(char* data, std::size_t size, std::size_t count, void* body) {
  auto& text = *static_cast<std::string*>(body);
  const std::string_view piece(data, size * count);
  text.append(piece.substr(0, most_octets - text.size()));
  return text.size() < most_octets ? piece.size() : 0;
}

std::size_t ignore(char*, std::size_t size, std::size_t count, void*) { return size * count; }

Errc code_of(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST: return Errc::connection_failed;
    case CURLE_OPERATION_TIMEDOUT: return Errc::timeout;
    case CURLE_SSL_CONNECT_ERROR: return Errc::tls_failed;
    default: return Errc::bad_response;
  }
}

std::string text_of(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  const std::unique_ptr<char, decltype(&curl_free)> owned(text, curl_free);
  return text;
}

}  // namespace

Result<Visited> visit_address(const Visit& visit) {
  const std::string doing = "fetching " + printable(visit.url) + " from " + visit.address;
  curl_library();
  const EasyHandle handle(curl_easy_init());
  if (!handle) return Error(Errc::io_failed, doing, "out of memory");
  const bool is_v6 = visit.address.find(':') != std::string::npos;
  const std::string place = is_v6 ? "[" + visit.address + "]" : visit.address;
  const CurlList connect_to = append(CurlList(), "::" + place + ":" + std::to_string(visit.port));
  Visited visited;
  std::array<char, CURL_ERROR_SIZE> text{};
  CURL* const curl = handle.get();
  set_option(curl, CURLOPT_URL, visit.url.c_str());
  set_option(curl, CURLOPT_CONNECT_TO, connect_to.get());
  set_option(curl, CURLOPT_PROXY, "");
  set_option(curl, CURLOPT_NOSIGNAL, 1L);
  set_option(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set_option(curl, CURLOPT_SSL_VERIFYPEER, 0L);  // as CAs do: control is what is proven, not trust
  set_option(curl, CURLOPT_SSL_VERIFYHOST, 0L);
  set_option(curl, CURLOPT_TIMEOUT, static_cast<long>(visit.time_limit.count()));
  set_option(curl, CURLOPT_USERAGENT, "culmen (check)");
  set_option(curl, CURLOPT_WRITEFUNCTION, &take);
  set_option(curl, CURLOPT_WRITEDATA, &visited.body);
  set_option(curl, CURLOPT_HEADERFUNCTION, &ignore);
  set_option(curl, CURLOPT_ERRORBUFFER, text.data());
  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK && visited.body.size() < most_octets) {
    long number = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
    const Error failed(code_of(code), doing, text[0] != 0 ? printable(text.data()) : curl_easy_strerror(code));
    return failed.with_system_code(std::error_code(static_cast<int>(number), std::system_category()));
  }
  long status = 0;
  char* target = nullptr;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target);
  visited.status = static_cast<int>(status);
  if (target) visited.redirect = target;
  return visited;
}

Result<Origin> origin_of(const std::string& url) {
  const Error wrong(Errc::bad_response, "reading a URL", "\"" + printable(url, 200) + "\" is not one of http or https");
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return wrong;
  Origin origin;
  origin.scheme = base::to_lower(text_of(parsed.get(), CURLUPART_SCHEME, 0));
  origin.host = base::to_lower(text_of(parsed.get(), CURLUPART_HOST, 0));
  const std::string port = text_of(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  std::from_chars(port.data(), port.data() + port.size(), origin.port);
  if ((origin.scheme != "http" && origin.scheme != "https") || origin.host.empty()) return wrong;
  if (origin.host.starts_with('[') && origin.host.ends_with(']'))
    origin.host = origin.host.substr(1, origin.host.size() - 2);
  return origin;
}

}  // namespace culmen::http
