"""Tests of tools/measure_headers.py, which need a compiler. No test depends on how long anything takes."""
import unittest

from tool_on_tree import run_tool

TREE = {
    "include/culmen/plain.hpp": "#pragma once\nstruct Plain {};\n",
    "include/culmen/deep/user.hpp": '#pragma once\n#include "culmen/plain.hpp"\nstruct User { Plain plain; };\n',
}


def run_on(files, *arguments):
    return run_tool("measure_headers.py", files, *arguments)


class MeasureHeaders(unittest.TestCase):
    def test_a_row_for_each_header_the_slowest_first(self):
        for arguments in ([], ["--limit", "1000"]):
            code, out = run_on(TREE, *arguments)
            self.assertEqual(code, 0, out)
            rows = [line.split() for line in out.splitlines()]
            self.assertEqual(sorted(row[2:] for row in rows), [["culmen/deep/user.hpp"], ["culmen/plain.hpp"]])
            times = [float(row[0]) for row in rows]
            self.assertEqual(times, sorted(times, reverse=True))

    def test_the_limit(self):
        code, out = run_on(TREE, "--limit", "0")
        self.assertEqual(code, 1, out)
        self.assertEqual(out.count("over 0 s"), 2)

    def test_what_cannot_be_measured(self):
        code, out = run_on({"include/culmen/bad.hpp": '#include "none.hpp"\n'})
        self.assertEqual(code, 1)
        self.assertIn("include/culmen/bad.hpp:1: does not compile alone:\n", out)
        code, out = run_on({"include/culmen/note.md": ""})
        self.assertEqual(code, 1)
        self.assertIn("no public header found", out)


if __name__ == "__main__":
    unittest.main()
