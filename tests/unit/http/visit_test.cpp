#include <doctest/doctest.h>

#include "http/visit.hpp"
#include "support/file_server.hpp"
#include "support/temporary_folder.hpp"

using namespace culmen;
using namespace culmen::http;

TEST_CASE("visit: URLs of http and https, and no others") {
  const Result<Origin> plain = origin_of("HTTP://A.example/x");
  REQUIRE(plain);
  CHECK(plain->scheme == "http");
  CHECK(plain->host == "a.example");
  CHECK(plain->port == 80);
  const Result<Origin> other = origin_of("https://[2001:db8::1]:8443/");
  REQUIRE(other);
  CHECK(other->host == "2001:db8::1");
  CHECK(other->port == 8443);
  for (const char* wrong : {"ftp://a.example/", "", "http://", "file:///etc/passwd"}) CHECK_FALSE(origin_of(wrong));
}

TEST_CASE("visit: the address counts, not the name, and what is not reached is an error") {
  SilentServer silent;
  Visit visit_it;
  visit_it.url = "http://nobody.invalid/x";
  visit_it.address = "127.0.0.1";
  visit_it.port = silent.port();
  visit_it.time_limit = std::chrono::seconds(1);
  const Result<Visited> late = visit_address(visit_it);
  REQUIRE_FALSE(late);
  CHECK(late.error().code() == Errc::timeout);
  visit_it.port = 1;
  const Result<Visited> refused = visit_address(visit_it);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Errc::connection_failed);
}
