"""Tests of tools/check_docs.py."""
import unittest

from tool_on_tree import run_tool

EXAMPLE = "// An example.\n#include <cstdio>\n\nint main() {}\n"
GOOD = "# x\n<!-- from examples/a.cpp -->\n```cpp\n#include <cstdio>\n\nint main() {}\n```\n[here](examples/a.cpp#L1)\n"


class CheckDocs(unittest.TestCase):
    def run_on(self, readme, **others):
        return run_tool("check_docs.py", {"README.md": readme, "examples/a.cpp": EXAMPLE, **others})

    def test_the_example_as_compiled(self):
        self.assertEqual(self.run_on(GOOD), (0, ""))

    def test_an_example_that_differs(self):
        self.assertEqual(self.run_on(GOOD.replace("main()", "main(int)")), (1, "README.md:2: differs from examples/a.cpp\n"))

    def test_an_example_from_nowhere(self):
        self.assertEqual(self.run_on(GOOD.replace("a.cpp -->", "b.cpp -->"))[0], 1)
        self.assertEqual(self.run_on(GOOD.replace("<!-- from examples/a.cpp -->\n", ""))[0], 1)

    def test_no_example(self):
        self.assertEqual(self.run_on("# x\n"), (1, "README.md: no C++ example\n"))

    def test_the_first_try(self):
        last = "culmen issue -d x --server letsencrypt\n"
        self.assertEqual(self.run_on(GOOD + "culmen issue -d x --server letsencrypt-staging\n" + last), (0, ""))
        self.assertEqual(self.run_on(GOOD + last), (1, "README.md:9: the first try is not with a staging CA\n"))

    def test_a_dead_link(self):
        code, out = self.run_on(GOOD, **{"docs/a.md": "[up](../README.md)\n[x](gone.md)\n[web](https://example.com/x)\n"})
        self.assertEqual((code, out), (1, "docs/a.md:2: leads to gone.md, which does not exist\n"))


if __name__ == "__main__":
    unittest.main()
