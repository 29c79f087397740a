"""Tests of tools/check_parity.py."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_parity.py"
HEAD = "# Parity\n\n| asked for | symbol | test | state |\n|---|---|---|---|\n"
KEY = "| keys | `Key`, `make_key` in `culmen/key.hpp` | `unit_base: keys: made, and read` | done |\n"
LATER = "| more | none: nobody asked | none | not yet |\n"
FILES = {
    "include/culmen/key.hpp": "struct Key {};  // gone: old_key\nKey make_key();\n",
    "tests/unit/base/key_test.cpp": 'TEST_CASE("keys: made, "\n          "and read") {}\n',
    "tests/integration/pebble.cmake": "add_executable(integration_pebble pebble_test.cpp support.cpp)\n",
    "tests/integration/cli.cmake": "culmen_test(integration_cli SOURCES cli_test.cpp LABELS x)\n",
    "tests/integration/pebble_test.cpp": 'TEST_CASE("one name") {}\n',
    "tests/integration/cli_test.cpp": 'TEST_CASE("issue") {}\n',
    "tests/CMakeLists.txt": 'add_test(NAME "${name}" COMMAND x)\nculmen_check("tree: ${tool}" COMMAND x)\n',
}


def report(*cases):
    return "<testsuite>" + "".join(f'<testcase name="{name}" status="{status}"/>' for name, status in cases) + "</testsuite>"


class CheckParity(unittest.TestCase):
    def run_on(self, table, *reports, **others):
        with tempfile.TemporaryDirectory() as root:
            for name, text in {**FILES, "docs/parity.md": HEAD + table, **others}.items():
                path = pathlib.Path(root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            paths = []
            for number, text in enumerate(reports):
                paths.append(pathlib.Path(root, f"{number}.xml"))
                paths[-1].write_text(text, encoding="utf-8")
            command = [sys.executable, TOOL, root] + (["--reports", *paths] if paths else [])
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            self.assertEqual(done.stderr, "")
            self.assertEqual(done.returncode, 1 if done.stdout else 0)
            return done.stdout

    def test_all_is_there(self):
        self.assertEqual(self.run_on(KEY + LATER), "")

    def test_tests_of_every_kind_are_found(self):
        for test in ("pebble (newest): one name", "pebble (distribution): one name", "integration_cli: issue",
                     "integration_cli:issue", "tree: check_docs"):
            self.assertEqual(self.run_on(KEY.replace("unit_base: keys: made, and read", test)), "", test)

    def test_a_symbol_that_is_not_there(self):
        for gone in ("Ke", "old_key", "make"):
            self.assertEqual(self.run_on(KEY.replace("`Key`", f"`{gone}`")),
                             f"docs/parity.md:5: there is no {gone} in culmen/key.hpp\n")

    def test_a_header_that_is_not_there_or_not_public(self):
        self.assertIn("there is no culmen/gone.hpp", self.run_on(KEY.replace("key.hpp", "gone.hpp")))
        self.assertIn("names no symbol", self.run_on(KEY.replace("culmen/key.hpp", "src/key.hpp")))
        self.assertIn("names no symbol", self.run_on(KEY.replace("`Key`, `make_key` in `culmen/key.hpp`", "keys")))

    def test_a_test_that_is_not_there(self):
        for gone in ("unit_base: keys", "unit_crypto: keys: made, and read", "pebble (oldest): one name",
                     "integration_cli: one name", "anything"):
            self.assertEqual(self.run_on(KEY.replace("unit_base: keys: made, and read", gone)),
                             f"docs/parity.md:5: there is no test '{gone}'\n")
        self.assertIn("names no test", self.run_on(KEY.replace("`unit_base: keys: made, and read`", "tested")))

    def test_cells(self):
        for empty in ("", "-", "—"):
            self.assertEqual(self.run_on(KEY + LATER.replace("| none |", f"| {empty} |")),
                             "docs/parity.md:6: has an empty cell\n")
        self.assertIn("has 3 cells", self.run_on(KEY + LATER.replace("| none |", "|")))
        self.assertIn("neither done nor not yet", self.run_on(KEY + LATER.replace("not yet", "soon")))

    def test_nothing_done(self):
        self.assertEqual(self.run_on(LATER), "docs/parity.md: no row is done\n")
        self.assertEqual(self.run_on(""), "docs/parity.md: no row is done\n")

    def test_reports(self):
        ran = ("unit_base:keys: made, and read", "run")
        self.assertEqual(self.run_on(KEY, report(ran)), "")
        self.assertEqual(self.run_on(KEY, report(("other", "run")), report(ran)), "")
        for bad in (report(("other", "run")), report((ran[0], "fail")), report((ran[0], "notrun")), report()):
            self.assertEqual(self.run_on(KEY, bad),
                             "docs/parity.md:5: the test 'unit_base: keys: made, and read' did not run and pass\n")
        self.assertIn("check_parity.py: ", self.run_on(KEY, "not xml"))

    def test_a_name_that_cmake_cuts(self):
        cut = {"tests/unit/base/cut_test.cpp": '\nTEST_CASE("one; two") {}\n'}
        self.assertEqual(self.run_on(KEY, **cut), "tests/unit/base/cut_test.cpp:2: CMake cuts the test's name at the ';'\n")

    def test_no_page(self):
        with tempfile.TemporaryDirectory() as root:
            done = subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("parity.md", done.stdout)


if __name__ == "__main__":
    unittest.main()
