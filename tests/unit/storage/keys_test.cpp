#include "culmen/storage_engine.hpp"

#include <doctest/doctest.h>

#include <set>

#include "base/text.hpp"
#include "culmen/error.hpp"

using namespace culmen;

namespace {

std::string error_of(const Result<void>& result) { return result ? "" : result.error().what(); }

}  // namespace

TEST_CASE("storage parts: any text, one to one, whatever the case") {
  CHECK(storage_part("example.com") == "example.com");
  CHECK(storage_part("*.example.com") == "%2a.example.com");
  CHECK(storage_part("Foo") == "%46oo");
  CHECK(storage_part(".lock") == "%2elock");
  CHECK(storage_part("a.b") == "a.b");
  CHECK(storage_part("..") == "%2e.");
  CHECK(storage_part("a/b%") == "a%2fb%25");
  CHECK(storage_part("") == "%");
  CHECK(storage_part("\xc3\xa9") == "%c3%a9");

  std::set<std::string> parts;
  std::size_t texts = 0;
  for (int first = -1; first < 256; ++first) {
    for (int second = -1; second < 256; ++second) {
      std::string text;
      if (first >= 0) text += static_cast<char>(first);
      if (second >= 0) text += static_cast<char>(second);
      if (first < 0 && second >= 0) continue;
      ++texts;
      const std::string part = storage_part(text);
      CHECK(storage_part_text(part) == text);
      parts.insert(base::to_lower(part));
    }
  }
  CHECK(parts.size() == texts);
}

TEST_CASE("storage parts: what no text becomes is not a part") {
  for (const char* text : {"", "A", ".", ".a", "a b", "%2", "%2E", "%61", "a%2e", "%%", "%2g", "a%", "/", "\xc3\xa9"}) {
    CAPTURE(text);
    CHECK(!storage_part_text(text));
    CHECK(!storage::check_key(text));
  }
}

TEST_CASE("storage keys: errors name the key and what is wrong") {
  CHECK(storage::check_key("certificates/example.com/record"));
  CHECK(storage::check_key(std::string(512, 'a')));
  CHECK(error_of(storage::check_key("")) == "using the storage key \"\": it is empty");
  CHECK(error_of(storage::check_key("a//b")) == "using the storage key \"a//b\": it has an empty part");
  CHECK(error_of(storage::check_key("a/B")) ==
        "using the storage key \"a/B\": \"B\" is not a part of a key; storage_part() makes one from any text");
  CHECK(error_of(storage::check_key(std::string(513, 'a'))).find("it has 513 octets; keys have at most 512") !=
        std::string::npos);
  CHECK(storage::check_prefix(""));
  CHECK(storage::check_prefix("a/"));
  CHECK(error_of(storage::check_prefix("a")) == "using the storage prefix \"a\": it must be empty or end in \"/\"");
  CHECK(error_of(storage::check_prefix("/")) == "using the storage prefix \"/\": it is empty");
  CHECK(!storage::check_list("a/", 0));
}

TEST_CASE("storage writes: checked before anything is changed") {
  StorageCapabilities many;
  many.many_in_one = true;
  StorageCapabilities one;
  one.longest_value = 3;
  const Write write("a/b", "xyz");
  CHECK(storage::check_writes({}, one));
  CHECK(storage::check_writes({write}, one));
  CHECK(error_of(storage::check_writes({Write("a/b", "wxyz")}, one)) ==
        "storing \"a/b\": the value has 4 octets; this storage takes at most 3");
  CHECK(error_of(storage::check_writes({write, Write("c")}, one)) ==
        "storing \"a/b\" and others: this storage changes one key at a time, and 2 were given");
  CHECK(storage::check_writes({write, Write("c")}, many));
  CHECK(error_of(storage::check_writes({write, Write("c"), write}, many)) ==
        "storing \"a/b\": the key occurs twice among the writes");

  Write fenced = write;
  fenced.fence.emplace();
  fenced.fence->name = "a";
  CHECK(error_of(storage::check_writes({fenced}, many)) ==
        "using the lease \"a\": it was never acquired: its token is 0");
  fenced.fence->token = 1;
  CHECK(storage::check_writes({fenced}, many));
  for (const char* name : {"a/b", "b", "a/b/c"}) {
    fenced.fence->name = name;
    CHECK(error_of(storage::check_writes({fenced}, many)).find("the name of the lease must be a prefix of the key") !=
          std::string::npos);
  }
  Write expiring = write;
  expiring.expires_in = std::chrono::seconds(0);
  CHECK(!storage::check_writes({expiring}, many));
  CHECK(!storage::check_lease("a", std::chrono::seconds(0)));
  CHECK(storage::check_lease("a", std::chrono::seconds(1)));
  CHECK(storage::clamped(std::chrono::seconds::max()) < std::chrono::hours(24 * 366 * 100));
}
