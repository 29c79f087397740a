#!/usr/bin/env python3
"""check_text.py [ROOT]: plain things about every text file of the tree: UTF-8, LF, no blanks at line ends, a final newline."""
import pathlib
import sys

SUFFIXES = {".cpp", ".hpp", ".py", ".sh", ".md", ".txt", ".toml", ".json", ".cmake", ".in", ".yml", ".yaml"}
NAMES = {"Makefile", "LICENSE", ".clang-format", ".gitignore", "run"}
SKIPPED = {".git", "build", "out"}
RAW = ("tests/data/", "fuzz/corpus/")  # bytes that are meant as they are
TABS = {"Makefile"}


def complaints(name, data):
    """What is wrong with a file of these bytes, as (line number, text)."""
    found = []
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        found.append((data.count(b"\n", 0, error.start) + 1, "is not UTF-8"))
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.endswith(b"\r"):
            found.append((number, "ends in CR LF"))
        elif line != line.rstrip():
            found.append((number, "ends in blanks"))
        if b"\t" in line and name not in TABS:
            found.append((number, "holds a tab"))
    if data and not data.endswith(b"\n"):
        found.append((data.count(b"\n") + 1, "has no final newline"))
    if data.endswith(b"\n\n"):
        found.append((data.count(b"\n"), "has empty lines at its end"))
    return found


def text_files(root):
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if SKIPPED & set(relative.parts) or str(relative).startswith(RAW) or not path.is_file() or path.is_symlink():
            continue
        if path.suffix in SUFFIXES or path.name in NAMES:
            yield relative, path.read_bytes()


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1])
    bad = count = 0
    for relative, data in text_files(root):
        count += 1
        for number, text in complaints(relative.name, data):
            print(f"{relative}:{number}: {text}")
            bad += 1
    if count == 0:
        print(f"{root}: no text file found: nothing was checked")
    return 1 if bad or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
