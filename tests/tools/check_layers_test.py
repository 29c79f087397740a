"""Tests of tools/check_layers.py."""
import unittest

from tool_on_tree import run_tool

RULES = """
[rooms.base]
path = "src/base"
may = []
owns = ["error.hpp"]
foreign = ["idn2.h", "boost/url"]
never_standard = ["fstream"]
never_code = ['_clock::now\\b']

[rooms.jose]
path = "src/jose"
may = ["base"]
foreign = []

[rooms.faces]
path = "src/faces"
may = ["base", "jose"]
owns = ["client.hpp", "blocking/"]
foreign = []

[rooms.cli]
path = "cli"
may = []
may_public = ["*"]
foreign = []

[rooms.testca]
path = "testca"
may = ["base"]
may_public = ["faces"]
foreign = []
foreign_only = {"boost/json" = ["testca/ca.cpp", "testca/json.cpp"]}

[public]
foreign = ["boost/asio/awaitable.hpp"]
foreign_users = ["client.hpp"]
"""

TREE = {
    "tools/layers.toml": RULES,
    "include/culmen/error.hpp": "#pragma once\n#include <string>\n",
    "include/culmen/client.hpp": '#include "culmen/error.hpp"\n#include <boost/asio/awaitable.hpp>\n',
    "include/culmen/blocking/client.hpp": "",
    "src/base/hex.hpp": "",
    "src/base/hex.cpp": '#include "base/hex.hpp"\n#include "culmen/error.hpp"\n#include <boost/url/url.hpp>\n#include <vector>\n',
    "src/jose/jws.hpp": '#include "base/hex.hpp"\n#include "culmen/error.hpp"\n',
    "src/faces/client.cpp": '#include "jose/jws.hpp"\n#include "culmen/client.hpp"\n',
    "cli/main.cpp": '#include "culmen/client.hpp"\n',
    "testca/json.cpp": "#include <boost/json/parse.hpp>\n",
    "testca/ca.cpp": '#include "base/hex.hpp"\n#include "culmen/blocking/client.hpp"\n',
}


def run_on(**changes):
    files = dict(TREE, **{name.replace("__", "/"): text for name, text in changes.items()})
    return run_on_files(files)


def run_on_files(files):
    return run_tool("check_layers.py", files)


class Includes(unittest.TestCase):
    def wrong(self, file, line, expected):
        """That one include, below a first line that is fine, is what is wrong with the tree."""
        code, out = run_on_files(dict(TREE, **{file: f"// first\n{line}\n"}))
        self.assertEqual(code, 1, out)
        self.assertIn(f"{file}:2: ", out)
        self.assertIn(expected, out)
        self.assertEqual(len(out.splitlines()), 1, out)

    def right(self, file, line):
        code, out = run_on_files(dict(TREE, **{file: f"{line}\n"}))
        self.assertEqual((code, out), (0, f"{len(TREE) - 1 + (file not in TREE)} files keep to the layers\n"))

    def test_the_tree_as_it_should_be(self):
        self.assertEqual(run_on(), (0, f"{len(TREE) - 1} files keep to the layers\n"))

    def test_a_room_above(self):
        self.wrong("src/base/a.cpp", '#include "jose/jws.hpp"', "room base may not use room jose (may)")
        self.wrong("testca/a.hpp", '#include "jose/jws.hpp"', "room testca may not use room jose (may)")
        self.wrong("src/base/a.cpp", '#  include  "jose/jws.hpp"  // why', "room base may not use room jose (may)")
        self.wrong("src/base/a.cpp", '#include "testca/ca.cpp"', "room base may not use room testca (may)")

    def test_a_way_around(self):
        self.wrong("src/jose/a.cpp", '#include "../base/hex.hpp"', "leads out of its folder")
        self.wrong("src/base/a.cpp", '#include "../jose/jws.hpp"', "leads out of its folder")
        self.wrong("src/base/a.cpp", "#include HEADER", "only \"…\" and <…> can be judged")

    def test_its_own_room(self):
        self.right("src/base/a.cpp", '#include "base/hex.hpp"')
        self.right("src/base/a.cpp", '#include "hex.hpp"')
        self.right("testca/a.cpp", '#include "testca/ca.cpp"')

    def test_public_headers_for_rooms(self):
        self.wrong("src/base/a.cpp", '#include "culmen/client.hpp"', "room base may not use a public header of room faces")
        self.wrong("src/jose/a.cpp", '#include "culmen/blocking/client.hpp"', "room jose may not use a public header")
        self.wrong("src/jose/a.cpp", '#include <culmen/client.hpp>', "room jose may not use a public header")
        self.wrong("src/jose/a.cpp", '#include "culmen/none.hpp"', "there is no such public header")
        self.wrong("cli/a.cpp", '#include "base/hex.hpp"', "room cli may not use room base (may)")
        self.right("src/jose/a.cpp", '#include "culmen/error.hpp"')
        self.right("src/faces/a.cpp", '#include "culmen/blocking/client.hpp"')

    def test_public_headers_for_public_headers(self):
        self.wrong("include/culmen/error.hpp", '#include "culmen/client.hpp"', "room base may not use a public header of room faces")
        self.right("include/culmen/blocking/more.hpp", '#include "culmen/error.hpp"')

    def test_each_public_header_has_one_owner(self):
        code, out = run_on_files(dict(TREE, **{"include/culmen/new.hpp": ""}))
        self.assertEqual((code, out), (1, "tools/layers.toml: new.hpp is owned by no room (owns); it has to be exactly one\n"))
        code, out = run_on_files(dict(TREE, **{"tools/layers.toml": RULES.replace('["error.hpp"]', '["error.hpp", "blocking/"]')}))
        self.assertEqual(code, 1)
        self.assertIn("blocking/client.hpp is owned by base and faces (owns)", out)

    def test_foreign_headers(self):
        self.wrong("src/jose/a.cpp", "#include <idn2.h>", "room jose may not use this foreign header (foreign)")
        self.wrong("src/base/a.cpp", "#include <boost/json.hpp>", "(foreign)")
        self.wrong("src/base/a.cpp", "#include <time.h>", "(foreign)")
        self.wrong("src/base/a.cpp", '#include "boost/url.hpp"', "leads to no file of the tree")

    def test_foreign_headers_for_single_files(self):
        self.right("testca/ca.cpp", "#include <boost/json.hpp>")
        self.wrong("testca/a.cpp", "#include <boost/json.hpp>",
                   "only testca/ca.cpp, testca/json.cpp may use this foreign header (foreign_only)")
        self.wrong("testca/json.hpp", "#include <boost/json/object.hpp>", "(foreign_only)")
        self.wrong("testca/json.cpp", "#include <boost/url.hpp>", "room testca may not use this foreign header (foreign)")
        self.wrong("src/jose/a.cpp", "#include <boost/json.hpp>", "room jose may not use this foreign header (foreign)")

    def test_the_standard_library(self):
        self.right("src/jose/a.cpp", "#include <fstream>")
        self.wrong("src/base/a.cpp", "#include <fstream>", "(never_standard)")

    def test_what_public_headers_use(self):
        self.wrong("include/culmen/blocking/a.hpp", "#include <boost/asio.hpp>", "this public header may not use this foreign header")
        self.wrong("include/culmen/client.hpp", "#include <boost/asio.hpp>", "(foreign)")
        self.wrong("include/culmen/blocking/a.hpp", "#include <boost/asio/awaitable.hpp>", "(foreign)")
        self.wrong("include/culmen/blocking/a.hpp", '#include "base/hex.hpp"', 'a public header may only use "culmen/…"')
        self.wrong("include/culmen/blocking/a.hpp", '#include "client.hpp"', 'a public header may only use "culmen/…"')

    def test_code(self):
        self.wrong("src/base/a.cpp", "auto t = std::chrono::system_clock::now();", "_clock::now: not in room base (never_code)")
        self.right("src/base/a.cpp", "// system_clock::now()\nauto t = \"system_clock::now\";")
        self.right("src/jose/a.cpp", "auto t = std::chrono::system_clock::now();")

    def test_comments_and_literals_include_nothing(self):
        self.right("src/base/a.cpp", '/*\n#include "jose/jws.hpp"\n*/\n// #include "jose/jws.hpp"')
        self.right("src/base/a.cpp", 'auto a = R"(\n#include "jose/jws.hpp"\n)";')
        self.wrong("src/base/a.cpp", '#include /* hidden */ "jose/jws.hpp"', "(may)")

    def test_a_file_in_no_room(self):
        code, out = run_on_files(dict(TREE, **{"src/new/a.cpp": ""}))
        self.assertEqual((code, out), (1, "src/new/a.cpp:1: is in no room of tools/layers.toml\n"))
        self.assertEqual(run_on_files(dict(TREE, **{"src/a.cpp": ""}))[0], 1)


class Rules(unittest.TestCase):
    def fault(self, old, new, expected):
        self.assertIn(old, RULES)
        code, out = run_on_files(dict(TREE, **{"tools/layers.toml": RULES.replace(old, new, 1)}))
        self.assertEqual(code, 1)
        self.assertIn("tools/layers.toml: " + expected, out)

    def test_rules_that_guard_nothing(self):
        self.fault('may = ["base"]', 'may = ["base", "bass"]', 'room jose: "may" names bass, which is not a room')
        self.fault('may_public = ["faces"]', 'may_public = ["face"]', 'room testca: "may_public" names face, which is not a room')
        self.fault('owns = ["error.hpp"]', 'owns = ["error.hpp", "eror.hpp"]', "room base: there is no public header eror.hpp")
        self.fault('may_public', 'my_public', 'room cli: what is "my_public"?')
        self.fault('path = "src/jose"', 'path = "src/joes"', "room jose: its path is no folder")
        self.fault('["client.hpp"]', '["clint.hpp"]', "foreign_users: there is no public header clint.hpp")
        self.fault('"testca/json.cpp"]', '"testca/jason.cpp"]',
                   'room testca: "foreign_only" names testca/jason.cpp, which is no file of the room')
        self.fault('"testca/json.cpp"]', '"src/base/hex.cpp"]', 'room testca: "foreign_only" names src/base/hex.cpp, which is no file')
        self.fault("may = []", 'may = ["jose"]', "room base: may include itself by way of others")

    def test_nothing_to_check(self):
        code, out = run_on_files({"tools/layers.toml": ""})
        self.assertEqual(code, 1)
        self.assertIn("no room has a rule", out)
        self.assertIn("nothing was checked", out)


if __name__ == "__main__":
    unittest.main()
