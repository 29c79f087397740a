#include "imports/renewal_conf.hpp"

#include <doctest/doctest.h>

#include "culmen/error.hpp"
#include "support/text.hpp"

using culmen::imports::RenewalConf;
using Texts = std::vector<std::string>;

namespace {

RenewalConf parsed(const std::string& params) {
  return RenewalConf::parse("top = outside\n[renewalparams]\n" + params, "a.conf");
}

std::string refused(const std::string& text) {
  try {
    (void)RenewalConf::parse(text, "a.conf");
  } catch (const culmen::Error& error) {
    CHECK(error.code() == culmen::Errc::io_failed);
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("renewal_conf: values, lists, quotes, comments and sections") {
  const RenewalConf conf = parsed(
      "a = b  # comment\n  'quoted name' = x\nlist = one, \"two, and more\", 'three'\nempty = ,\none = single,\n"
      "none = None\nyes = True\nlines = '''first\nsecond'''\nafter = 1\r\n[[map]]\nx = /a\ny = /b, /c\n[other]\na = "
      "no\n");
  CHECK(conf.text("a") == "b");
  CHECK(conf.text("quoted name") == "x");
  CHECK(conf.texts("list") == Texts{"one", "two, and more", "three"});
  CHECK(conf.texts("empty").empty());
  CHECK(conf.texts("one") == Texts{"single"});
  CHECK(conf.texts("none").empty());
  CHECK(conf.text("missing") == "");
  CHECK(conf.flag("yes"));
  CHECK_FALSE(conf.flag("a"));
  CHECK(conf.text("lines") == "first\nsecond");
  CHECK(conf.text("after") == "1");
  CHECK(conf.texts_below("map") == Texts{"/a", "/b", "/c"});
  CHECK(conf.top_text("top") == "outside");
  CHECK(conf.top_text("a") == "");
}

TEST_CASE("renewal_conf: what is not of that form names file and line") {
  CHECK(contains(refused("a = 1\nnothing\n"), "a.conf: line 2 is neither"));
  CHECK(contains(refused("= 1\n"), "line 1 is neither"));
  CHECK(contains(refused("a = 1\n\n[section\n"), "line 3 is not a section"));
  CHECK(contains(refused("[[deep]]\n"), "line 1 is not a section"));
  CHECK(contains(refused("a = 'b\n"), "line 1 has quotes"));
  CHECK(contains(refused("a = 'b' c\n"), "line 1 has quotes"));
  CHECK(contains(refused("a = '''b\nc\n"), "line 1 begins a quotation"));
  CHECK(contains(refused("a = '''b\nc'''\nbad\n"), "line 3 is neither"));
}
