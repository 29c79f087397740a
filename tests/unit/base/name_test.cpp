#include "base/name.hpp"

#include <doctest/doctest.h>

#include <string>

#include "base/hex.hpp"

namespace culmen::base {
namespace {

std::string canonical_name(std::string_view name) {
  auto result = canonical_dns_name(name);
  return result ? *result : "refused: " + result.error().detail();
}

std::string repeat(std::string_view part, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += part;
  return out;
}

TEST_CASE("DNS names: lower-case A-labels without a trailing dot") {
  const std::pair<std::string, std::string> vectors[] = {
      {"example.com", "example.com"},
      {"Example.COM", "example.com"},
      {"example.com.", "example.com"},
      {"*.Example.com", "*.example.com"},
      {"*.example.com.", "*.example.com"},
      {"localhost", "localhost"},
      {"a-b.c--d.example", "a-b.c--d.example"},
      {"r3---sn-abc.example.com", "r3---sn-abc.example.com"},
      {"r3---sn.b\xc3\xbc"
       "cher.example",
       "r3---sn.xn--bcher-kva.example"},
      {"1.example.com", "1.example.com"},
      {"3com.com", "3com.com"},
      {"b\xc3\xbc"
       "cher.example",
       "xn--bcher-kva.example"},
      {"B\xc3\x9c"
       "CHER.example",
       "xn--bcher-kva.example"},
      {"bu\xcc\x88"
       "cher.example",
       "xn--bcher-kva.example"},  // u and a combining diaeresis
      {"*.b\xc3\xbc"
       "cher.example",
       "*.xn--bcher-kva.example"},
      {"xn--bcher-kva.example", "xn--bcher-kva.example"},
      {"XN--BCHER-KVA.example", "xn--bcher-kva.example"},
      // Non-transitional: sharp s and final sigma are letters of their own.
      {"stra\xc3\x9f"
       "e.example",
       "xn--strae-oqa.example"},
      {"\xce\xb2\xcf\x8c\xce\xbb\xce\xbf\xcf\x82.example", "xn--nxasmm1c.example"},
      {"\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88", "xn--r8jz45g.xn--zckzah"},
      {"example\xe3\x80\x82"
       "com",
       "example.com"},                            // ideographic full stop
      {"\xef\xbd\x85xample.com", "example.com"},  // full-width e
      {"bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccrad.onion",
       "bbcweb3hytmzhn5d532owbu6oqadra5z3ar726vq5kgwwn6aucdccrad.onion"},
  };
  for (const auto& vector : vectors) {
    const auto& name = vector.first;
    const auto& expected = vector.second;
    CAPTURE(name);
    CHECK(canonical_name(name) == expected);
    CHECK(canonical_name(canonical_name(name)) == expected);
  }
}

TEST_CASE("DNS names: a refusal says what is wrong with it") {
  const std::pair<std::string, std::string> vectors[] = {
      {"", "empty"},
      {".", "empty label"},
      {"..", "empty label"},
      {".example.com", "empty label"},
      {"a..example.com", "empty label"},
      {"example.com..", "empty label"},
      {"*", "wildcard needs a name"},
      {"*.", "wildcard needs a name"},
      {"*..", "wildcard needs a name"},
      {"*.*.example.com", "whole leftmost label"},
      {"www.*.example.com", "whole leftmost label"},
      {"w*.example.com", "whole leftmost label"},
      {"*w.example.com", "whole leftmost label"},
      {"**.example.com", "whole leftmost label"},
      {"my_host.example.com", "underscore"},
      {"_acme-challenge.example.com", "underscore"},
      {"my\xef\xbc\xbfhost.example.com", "underscore"},  // full-width underscore
      {"a\xef\xbc\x8f"
       "b.example",
       "contains \"/\""},  // full-width underscore
      {"exa mple.com", "space"},
      {" example.com", "space"},
      {"example.com ", "space"},
      {"a.example,b.example", "one name at a time"},
      {"example.com\n", "control character"},
      {"exa\tmple.com", "control character"},
      {std::string("a.example\0.evil", 15), "control character"},
      {"https://example.com/x", "URL; give the host name alone, as example.com"},
      {"https://", "URL"},
      {"example.com/", "path"},
      {"example.com:443", "port"},
      {"ops@example.com", "e-mail"},
      {"192.0.2.1", "IP address"},
      {"2001:db8::1", "IP address"},
      {"[2001:db8::1]", "without brackets"},
      {"\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1", "IP address"},  // full-width 127.0.0.1
      {"192.0.2.256", "mistyped IP address"},
      {"192.0.2", "mistyped IP address"},
      {"1", "mistyped IP address"},
      {"a\xe2\x92\x88.example", "internationalized"},  // "1." as one character
      {"*\xe3\x80\x82"
       "example.com",
       "whole leftmost label"},
      {"-a.example", "hyphen"},
      {"a-.example", "hyphen"},
      {"a!b.example", "\"!\""},
      {"a$b.example", "\"$\""},
      {"a'b.example", "\"'\""},
      {"xn--a.example", "internationalized"},
      {"xn--.example", ""},
      {"xn--bcher-kva\xc3\xbc.example", "internationalized"},
      {"a\xe2\x80\x8d"
       "b.example",
       "internationalized"},  // a joiner where none belongs
      {"\xff\xfe.example", "internationalized"},
      {"a\xcc.example", "internationalized"},
      {repeat("a", 64) + ".example", "longer than 63"},
      {repeat("\xc3\xbc", 60) + ".example", "longer than 63"},
      {repeat("abcdefg.", 31) + "abcdef", "longer than 253"},
      {repeat("a.", 2000), "too long"},
  };
  for (const auto& vector : vectors) {
    const auto& name = vector.first;
    const auto& expected = vector.second;
    CAPTURE(name);
    const auto result = canonical_dns_name(name);
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == Errc::invalid_argument);
    CHECK_MESSAGE(result.error().detail().find(expected) != std::string::npos, result.error().detail());
    CHECK(std::string(result.error().what()).find("reading the name") == 0);
    CHECK(std::string(result.error().what()).find('\n') == std::string::npos);
  }
}

TEST_CASE("DNS names: the longest that fit") {
  const std::string label = repeat("a", 63);
  CHECK(canonical_name(label + ".example") == label + ".example");
  const std::string longest = repeat("abcdefg.", 31) + "abcde";
  REQUIRE(longest.size() == 253);
  CHECK(canonical_name(longest) == longest);
  CHECK(canonical_name(longest + ".") == longest);
  CHECK(canonical_name("*." + longest).find("longer than 253") != std::string::npos);
}

TEST_CASE("IP addresses: canonical text, octets and reverse names") {
  struct Vector {
    std::string text, canonical, octets, reverse;
  };
  const Vector vectors[] = {
      {"192.0.2.53", "192.0.2.53", "c0000235", "53.2.0.192.in-addr.arpa"},
      {"0.0.0.0", "0.0.0.0", "00000000", "0.0.0.0.in-addr.arpa"},
      {"2001:db8::1", "2001:db8::1", "20010db8000000000000000000000001",
       "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
      {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "20010db8000000000001000000000001",
       "1.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
      {"2001:0DB8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1", "20010db8000000000001000000000001",
       "1.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
      {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", "20010db8000000010001000100010001",
       "1.0.0.0.1.0.0.0.1.0.0.0.1.0.0.0.1.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"},
      {"::ffff:192.0.2.1", "::ffff:192.0.2.1", "00000000000000000000ffffc0000201",
       "1.0.2.0.0.0.0.c.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"},
      {"::", "::", "00000000000000000000000000000000",
       "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa"},
  };
  for (const Vector& vector : vectors) {
    CAPTURE(vector.text);
    CHECK(canonical_ip(vector.text) == vector.canonical);
    const auto octets = ip_octets(vector.text);
    REQUIRE(octets);
    CHECK(hex_encode(*octets) == vector.octets);
    CHECK(ip_from_octets(*octets) == vector.canonical);
    CHECK(reverse_arpa_name(vector.text) == vector.reverse);
  }
}

TEST_CASE("IP addresses: what is none") {
  for (const std::string text :
       {"", "1", "1.2.3", "1.2.3.4.5", "256.0.0.1", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "0x7f.0.0.1", "127.1", "[::1]",
        "::1%lo", "fe80::1%eth0", ":::", "1::2::3", "12345::", "::1/64", "1.2.3.4/24", "example.com"}) {
    CAPTURE(text);
    CHECK_FALSE(canonical_ip(text));
    CHECK_FALSE(ip_octets(text));
    CHECK_FALSE(reverse_arpa_name(text));
  }
  CHECK_FALSE(canonical_ip(std::string_view("1.2.3.4\0.evil", 13)));
  CHECK_FALSE(canonical_ip(repeat("1", 5000)));
  CHECK_FALSE(ip_from_octets(Bytes{1, 2, 3}));
  CHECK_FALSE(ip_from_octets(Bytes{}));
  CHECK_FALSE(ip_from_octets(Bytes(5)));
}

TEST_CASE("tokens are safe as file names") {
  for (const std::string text : {"a", "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0", "-", "_-_"}) CHECK(is_token(text));
  for (const std::string text : {"", ".", "..", "a/b", "../a", "a.b", "a b", "a\n", "a=", "a+", "\xc3\xbc"}) {
    CAPTURE(text);
    CHECK_FALSE(is_token(text));
  }
  CHECK_FALSE(is_token(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace culmen::base
