"""Tests of tools/check_text.py."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_text.py"
sys.path.insert(0, str(TOOL.parent))
import check_text  # noqa: E402


def texts(name, data):
    return [text for _, text in check_text.complaints(name, data)]


class Complaints(unittest.TestCase):
    def test_a_clean_file(self):
        self.assertEqual(texts("a.cpp", "int π;\n".encode()), [])
        self.assertEqual(texts("a.cpp", b""), [])

    def test_each_fault_is_named(self):
        self.assertEqual(texts("a.cpp", b"a\r\n"), ["ends in CR LF"])
        self.assertEqual(texts("a.cpp", b"a \n"), ["ends in blanks"])
        self.assertEqual(texts("a.cpp", b"a\tb\n"), ["holds a tab"])
        self.assertEqual(texts("a.cpp", b"a"), ["has no final newline"])
        self.assertEqual(texts("a.cpp", b"a\n\n"), ["has empty lines at its end"])
        self.assertEqual(texts("a.cpp", b"a\xff\n"), ["is not UTF-8"])

    def test_the_line_is_named(self):
        self.assertEqual(check_text.complaints("a.cpp", b"a\nb \nc\n"), [(2, "ends in blanks")])

    def test_a_makefile_has_tabs(self):
        self.assertEqual(texts("Makefile", b"all:\n\ttrue\n"), [])


class Tree(unittest.TestCase):
    def run_on(self, files):
        with tempfile.TemporaryDirectory() as root:
            for name, data in files.items():
                path = pathlib.Path(root, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            return subprocess.run([sys.executable, TOOL, root], capture_output=True, text=True, check=False)

    def test_raw_data_and_builds_are_left_alone(self):
        done = self.run_on({"a.cpp": b"a\n", "tests/data/crlf.txt": b"a\r\n", "build/x.cpp": b"a"})
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_a_bad_file_fails(self):
        done = self.run_on({"src/a.cpp": b"a"})
        self.assertEqual((done.returncode, done.stdout), (1, "src/a.cpp:1: has no final newline\n"))

    def test_an_empty_tree_fails(self):
        self.assertEqual(self.run_on({}).returncode, 1)


if __name__ == "__main__":
    unittest.main()
