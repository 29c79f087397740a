#include "base/text.hpp"

#include <doctest/doctest.h>

namespace culmen::base {

TEST_CASE("trimmed: blanks go at both ends only") {
  CHECK(trimmed(" \t a b\r\n") == "a b");
  CHECK(trimmed("a") == "a");
  CHECK(trimmed(" \r\n\t ").empty());
  CHECK(trimmed("").empty());
  CHECK(trimmed(" a\n", " ") == "a\n");
}

TEST_CASE("to_lower: ASCII letters only") {
  CHECK(to_lower("AbZ-0_[@") == "abz-0_[@");
  CHECK(to_lower("\xc3\x84") == "\xc3\x84");
  CHECK(to_lower("").empty());
}

}  // namespace culmen::base

TEST_CASE("a URL is shown without user and password") {
  using culmen::base::without_credentials;
  for (const char* url : {"https://ca.example:14000/dir", "http://[::1]:3128", "proxy.example:3128", "letsencrypt"})
    CHECK(without_credentials(url) == url);
  CHECK(without_credentials("http://u:secret@proxy.example:3128") == "http://proxy.example:3128");
  CHECK(without_credentials("u:secret@proxy.example:3128") == "proxy.example:3128");
  for (const char* url : {"http://u:sec@ret@h:1", "http://u:a/secret@h:1", "http://u:secret", "http://u:se//cret",
                          "https://u:a?secret@h/d", "u:secret"}) {
    CAPTURE(url);
    CHECK(without_credentials(url).find("ret") == std::string::npos);
  }
}
