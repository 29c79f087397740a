// libcurl's handles, and setting their options: an option that libcurl refuses is an error, never ignored.
#pragma once

#include <memory>
#include <type_traits>

#include <curl/curl.h>

namespace culmen::http {

struct FreeEasy {
  void operator()(CURL* handle) const noexcept { curl_easy_cleanup(handle); }
};
using EasyHandle = std::unique_ptr<CURL, FreeEasy>;

struct FreeList {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using CurlList = std::unique_ptr<curl_slist, FreeList>;

/// The version of libcurl at run time. Initializes libcurl on the first call. Throws Error.
const curl_version_info_data& curl_library();

/// Throw Error (io_failed), which names the option and the version of libcurl, unless `code` is success.
void require_option(CURLcode code, CURLoption option);
void require_option(CURLMcode code, const char* option);

/// `value` is passed as it is, without conversion: a long, a curl_off_t or a pointer, as the option wants it.
template <class Value>
void set_option(CURL* handle, CURLoption option, Value value) {
  static_assert(std::is_same_v<Value, long> || std::is_same_v<Value, curl_off_t> || std::is_pointer_v<Value>);
  require_option(curl_easy_setopt(handle, option, value), option);
}

}  // namespace culmen::http
