"""Tests of tools/check_co_await.py."""
import pathlib
import sys
import unittest

from tool_on_tree import run_tool

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "check_co_await.py"
sys.path.insert(0, str(TOOL.parent))
import check_co_await  # noqa: E402

BRACED = "a braced temporary"
LAMBDA = "a lambda that captures by value"
TERNARY = "?:"
BINDING = "a structured binding"

GOOD = [
    "auto placed = co_await new_order(want);",
    "co_return co_await post(session, std::move(account), \"\", names[0]);",
    "if (auto r = co_await wait(pause); !r) co_return r.error();",
    "if (co_await ready()) { co_return 1; }",
    "for (auto& x : co_await list()) use(x);",
    "while (co_await more()) {}",
    "if (!placed) { co_return Error{}; } co_await next();",
    "if (a ? b : c) co_await next();",
    "Options options{1, \"x\"}; auto r = co_await run(options);",
    "auto f = [x]() -> Flow<int> { co_return co_await y(x); }; co_await run(f);",
    "auto f = [x, y = std::move(z)] { return x; }; co_await run(f);",
    "co_await run([&] { return x; });",
    "co_await run([&x, this] { return x; });",
    "co_await run([] { return a ? b : c; });",
    "co_await run([] { T t{1}; return t; });",
    "auto x = names[i] + co_await y();",
    "auto x = a[b[0]] + co_await y();",
    "auto t = a ? b : c; co_await run(t);",
    "switch (x) { case 1: co_await y(); break; default: co_await z(); }",
    "try { co_await y(); } catch (const Error& e) { keep(T{e}); }",
    "do { co_await y(); } while (a ? b : c);",
    "[[maybe_unused]] auto x = co_await y();",
    "auto [a, b] = pair; co_await run(a);",
    "struct T { int a{1}; Flow<int> f() { co_return co_await g(); } };",
    "const char* s = \"? { co_await f({1})\"; co_await g(s);",
    "// co_await f({1});\nco_await g();",
    "/* a ? co_await f({1}) : x; */ co_await g();",
    "CHECK(x == 1); co_await g();",
    "auto x = co_await g(); CHECK(x == T{1});",
]

BAD = [
    ("co_await f({1, 2});", BRACED),
    ("co_await f({});", BRACED),
    ("co_await f({.a = x});", BRACED),
    ("auto r = co_await f(Options{1, \"x\"});", BRACED),
    ("co_await Client{session}.get();", BRACED),
    ("auto r = co_await f(std::vector<int>{1, 2});", BRACED),
    ("Order order{co_await f(), 1};", BRACED),
    ("return T{co_await f()};", BRACED),
    ("if (auto r = co_await f({1}); !r) {}", BRACED),
    ("if (co_await f(T{1})) { x(); }", BRACED),
    ("for (auto& x : co_await f(T{1})) {}", BRACED),
    ("auto r = co_await f(T{1}, [&] { return 1; });", BRACED),
    ("co_await f(T{1}.a);", BRACED),
    ("auto f = [] () -> Flow<int> { co_return co_await g(T{1}); };", BRACED),
    ("co_await run([x] { return x; });", LAMBDA),
    ("co_await run([=] { return x; });", LAMBDA),
    ("co_await run([&, x] { return x; });", LAMBDA),
    ("co_await run([x = std::move(y)]() mutable { return x; });", LAMBDA),
    ("co_await run([*this] { return 1; });", LAMBDA),
    ("co_await co_spawn(ex, [c]() -> awaitable<void> { co_return; }, use_awaitable);", LAMBDA),
    ("co_await run(std::function<void()>([c] { c(); }));", LAMBDA),
    ("[x]() -> Flow<int> { co_return 1; }(), co_await y();", LAMBDA),
    ("auto r = a ? co_await f() : g();", TERNARY),
    ("auto r = co_await f() ? g() : h();", TERNARY),
    ("co_await f(a ? b : c);", TERNARY),
    ("if (co_await f() ? a : b) {}", TERNARY),
    ("co_return a ? co_await f()\n  : co_await g();", TERNARY),
    ("auto [a, b] = co_await f();", BINDING),
    ("const auto& [a, b] = co_await f();", BINDING),
    ("auto&& [a, b] = co_await f();", BINDING),
    ("for (auto& [a, b] : co_await f()) {}", BINDING),
    ("auto r = co_await f(as_tuple(use_awaitable));", "as_tuple"),
    ("CHECK(co_await f() == 1);", "co_await in the macro CHECK"),
    ("CHECK_THROWS_AS(co_await f(), Error);", "co_await in the macro CHECK_THROWS_AS"),
    ("#define AWAIT(x) \\\n  co_await (x)\n", "co_await in a macro"),
]


def found(body):
    wrapped = body if body.startswith("#") else f"Flow<int> f(int a, std::string b) {{\n{body}\n}}\n"
    return list(check_co_await.complaints(wrapped))


class Shapes(unittest.TestCase):
    def test_good_statements(self):
        for body in GOOD:
            with self.subTest(body):
                self.assertEqual(found(body), [])

    def test_bad_statements(self):
        for body, expected in BAD:
            with self.subTest(body):
                texts = [text for _, text in found(body)]
                self.assertEqual(len(texts), 1, texts)
                self.assertTrue(texts[0].startswith(expected), texts)

    def test_bad_among_good(self):
        """What stands around a bad statement does not hide it, nor is it blamed."""
        for before in GOOD:
            for body, expected in BAD[:30]:
                with self.subTest(before + body):
                    wrong = found(f"{before}\n{body}\n{before}")
                    line = 2 + before.count("\n") + 1
                    self.assertEqual([text.startswith(expected) for _, text in wrong], [True], wrong)
                    self.assertIn(wrong[0][0], range(line, line + 1 + body.count("\n")))

    def test_every_fault_of_a_statement(self):
        self.assertEqual(len(found("auto [a, b] = co_await f(T{1}, [x] { return x; }, a ? b : c);")), 4)


class Excuses(unittest.TestCase):
    def test_an_excuse_with_a_reason(self):
        self.assertEqual(found("co_await f({});  // co_await-ok: an optional, whose constructor is declared"), [])
        self.assertEqual(found("// co_await-ok: an optional\nco_await f(\n    {});"), [])
        self.assertEqual(found("co_await f(\n    {});  // co_await-ok: an optional"), [])

    def test_an_excuse_without_a_reason(self):
        self.assertEqual([text for _, text in found("co_await f({});  // co_await-ok")], ["co_await-ok without a reason"])

    def test_an_excuse_is_for_its_statement_only(self):
        wrong = found("co_await f({});  // co_await-ok: an optional\nx();\nco_await f({});")
        self.assertEqual([line for line, _ in wrong], [4])

    def test_an_excuse_that_is_not_needed(self):
        self.assertEqual(found("co_await f();  // co_await-ok: why"), [(2, "co_await-ok that excuses nothing")])


class Tree(unittest.TestCase):
    def run_on(self, files):
        return run_tool("check_co_await.py", files)

    def test_each_folder_is_looked_at(self):
        bad = "Flow<int> f() {\n  co_await g({1});\n}\n"
        for folder in ("include/culmen", "src/flow", "cli", "testca", "examples", "tests/unit/engine"):
            code, out = self.run_on({f"{folder}/a.cpp": bad})
            self.assertEqual((code, out.split(": ")[0]), (1, f"{folder}/a.cpp:2"))
            self.assertEqual(self.run_on({f"{folder}/a.hpp": bad})[0], 1)

    def test_good_and_empty_trees(self):
        self.assertEqual(self.run_on({"src/a.cpp": "Flow<int> f() { co_await g(); }\n"}),
                         (0, "1 co_await in 1 files, none in a shape to fear\n"))
        self.assertEqual(self.run_on({"src/a.txt": ""})[0], 1)


if __name__ == "__main__":
    unittest.main()
