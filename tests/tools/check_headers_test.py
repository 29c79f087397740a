"""Tests of tools/check_headers.py, which need a compiler."""
import re
import unittest

from tool_on_tree import run_tool

TREE = {
    "tools/layers.toml": '[public]\nforeign = ["allowed.hpp"]\nforeign_users = ["user.hpp"]\n',
    "system/allowed.hpp": "#pragma once\n#include <inside_allowed.hpp>\n",
    "system/inside_allowed.hpp": "#pragma once\n#include <string.h>\n",
    "system/other.hpp": "#pragma once\n",
    "include/culmen/plain.hpp": "#pragma once\n#include <string>\nstruct Plain { std::string text; };\n",
    "include/culmen/deep/user.hpp": '#pragma once\n#include "culmen/plain.hpp"\nstruct Deep { Plain plain; };\n',
    "include/culmen/user.hpp": "#pragma once\n#include <allowed.hpp>\n#include <vector>\n",
    "src/base/hex.hpp": "#pragma once\n",
}


# Each is wrong in one way: what is said of it.
BAD = {
    "missing_include.hpp": ("#pragma once\nstruct Bad { std::string text; };\n", "does not compile alone"),
    "missing_guard.hpp": ("struct Unguarded {};\n", "does not compile alone"),
    "warning.hpp": ("#pragma once\ninline int f(int a) { { int a = 1; return a; } }\n", "shadow"),
    "private.hpp": ('#pragma once\n#include "base/hex.hpp"\n', "does not compile alone"),
    "foreign.hpp": ("#pragma once\n#include <other.hpp>\n", "system/other.hpp"),
    "not_a_user.hpp": ("#pragma once\n#include <allowed.hpp>\n", "system/allowed.hpp"),
    "by_way_of_user.hpp": ('#pragma once\n#include "culmen/user.hpp"\n', "system/allowed.hpp"),
    "more.hpp": ("#pragma once\n#include <allowed.hpp>\n#include <other.hpp>\n", "pulls in "),
}


def run_on(files):
    return run_tool("check_headers.py", files, CPATH="{root}/system")


class CheckHeaders(unittest.TestCase):
    def test_headers_that_stand_alone(self):
        self.assertEqual(run_on(TREE), (0, "3 public headers stand alone, and together\n"))

    def test_headers_that_do_not(self):
        rules = TREE["tools/layers.toml"].replace('["user.hpp"]', '["user.hpp", "more.hpp"]')
        bad = {f"include/culmen/{name}": text for name, (text, _) in BAD.items()}
        code, out = run_on({**TREE, **bad, "tools/layers.toml": rules})
        self.assertEqual(code, 1, out)
        said = dict(re.findall(r"^include/culmen/([\w/]+\.hpp):1: (.*?)(?=^include/culmen|\Z)", out, re.DOTALL | re.MULTILINE))
        self.assertEqual(said.keys(), BAD.keys(), out)
        for name, (_, expected) in BAD.items():
            self.assertIn(expected, said[name])
        self.assertNotIn("allowed", said["more.hpp"])

    def test_headers_with_types_of_one_name(self):
        other = "#pragma once\n#include <string>\nstruct Plain { std::string key; };\n"
        code, out = run_on({**TREE, "include/culmen/other.hpp": other})
        self.assertEqual(code, 1, out)
        self.assertIn("do not compile together", out)
        self.assertIn("Plain", out)

    def test_no_headers(self):
        code, out = run_on({"tools/layers.toml": TREE["tools/layers.toml"]})
        self.assertEqual(code, 1, out)
        self.assertIn("nothing was checked", out)


if __name__ == "__main__":
    unittest.main()
