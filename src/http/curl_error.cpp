#include "http/curl_error.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <system_error>

#include "base/text.hpp"

namespace culmen::http {

namespace {

/// "acme.example.com:14000", out of a URL that curl has taken.
std::string host_of(const std::string& url) {
  const std::size_t slashes = url.find("//");
  const std::size_t begin = slashes == std::string::npos ? 0 : slashes + 2;
  return printable(url.substr(begin, url.find_first_of("/?#", begin) - begin));
}

/// The proxy that curl takes for that URL, unless no_proxy has its host in another form; empty: none.
std::string proxy_in_environment(const std::string& url) {
  const auto value = [](const char* name) {
    const char* const text = std::getenv(name);
    return std::string(text ? text : "");
  };
  const bool is_https = url.starts_with("https:");
  std::string proxy = value(is_https ? "https_proxy" : "http_proxy");
  for (const char* const name : {is_https ? "HTTPS_PROXY" : "", "all_proxy", "ALL_PROXY"})
    if (proxy.empty() && *name != '\0') proxy = value(name);
  const std::string none = value("no_proxy").empty() ? value("NO_PROXY") : value("no_proxy");
  const std::string host = host_of(url).substr(0, host_of(url).rfind(':'));
  const bool is_excluded = none == "*" || (!host.empty() && none.find(host) != std::string::npos);
  return is_excluded ? std::string() : proxy;
}

/// Of a proxy that it cannot use curl says all, its password too.
std::string without_proxy(std::string_view text) {
  constexpr std::string_view unsupported = "Unsupported proxy";
  return std::string(text.starts_with(unsupported) ? unsupported : text);
}

std::string time_text(std::chrono::milliseconds time) {
  const bool is_whole = time % std::chrono::seconds(1) == std::chrono::milliseconds(0);
  return is_whole ? std::to_string(time / std::chrono::seconds(1)) + " s" : std::to_string(time.count()) + " ms";
}

}  // namespace

CurlFailure::CurlFailure(CURL* handle, CURLcode code, const char* text, const TransportOptions& options,
                         std::chrono::milliseconds time_limit, std::size_t max_body_bytes)
    : handle_(handle),
      code_(code),
      text_(without_proxy(*text != '\0' ? text : curl_easy_strerror(code))),
      options_(options),
      time_limit_(time_limit),
      max_body_bytes_(max_body_bytes) {}

Error CurlFailure::error(std::string_view doing, const std::string& url) const {
  const std::string host = host_of(url);
  const std::string proxy =
      options_.proxy.empty() ? "from the environment" : printable(base::without_credentials(options_.proxy));
  switch (static_cast<int>(code_)) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      if (text_has("http/0.9")) return Error(Errc::bad_response, doing, host + " does not speak HTTP" + said());
      if (text_has("response")) {  // with a version or a status that there is not
        return Error(Errc::bad_response, doing, host + " did not send a valid HTTP response" + said());
      }
      return Error(Errc::invalid_argument, doing, "the URL is not usable" + said());
    case CURLE_COULDNT_RESOLVE_HOST:
      return connection(doing, "the name of " + host + " was not resolved: check it, and this machine's DNS" + said());
    case CURLE_COULDNT_RESOLVE_PROXY:
      return connection(doing, "the name of the proxy (" + proxy + ") was not resolved" + said());
    case CURLE_PROXY: return connection(doing, "the proxy (" + proxy + ") did not connect to " + host + said());
    case CURLE_COULDNT_CONNECT: {
      if (text_has("unsupported proxy")) {
        return Error(Errc::invalid_argument, doing,
                     "the proxy " + proxy + " cannot be used: it must be a URL such as http://proxy.example:3128");
      }
      long number = 0;
      curl_easy_getinfo(handle_, CURLINFO_OS_ERRNO, &number);
      const std::error_code why(static_cast<int>(number), std::generic_category());
      std::string detail = "no connection to " + host;
      if (!options_.unix_socket.empty()) detail += " by the unix socket " + printable(options_.unix_socket);
      if (!options_.proxy.empty()) {
        detail += " by the proxy " + proxy;
      } else if (const std::string own = proxy_in_environment(url); options_.proxy_from_environment && !own.empty()) {
        detail += " by the proxy " + printable(base::without_credentials(own)) + " from the environment";
      }
      if (why) detail += ": " + why.message();
      return connection(doing, detail + said()).with_system_code(why);
    }
    case CURLE_OPERATION_TIMEDOUT: return timed_out(doing, host);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_INVALIDCERTSTATUS: return tls(doing, host);
    case CURLE_SSL_CACERT_BADFILE:
      return Error(
          Errc::tls_failed, doing,
          "the root certificates of this machine cannot be read; is the package ca-certificates installed?" + said());
    case CURLE_FILESIZE_EXCEEDED: return too_large(doing, "the body", max_body_bytes_);
    case CURLE_ABORTED_BY_CALLBACK:  // Exchange::on_request() did not let curl repeat the request
      return connection(doing, host + " closed the connection without an answer");
    case CURLE_GOT_NOTHING: return connection(doing, host + " closed the connection without an answer" + said());
    case CURLE_PARTIAL_FILE:
      return connection(doing, host + " closed the connection in the middle of its answer" + said());
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return Error(Errc::bad_response, doing, host + " did not send a valid HTTP response" + said());
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: {
      long connect_status = 0;
      curl_easy_getinfo(handle_, CURLINFO_HTTP_CONNECTCODE, &connect_status);
      if (connect_status == 407) {
        return Error(Errc::http_status, doing, "the proxy (" + proxy + ") wants a user name and a password" + said())
            .with_http_status(407);
      }
      if (connect_status >= 300) {
        return connection(doing, "the proxy (" + proxy + ") did not connect to " + host + ": it answered " +
                                     std::to_string(connect_status) + said());
      }
      if (text_has("ssl") || text_has("tls")) return tls(doing, host);
      return connection(doing, "the connection to " + host + " broke" + said());
    }
    default: return connection(doing, "the exchange with " + host + " failed" + said());
  }
}

Error CurlFailure::connection(std::string_view doing, std::string detail) const {
  return Error(Errc::connection_failed, doing, detail);
}

Error CurlFailure::tls(std::string_view doing, const std::string& host) const {
  std::string why;
  if (text_has("not yet valid")) {
    why = "the certificate of " + host + " is not yet valid; is the clock of this machine right?";
  } else if (text_has("expired")) {
    why = "the certificate of " + host + " has expired (or the clock of this machine is wrong)";
  } else if (text_has("subject name") || text_has("does not match") || text_has("hostname mismatch")) {
    why = "the certificate of " + host + " is for another name";
  } else if (text_has("issuer certificate") || text_has("self-signed") || text_has("self signed") ||
             text_has("unable to verify")) {
    why = "the certificate of " + host + " is from an unknown authority; if it is your own, name its root file" +
          (options_.extra_root_file.empty() ? "" : " (" + printable(options_.extra_root_file) + " does not have it)");
  } else if (text_has("wrong version number") || text_has("http request")) {
    why = host + " does not speak TLS there; is that port for http://?";
  } else if (text_has("protocol version") || text_has("unsupported protocol")) {
    why = host + " speaks no TLS 1.2 or newer";
  } else {
    why = "no trusted TLS connection to " + host;
  }
  return Error(Errc::tls_failed, doing, why + said());
}

Error CurlFailure::timed_out(std::string_view doing, const std::string& host) const {
  curl_off_t connected = 0;
  long sent = 0;
  curl_easy_getinfo(handle_, CURLINFO_CONNECT_TIME_T, &connected);
  curl_easy_getinfo(handle_, CURLINFO_REQUEST_SIZE, &sent);
  if (connected == 0 && sent == 0) {
    return connection(doing, "timed out: no connection to " + host + " within " +
                                 time_text(std::min<std::chrono::milliseconds>(options_.connect_timeout, time_limit_)) +
                                 said());
  }
  if (text_has("too slow")) {
    return Error(Errc::timeout, doing,
                 "timed out: " + host + " sent next to nothing for " + time_text(options_.stall_timeout) + said());
  }
  return Error(Errc::timeout, doing,
               "timed out: " + host + " did not answer in time (" + time_text(time_limit_) + ")" + said());
}

bool CurlFailure::text_has(std::string_view words) const {
  return base::to_lower(text_).find(words) != std::string::npos;
}

std::string CurlFailure::said() const { return " (" + printable(text_) + ")"; }

Error too_large(std::string_view doing, std::string_view what, std::size_t limit) {
  return Error(Errc::response_too_large, doing,
               std::string(what) + " of the answer is larger than the limit of " + std::to_string(limit) + " bytes");
}

}  // namespace culmen::http
