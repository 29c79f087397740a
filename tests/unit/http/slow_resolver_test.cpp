// No one waits for a resolver that hangs: it is the program's getaddrinfo(), which libcurl calls on a thread of its
// own.
#include <doctest/doctest.h>

#include <chrono>

#include "culmen/asks.hpp"
#include "http/multi.hpp"
#include "support/hanging_resolver.hpp"
#include "support/multi_runner.hpp"

using namespace culmen;
using namespace std::chrono_literals;
using test::hanging_url;
using test::HangingResolver;

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
