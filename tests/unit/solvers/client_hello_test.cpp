// What the tls-alpn-01 responder reads from a ClientHello. Whole handshakes:
// tests/unit/listen/tls_alpn01_solver_test.cpp.
#include "solvers/client_hello.hpp"

#include <doctest/doctest.h>

using namespace culmen;
using namespace std::string_view_literals;

TEST_CASE("ALPN: a protocol is offered when it stands in the list as a whole") {
  CHECK(
      solvers::offers_protocol("\0\x0e\x02h2\x0a"
                               "acme-tls/1"sv,
                               "acme-tls/1"));
  CHECK_FALSE(
      solvers::offers_protocol("\0\x0c\x0b"
                               "acme-tls/1x"sv,
                               "acme-tls/1"));
  CHECK_FALSE(
      solvers::offers_protocol("\0\x0b\x0a"
                               "acme-tls/"sv,
                               "acme-tls/1"));
  CHECK_FALSE(solvers::offers_protocol(""sv, "acme-tls/1"));
}

TEST_CASE("SNI: the host name in lower case, without a final dot") {
  CHECK(solvers::host_name_of("\0\x0b\0\0\x08WWW.Ex.e"sv) == "www.ex.e");
  CHECK(solvers::host_name_of("\0\x08\0\0\x05"
                              "a.ex."sv) == "a.ex");
  CHECK_FALSE(
      solvers::host_name_of("\0\x08\1\0\x05"
                            "a.ex."sv));  // of another type
  CHECK_FALSE(
      solvers::host_name_of("\0\x08\0\0\x06"
                            "a.ex."sv));  // cut short
}
