"""Tests of tools/check_std_names.py."""
import unittest

from tool_on_tree import run_tool

NAMES = """
[functions]
std = "find get quoted to_string"
"std::filesystem" = "exists"
"""

GOOD = [
    "std::string in_quotes(std::string_view text);",
    "enum class Color { red };\nstd::string to_string(Color color);",
    "class Paint { enum class Color { red }; };\nstd::string to_string(const Paint::Color& color);",
    "void get();",
    "int get(int, unsigned long count = sizeof(x), std::size_t n = f(1, 2), const char* text = nullptr);",
    "class Text { std::string quoted(std::string_view text); friend void get(const Text& text); };",
    "std::string Text::quoted(std::string_view text) { return text; }",
    "void f(const std::string& text) { find(text); const std::string quoted(text); return get(text); }",
    "const auto quoted = [](std::string_view text) { return text; };",
    "int at = find(std::string());",
    "// std::string quoted(std::string_view text);\nvoid f();",
    "#define find(x) int quoted(std::string)\nvoid f();",
    "TEST_CASE(\"quoted\") { CHECK(quoted(std::string())); }\nvoid f();",
]

BAD = [
    ("std::string quoted(std::string_view text);", "quoted: std::quoted"),
    ("static std::string quoted(std::string_view text) { return text; }", "quoted: std::quoted"),
    ("namespace {\nstd::string quoted(const std::string& text) {\n  return text;\n}\n}", "quoted: std::quoted"),
    ("namespace a::b {\ninline namespace c {\nconst X* find(const std::vector<X>& xs, int key);\n}\n}", "find: std::find"),
    ("template <class T>\nconst T& get(const T& value) { return value; }", "get: std::get"),
    ("[[nodiscard]] auto get(auto value) -> int;", "get: std::get"),
    ("std::vector<int> get(int count, std::string name = {});", "get: std::get"),
    ("extern \"C\" {\nint get(X);\n}", "get: std::get"),
    ("bool exists(const fs::path& path);", "exists: std::filesystem::exists"),
    ("struct Color {};\nstd::string to_string(const Color& color);", "to_string: std::to_string"),
    ("enum class Color { red };\nstd::string to_string(std::vector<Color> colors);", "to_string: std::to_string"),
    ("enum class Color { red };\nstd::string to_string(Color color, std::string_view other);", "to_string: std::to_string"),
]


def run_on(files, names=NAMES):
    return run_tool("check_std_names.py", {**files, "tools/std_names.toml": names})


class Functions(unittest.TestCase):
    def test_good_functions(self):
        for code in GOOD:
            with self.subTest(code):
                status, out = run_on({"src/a.cpp": code + "\nvoid another();\n"})
                self.assertEqual((status, out.count("\n")), (0, 1), out)

    def test_bad_functions(self):
        for code, expected in BAD:
            with self.subTest(code):
                status, out = run_on({"src/a.cpp": code + "\n"})
                self.assertEqual((status, out.count("\n")), (1, 1), out)
                self.assertIn(expected + " may be called in its place", out)

    def test_bad_among_good(self):
        """What stands before a bad function does not hide it, and the line is right."""
        for before in GOOD:
            with self.subTest(before):
                _, out = run_on({"src/a.cpp": before + "\nstd::string quoted(std::string_view text);\n"})
                self.assertEqual(out.split(": ")[0], f"src/a.cpp:{before.count(chr(10)) + 2}")
                self.assertEqual(out.count("\n"), 1, out)

    def test_an_enumeration_of_another_file(self):
        files = {"include/culmen/a.hpp": "enum class Color { red };\n", "src/a.cpp": "std::string to_string(Color color);\n"}
        self.assertEqual(run_on(files)[0], 0)

    def test_each_folder_is_looked_at(self):
        for folder in ("include/culmen", "src/flow", "cli", "testca", "tests/unit/flow", "bench", "fuzz", "examples"):
            status, out = run_on({f"{folder}/a.hpp": "int get(X);\n"})
            self.assertEqual((status, out.split(": ")[0]), (1, f"{folder}/a.hpp:1"))


class Allowed(unittest.TestCase):
    def run_allowed(self, line, name="get"):
        return run_on({"src/a.cpp": f"int {name}(X);\n"}, f"{NAMES}[allowed]\n{line}\n")

    def test_allowed_with_a_reason(self):
        self.assertEqual(self.run_allowed('"src/a.cpp:get" = "why"')[0], 0)

    def test_allowed_in_its_file_only(self):
        status, out = self.run_allowed('"src/b.cpp:get" = "why"')
        self.assertEqual(status, 1)
        self.assertIn("src/a.cpp:1: get:", out)
        self.assertIn("src/b.cpp:get is allowed, but there is no such function", out)

    def test_allowed_without_a_reason(self):
        status, out = self.run_allowed('"src/a.cpp:get" = " "')
        self.assertEqual((status, out), (1, "tools/std_names.toml: src/a.cpp:get is allowed without a reason\n"))

    def test_allowed_and_gone(self):
        status, out = self.run_allowed('"src/a.cpp:get" = "why"', name="take")
        self.assertEqual((status, out), (1, "tools/std_names.toml: src/a.cpp:get is allowed, but there is no such function\n"))


class Tree(unittest.TestCase):
    def test_an_empty_tree(self):
        status, out = run_on({"src/a.cpp": "int x;\n"})
        self.assertEqual(status, 1)
        self.assertIn("nothing was checked", out)


if __name__ == "__main__":
    unittest.main()
