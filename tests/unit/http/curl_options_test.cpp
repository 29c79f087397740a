// Every option that libcurl refuses is an error. The program's curl_easy_setopt() and curl_multi_setopt() stand before
// libcurl's.
#include <doctest/doctest.h>

#include <cstdarg>
#include <optional>
#include <set>

#include <curl/curl.h>
#include <dlfcn.h>

#include "http/multi.hpp"
#include "support/multi_runner.hpp"
#include "support/temporary_folder.hpp"
#include "support/tiny_server.hpp"

using namespace culmen;

namespace {

// Options are set on the thread of the test only.
thread_local std::set<CURLoption>* options_seen = nullptr;
thread_local std::optional<CURLoption> refused_easy;
thread_local std::set<CURLMoption>* multi_options_seen = nullptr;
thread_local std::optional<CURLMoption> refused_multi;

template <class Function>
Function library_function(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

HttpRequest demanding_request(const std::string& url, const test::Identity& identity) {
  HttpRequest request(HttpMethod::put, url);
  request.body = "body";
  request.headers.emplace_back("X-Name", "value");
  request.client_certificate.emplace(identity.certificate_pem(), identity.key_pem());
  return request;
}

}  // namespace

// On the platforms of this project each value is passed as a pointer would be.
extern "C" CURLcode(curl_easy_setopt)(CURL* handle, CURLoption option, ...) {
  va_list arguments;
  va_start(arguments, option);
  void* const value = va_arg(arguments, void*);
  va_end(arguments);
  if (options_seen) options_seen->insert(option);
  if (refused_easy == option) return CURLE_UNKNOWN_OPTION;
  using Function = CURLcode (*)(CURL*, CURLoption, ...);
  static const auto real = library_function<Function>("curl_easy_setopt");
  return real(handle, option, value);
}

extern "C" CURLMcode(curl_multi_setopt)(CURLM* handle, CURLMoption option, ...) {
  va_list arguments;
  va_start(arguments, option);
  void* const value = va_arg(arguments, void*);
  va_end(arguments);
  if (multi_options_seen) multi_options_seen->insert(option);
  if (refused_multi == option) return CURLM_UNKNOWN_OPTION;
  using Function = CURLMcode (*)(CURLM*, CURLMoption, ...);
  static const auto real = library_function<Function>("curl_multi_setopt");
  return real(handle, option, value);
}

TEST_CASE("an option that libcurl refuses is an error that names it, and nothing is sent") {
  test::TemporaryFolder folder;
  const test::Identity root = test::make_identity("Test Root", "", nullptr);
  const test::Identity leaf = test::make_identity("leaf", "DNS:localhost", &root);
  test::Server server(test::answering([](const test::Request&) { return test::response(200, "fine"); }), &leaf);
  TransportOptions options;
  options.extra_root_file = folder.write("root.pem", root.certificate_pem());
  options.only_extra_root = true;
  options.resolve = "other.example:443:127.0.0.1";
  http::Transport transport(options, nullptr);
  const HttpRequest request = demanding_request(server.url(), leaf);

  std::set<CURLoption> seen;
  std::set<CURLMoption> multi_seen;
  {
    options_seen = &seen;
    multi_options_seen = &multi_seen;
    http::Multi multi(transport);
    const auto response = test::perform(multi, request);
    options_seen = nullptr;
    multi_options_seen = nullptr;
    REQUIRE(response);
  }
  CHECK(seen.size() > 30);
  CHECK(seen.contains(CURLOPT_CAINFO_BLOB));
  const int connections = server.connections();
  for (const CURLoption option : seen) {
    CAPTURE(option);
    http::Multi multi(transport);
    SendAsk ask(request);
    refused_easy = option;
    const std::optional<Error> refused = multi.start(ask, nullptr);
    refused_easy.reset();
    REQUIRE(refused);
    CHECK(refused->code() == Errc::io_failed);
    CHECK(std::string_view(refused->what()).find("CURLOPT_") != std::string_view::npos);
    CHECK(std::string_view(refused->what()).find(curl_version_info(CURLVERSION_NOW)->version) !=
          std::string_view::npos);
    CHECK_FALSE(multi.next_finished());
  }
  for (const CURLMoption option : multi_seen) {
    CAPTURE(option);
    refused_multi = option;
    CHECK_THROWS_WITH_AS(http::Multi(transport).handle(), doctest::Contains("CURLMOPT_"), Error);
    refused_multi.reset();
  }
  CHECK(server.connections() == connections);
}
