#include "base/link.hpp"

#include <doctest/doctest.h>

#include <string>

namespace culmen::base {
namespace {

constexpr std::string_view base_url = "https://ca.test/acme/cert/1";

/// "target[rel rel] target[rel]"
std::string shown(std::string_view header) {
  std::string out;
  for (const Link& link : parse_link(header, base_url)) {
    if (!out.empty()) out += ' ';
    out += link.target + "[";
    for (const std::string& relation : link.relations) out += (out.back() == '[' ? "" : " ") + relation;
    out += "]";
  }
  return out;
}

TEST_CASE("Link: the shapes that CAs send") {
  const std::pair<std::string, std::string> vectors[] = {
      {"<https://ca.test/directory>;rel=\"index\"", "https://ca.test/directory[index]"},
      {"<https://ca.test/directory>; rel=index", "https://ca.test/directory[index]"},
      {"<https://ca.test/directory> ; rel = \"index\" ", "https://ca.test/directory[index]"},
      {"<https://ca.test/a>;rel=\"alternate\", <https://ca.test/b>;rel=alternate",
       "https://ca.test/a[alternate] https://ca.test/b[alternate]"},
      {"<https://ca.test/a>;rel=alternate,<https://ca.test/b>;rel=index",
       "https://ca.test/a[alternate] https://ca.test/b[index]"},
      {"<https://ca.test/a>; title=\"one, two; three\"; rel=\"alternate\"", "https://ca.test/a[alternate]"},
      {"<https://ca.test/a>; title=\"say \\\"hi\\\", <b>\"; rel=up", "https://ca.test/a[up]"},
      {"<https://ca.test/a>; crossorigin; rel=up", "https://ca.test/a[up]"},
      {"<https://ca.test/a,b;c>; rel=up", "https://ca.test/a,b;c[up]"},
      {"<https://ca.test/a>; rel=\"Alternate  UP\"", "https://ca.test/a[alternate up]"},
      {"<https://ca.test/a>; REL=up", "https://ca.test/a[up]"},
      {"<https://ca.test/a>; rel=up; rel=index", "https://ca.test/a[up]"},
      {"<https://ca.test/a>;; rel=up;", "https://ca.test/a[up]"},
      {"<https://ca.test/a>; rel=http://example.test/rel", "https://ca.test/a[http://example.test/rel]"},
      {",, <https://ca.test/a>; rel=up ,,", "https://ca.test/a[up]"},
  };
  for (const auto& vector : vectors) {
    const auto& header = vector.first;
    const auto& expected = vector.second;
    CAPTURE(header);
    CHECK(shown(header) == expected);
  }
}

TEST_CASE("Link: relative targets are resolved against the response's URL") {
  CHECK(shown("</acme/cert/1/alt>; rel=alternate") == "https://ca.test/acme/cert/1/alt[alternate]");
  CHECK(shown("<1/alt>; rel=alternate") == "https://ca.test/acme/cert/1/alt[alternate]");
  CHECK(shown("<../dir>; rel=index") == "https://ca.test/acme/dir[index]");
  CHECK(shown("<?alt=1>; rel=alternate") == "https://ca.test/acme/cert/1?alt=1[alternate]");
  CHECK(shown("<//other.test/x>; rel=alternate") == "https://other.test/x[alternate]");
  CHECK(shown("<>; rel=self") == "https://ca.test/acme/cert/1[self]");
}

TEST_CASE("Link: what is malformed is skipped, what follows it is not") {
  const std::string good = "<https://ca.test/a>;rel=up";
  for (const std::string bad :
       {"https://ca.test/x; rel=up", "<https://ca.test/x>", "<https://ca.test/x>; rel=\"\"", "<https://ca.test/x>; rel",
        "<https://ca.test/x>; title=up", "<http://[bad>; rel=up", "<https://ca.test/ x>; rel=up", "garbage", ";",
        "rel=\"up, down\"", "<https://ca.test/x>; anchor=\"/other\"; rel=up", "<https://ca.test/x> rel=up"}) {
    CAPTURE(bad);
    CHECK(shown(bad) == "");
    CHECK(shown(bad + ", " + good) == "https://ca.test/a[up]");
    CHECK(shown(good + ", " + bad) == "https://ca.test/a[up]");
  }
  CHECK(shown("") == "");
  CHECK(shown("<https://ca.test/x; rel=up") == "");
  CHECK(shown("<https://ca.test/a>; rel=\"up") == "https://ca.test/a[up]");
  CHECK(parse_link("</x>; rel=up", "not a url").empty());
}

TEST_CASE("http URLs: parts") {
  const auto parts = parse_http_url("HTTPS://CA.Test:14000/Dir/x?y=z#f");
  REQUIRE(parts);
  CHECK(parts->scheme == "https");
  CHECK(parts->host == "ca.test");
  CHECK(parts->port == "14000");
  CHECK(parts->path == "/Dir/x");

  const auto ipv6 = parse_http_url("http://[2001:DB8::1]");
  REQUIRE(ipv6);
  CHECK(ipv6->host == "2001:db8::1");
  CHECK(ipv6->port == "");
  CHECK(ipv6->path == "/");
  CHECK(parse_http_url("https://127.0.0.1:1/")->host == "127.0.0.1");
  CHECK(parse_http_url("https://a_b.test/")->host == "a_b.test");
}

TEST_CASE("http URLs: what is none is refused") {
  for (const std::string url : {"",
                                "ca.test",
                                "ca.test/dir",
                                "//ca.test/dir",
                                "/dir",
                                "ftp://ca.test/",
                                "file:///etc/passwd",
                                "https:/ca.test",
                                "https://",
                                "https:///dir",
                                "https://:443/",
                                "https://user@ca.test/",
                                "https://user:pw@ca.test/",
                                "https://ca.test:99999/",
                                "https://ca.test:0/",
                                "https://ca.test:x/",
                                "https://ca test/",
                                "https://ca.test/a b",
                                " https://ca.test/",
                                "https://ca.test/\n",
                                "https://ca.test\\@evil.test/",
                                "https://b\xc3\xbc"
                                "cher.test/",
                                "https://[::1/",
                                "https://[v1.x]/",
                                "https://ca%00.test/",
                                "https://ca%2eevil/%",
                                "javascript:alert(1)"}) {
    CAPTURE(url);
    CHECK_FALSE(parse_http_url(url));
  }
}

TEST_CASE("URLs are resolved, an absolute one stays octet for octet") {
  CHECK(resolve_url("https://ca.test/a/b", "c") == "https://ca.test/a/c");
  CHECK(resolve_url("https://ca.test/a/b", "/c?d") == "https://ca.test/c?d");
  CHECK(resolve_url("https://ca.test", "c") == "https://ca.test/c");
  CHECK(resolve_url("https://ca.test/a/b", "https://Other.test/%7Ex/../y") == "https://Other.test/%7Ex/../y");
  CHECK_FALSE(resolve_url("", "c"));
  CHECK_FALSE(resolve_url("/a/b", "c"));
  CHECK_FALSE(resolve_url("https://ca.test/a/b", "a b"));
  CHECK_FALSE(resolve_url("https://ca.test/a/b", "%zz"));
}

TEST_CASE("loopback hosts") {
  for (const std::string host :
       {"localhost", "LocalHost", "localhost.", "ca.localhost", "127.0.0.1", "127.255.0.9", "::1", "0:0:0:0:0:0:0:1"}) {
    CAPTURE(host);
    CHECK(is_loopback_host(host));
  }
  for (const std::string host : {"", ".", "localhost.test", "notlocalhost", "127.0.0.1.test", "128.0.0.1", "0.0.0.0",
                                 "::", "::2", "127.1", "127", "2130706433", "::ffff:127.0.0.1", "127.0.0.1 "}) {
    CAPTURE(host);
    CHECK_FALSE(is_loopback_host(host));
  }
}

}  // namespace
}  // namespace culmen::base
