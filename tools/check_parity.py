#!/usr/bin/env python3
"""check_parity.py [ROOT] [--reports REPORT.xml…]: what docs/parity.md says is done is there, and is tested.

Rows of its tables: what is asked for | `symbol`, … in `culmen/header.hpp`, … | `test`, … | done or not yet.
A row that is done names symbols that stand in the public header, and tests that are in the tree; with --reports (JUnit
reports of ctest) tests that ran and passed. A name of a test in ctest is its program, a colon and its text; a blank
after that colon does not count, since versions of CMake and doctest differ there.
"""
import argparse
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

import source_text

COLUMNS = 4
QUOTED = re.compile(r"`([^`]+)`")
SYMBOLS = re.compile(r"(?P<names>`[^`]+`(?:, `[^`]+`)*) in `(?P<header>culmen/[\w/]+\.hpp)`")
STRINGS = re.compile(r'"((?:\\.|[^"\\])*)"')
TEST_CASE = re.compile(r'TEST_CASE\(\s*((?:"(?:\\.|[^"\\])*"\s*)+)\)')
INTEGRATION = re.compile(r"(?:culmen_test|add_executable)\((?P<program>\w+)\s+(?:SOURCES\s+)?(?P<rest>[^)]*)\)")
COMMAND = re.compile(r'(?:add_test\(NAME|culmen_check\()\s*"([^"]+)"')
VARIABLE = re.compile(r"\\\$\\\{\w+\\\}")


def rows(text):
    """(line number, cells) of every row of the page's tables, without heads and rules."""
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        following = lines[number] if number < len(lines) else ""
        if line.startswith("|") and not is_rule(line) and not is_rule(following):
            yield number, [cell.strip() for cell in line.strip().strip("|").split("|")]


def is_rule(line):
    return re.fullmatch(r"\|(\s*:?-+:?\s*\|)+", line.strip()) is not None


def normal(name):
    """A test's name without the blank after the program's colon, which not every CMake keeps."""
    return re.sub(r":\s*", ":", name, count=1)


class Tests:
    """The tests that the tree's sources say there are."""

    def __init__(self, root):
        self.names = set()
        self.patterns = []
        self.wrong = []
        for folder in sorted((root / "tests" / "unit").glob("*/")):
            self.add_cases(root, {f"unit_{folder.name}"}, sorted(folder.glob("*.cpp")))
        integration = root / "tests" / "integration"
        for part in sorted(integration.glob("*.cmake")):
            for match in INTEGRATION.finditer(part.read_text(encoding="utf-8")):
                files = [integration / word for word in match["rest"].split() if word.endswith(".cpp")]
                self.add_cases(root, prefixes(match["program"]), [file for file in files if file.is_file()])
        for part in [*(root / "tests").rglob("CMakeLists.txt"), *root.glob("*/CMakeLists.txt")]:
            for match in COMMAND.finditer(part.read_text(encoding="utf-8")):
                if not match[1].startswith("$"):
                    self.patterns.append(re.compile(VARIABLE.sub("[^:]+", re.escape(normal(match[1])))))

    def add_cases(self, root, programs, files):
        for file in files:
            text = file.read_text(encoding="utf-8")
            for match in TEST_CASE.finditer(text):
                name = "".join(STRINGS.findall(match[1]))
                if ";" in name:
                    line = text.count("\n", 0, match.start()) + 1
                    self.wrong.append(f"{file.relative_to(root)}:{line}: CMake cuts the test's name at the ';'")
                self.names |= {normal(f"{program}: {name}") for program in programs}

    def __contains__(self, name):
        return normal(name) in self.names or any(pattern.fullmatch(normal(name)) for pattern in self.patterns)


def prefixes(program):
    return {"pebble (newest)", "pebble (distribution)"} if program == "integration_pebble" else {program}


def passed_tests(reports):
    cases = [case for report in reports for case in ElementTree.parse(report).iter("testcase")]
    return {normal(case.get("name")) for case in cases if case.get("status") == "run"}


def wrong_symbols(cell, include):
    groups = list(SYMBOLS.finditer(cell))
    if not groups:
        yield "names no symbol in a public header"
    for group in groups:
        header = include / group["header"]
        if not header.is_file():
            yield f"there is no {group['header']}"
            continue
        code = source_text.blanked(header.read_text(encoding="utf-8"))
        for name in QUOTED.findall(group["names"]):
            if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", code):
                yield f"there is no {name} in {group['header']}"


def wrong_tests(cell, tests, passed):
    named = QUOTED.findall(cell)
    if not named:
        yield "names no test"
    for name in named:
        if name not in tests:
            yield f"there is no test '{name}'"
        elif passed is not None and normal(name) not in passed:
            yield f"the test '{name}' did not run and pass"


def check(root, reports=None):
    """What is wrong, a line each."""
    page = root / "docs" / "parity.md"
    tests = Tests(root)
    passed = passed_tests(reports) if reports else None
    bad = list(tests.wrong)
    found = list(rows(page.read_text(encoding="utf-8")))
    if not any(cells[-1] == "done" for _, cells in found):
        bad.append("docs/parity.md: no row is done")
    for number, cells in found:
        complaints = []
        if len(cells) != COLUMNS:
            complaints = [f"has {len(cells)} cells, not {COLUMNS}"]
        elif not all(re.search(r"\w", cell) for cell in cells):
            complaints = ["has an empty cell"]
        elif cells[3] == "done":
            complaints = [*wrong_symbols(cells[1], root / "include"), *wrong_tests(cells[2], tests, passed)]
        elif cells[3] != "not yet":
            complaints = [f"is neither done nor not yet but '{cells[3]}'"]
        bad += [f"docs/parity.md:{number}: {what}" for what in complaints]
    return bad


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[1])
    parser.add_argument("--reports", nargs="+", metavar="REPORT.xml")
    arguments = parser.parse_args()
    try:
        bad = check(arguments.root, arguments.reports)
    except (OSError, ElementTree.ParseError) as error:
        bad = [f"check_parity.py: {error}"]
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
