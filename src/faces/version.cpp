#include "culmen/version.hpp"

#include <string>

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <boost/version.hpp>

namespace culmen {

const char* version_text() {
  static const std::string text =
      std::string("culmen ") + CULMEN_VERSION + " (OpenSSL " + OpenSSL_version(OPENSSL_VERSION_STRING) + ", libcurl " +
      curl_version_info(CURLVERSION_NOW)->version + ", Boost " + std::to_string(BOOST_VERSION / 100000) + "." +
      std::to_string(BOOST_VERSION / 100 % 1000) + ")";
  return text.c_str();
}

}  // namespace culmen
