#!/usr/bin/env python3
"""check_docs.py [ROOT]: the C++ in README.md is what is compiled, and relative links in the documents lead somewhere.

The first certificate that README.md asks for is from a staging CA.

A C++ block stands below a line `<!-- from FILE -->`; it has to be FILE from its first #include to its end.
"""
import pathlib
import re
import sys

BLOCK = re.compile(r"(?:<!-- from (?P<file>\S+) -->\n)?```cpp\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")


def wrong_blocks(text, root):
    for block in BLOCK.finditer(text):
        line = text.count("\n", 0, block.start()) + 1
        if not block["file"]:
            yield line, "C++ that does not say which compiled file it is from"
            continue
        file = root / block["file"]
        if not file.is_file():
            yield line, f"there is no {block['file']}"
            continue
        source = file.read_text(encoding="utf-8")
        if block["code"] != source[max(source.find("#include"), 0):]:
            yield line, f"differs from {block['file']}"


def wrong_first_try(text):
    first = re.search(r"^culmen issue .*$", text, re.MULTILINE)
    if first and "staging" not in first[0]:
        yield text.count("\n", 0, first.start()) + 1, "the first try is not with a staging CA"


def wrong_links(text, folder):
    for link in LINK.finditer(text):
        target = link["target"].split("#")[0]
        if target and "://" not in target and not target.startswith("mailto:") and not (folder / target).exists():
            yield text.count("\n", 0, link.start()) + 1, f"leads to {target}, which does not exist"


def documents(root):
    yield from sorted(root.glob("*.md"))
    yield from sorted((root / "docs").rglob("*.md"))


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[1])
    bad = []
    readme = root / "README.md"
    if not readme.is_file() or not BLOCK.search(readme.read_text(encoding="utf-8")):
        bad.append("README.md: no C++ example")
    for document in documents(root):
        text = document.read_text(encoding="utf-8")
        found = list(wrong_links(text, document.parent))
        if document == readme:
            found += [*wrong_blocks(text, root), *wrong_first_try(text)]
        bad += [f"{document.relative_to(root)}:{line}: {what}" for line, what in found]
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
