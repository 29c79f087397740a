"""Tests of tools/check_headers.py, which need a compiler."""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_headers.py"
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


class CheckHeaders(unittest.TestCase):
    def run_on(self, files):
        with tempfile.TemporaryDirectory() as root:
            for name, text in files.items():
                path = pathlib.Path(root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            environment = dict(os.environ, CPATH=str(pathlib.Path(root, "system")))
            done = subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True, check=False, env=environment)
            return done.returncode, done.stdout + done.stderr

    def wrong(self, text, expected, name="bad.hpp"):
        code, out = self.run_on(dict(TREE, **{f"include/culmen/{name}": text}))
        self.assertEqual(code, 1, out)
        self.assertTrue(out.startswith(f"include/culmen/{name}:1: "), out)
        self.assertIn(expected, out)
        self.assertEqual(out.count(":1: "), 1, out)

    def test_headers_that_stand_alone(self):
        self.assertEqual(self.run_on(TREE), (0, "3 public headers stand alone\n"))

    def test_a_missing_include(self):
        self.wrong("#pragma once\nstruct Bad { std::string text; };\n", "does not compile alone")

    def test_a_missing_guard(self):
        self.wrong("struct Bad {};\n", "does not compile alone")

    def test_a_warning(self):
        self.wrong("#pragma once\ninline int f(int a) { { int a = 1; return a; } }\n", "shadow")

    def test_a_private_header(self):
        self.wrong('#pragma once\n#include "base/hex.hpp"\n', "does not compile alone")

    def test_a_foreign_header(self):
        self.wrong("#pragma once\n#include <other.hpp>\n", "system/other.hpp")

    def test_a_foreign_header_of_another(self):
        self.wrong("#pragma once\n#include <allowed.hpp>\n", "system/allowed.hpp")
        self.wrong('#pragma once\n#include "culmen/user.hpp"\n', "system/allowed.hpp")

    def test_a_user_of_one_that_uses_more(self):
        self.wrong("#pragma once\n#include <allowed.hpp>\n#include <other.hpp>\n", "system/other.hpp", "user.hpp")

    def test_no_headers(self):
        code, out = self.run_on({"tools/layers.toml": TREE["tools/layers.toml"]})
        self.assertEqual(code, 1, out)
        self.assertIn("nothing was checked", out)


if __name__ == "__main__":
    unittest.main()
