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
