"""Tests of tools/check_docs.py."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_docs.py"
EXAMPLE = "// An example.\n#include <cstdio>\n\nint main() {}\n"
GOOD = "# x\n<!-- from examples/a.cpp -->\n```cpp\n#include <cstdio>\n\nint main() {}\n```\n[here](examples/a.cpp#L1)\n"


class CheckDocs(unittest.TestCase):
    def run_on(self, readme, **others):
        with tempfile.TemporaryDirectory() as root:
            for name, text in {"README.md": readme, "examples/a.cpp": EXAMPLE, **others}.items():
                path = pathlib.Path(root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            done = subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True, check=False)
            return done.returncode, done.stdout

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
