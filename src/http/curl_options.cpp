#include "http/curl_options.hpp"

#include <string>

#include "culmen/error.hpp"

namespace culmen::http {

namespace {

Error refused_option(const std::string& option, const char* reason) {
  return Error(Errc::io_failed, "setting up libcurl " + std::string(curl_library().version),
               "it does not accept the option " + option + ": " + reason);
}

}  // namespace

const curl_version_info_data& curl_library() {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (ready != CURLE_OK) throw Error(Errc::io_failed, "starting libcurl", curl_easy_strerror(ready));
  return *curl_version_info(CURLVERSION_NOW);
}

void require_option(CURLcode code, CURLoption option) {
  if (code == CURLE_OK) return;
  const curl_easyoption* const known = curl_easy_option_by_id(option);
  throw refused_option("CURLOPT_" + (known ? std::string(known->name) : std::to_string(option)),
                       curl_easy_strerror(code));
}

void require_option(CURLMcode code, const char* option) {
  if (code != CURLM_OK) throw refused_option(option, curl_multi_strerror(code));
}

}  // namespace culmen::http
