// No one waits for a resolver that hangs: it is the program's getaddrinfo(), which libcurl calls on a thread of its
// own.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <string_view>
#include <thread>

#include <dlfcn.h>
#include <netdb.h>

#include "culmen/asks.hpp"
#include "http/multi.hpp"
#include "support/multi_runner.hpp"

using namespace culmen;
using namespace std::chrono_literals;

namespace {

std::atomic<bool> resolver_hangs = false;
std::atomic<int> lookups_begun = 0;
std::atomic<int> lookups_ended = 0;

const std::string hanging_url = "https://hangs.invalid/directory";

struct HangingResolver {
  HangingResolver() { resolver_hangs = true; }
  ~HangingResolver() {
    resolver_hangs = false;
    while (lookups_ended != lookups_begun) std::this_thread::sleep_for(1ms);
    std::this_thread::sleep_for(50ms);  // for libcurl's thread to free what it holds
  }
  HangingResolver(const HangingResolver&) = delete;
  HangingResolver& operator=(const HangingResolver&) = delete;
  const int before = lookups_begun;
  bool is_asked() const { return lookups_begun > before; }
  bool is_hanging() const { return lookups_ended == before; }
};

}  // namespace

extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  using Function = int (*)(const char*, const char*, const addrinfo*, addrinfo**);
  static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (!name || std::string_view(name) != "hangs.invalid") return real(name, service, hints, found);
  ++lookups_begun;
  for (int i = 0; i < 400 && resolver_hangs; ++i) std::this_thread::sleep_for(10ms);
  ++lookups_ended;
  return EAI_AGAIN;
}

TEST_CASE("a request that is withdrawn does not wait for the resolver") {
  http::Transport transport({}, nullptr);
  http::Multi multi(transport);
  const HangingResolver resolver;
  SendAsk ask(HttpRequest(HttpMethod::get, hanging_url));
  REQUIRE_FALSE(multi.start(ask, nullptr));
  test::perform_until(multi, [&resolver] { return resolver.is_asked(); });
  multi.withdraw(ask);
  CHECK(resolver.is_hanging());
}

TEST_CASE("a request that times out does not wait for the resolver") {
  http::Transport transport({}, nullptr);
  http::Multi multi(transport);
  const HangingResolver resolver;
  HttpRequest request(HttpMethod::get, hanging_url);
  request.time_limit = 100ms;
  const Result<HttpResponse> response = test::perform(multi, request);
  CHECK(resolver.is_hanging());
  REQUIRE_FALSE(response);
  CHECK(response.error().code() == Errc::connection_failed);
  CHECK(http_failure(response.error()) == HttpFailure::not_sent);
}

TEST_CASE("the end of a Multi does not wait for the resolver") {
  http::Transport transport({}, nullptr);
  const HangingResolver resolver;
  SendAsk ask(HttpRequest(HttpMethod::get, hanging_url));
  {
    http::Multi multi(transport);
    REQUIRE_FALSE(multi.start(ask, nullptr));
    test::perform_until(multi, [&resolver] { return resolver.is_asked(); });
  }
  CHECK(resolver.is_hanging());
}
