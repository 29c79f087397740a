#!/usr/bin/env python3
"""check_headers.py [ROOT]: each public header compiles alone, twice in a row, without a warning, and pulls in nothing foreign;
all of them compile together, so that no two types have one name.

Foreign is what is neither the standard library (with whatever that includes on this machine) nor a header of this tree nor
one that [public] of tools/layers.toml lets the header have (with whatever that includes). The compiler is $CXX, or c++.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

from check_layers import STANDARD, listed
from source_text import sources

FLAGS = ["-std=c++20", "-x", "c++", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wnon-virtual-dtor", "-Werror"]
COMPILER = os.environ.get("CXX", "c++").split()


def compile_text(text, root, *options):
    """Runs the compiler on a text that stands for a source file: (done, the files it read)."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "alone.cpp")
        read = pathlib.Path(folder, "alone.d")
        source.write_text(text, encoding="utf-8")
        command = COMPILER + FLAGS + ["-I", str(root / "include"), "-MD", "-MF", str(read), *options, str(source)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        files = re.split(r"(?<!\\)\s+", read.read_text().replace("\\\n", " ")) if read.is_file() else []
        names = {os.path.realpath(os.path.join(folder, file.replace("\\ ", " "))) for file in files[1:] if file}
        return done, names - {os.path.realpath(source)}


def include(headers):
    """Includes what of this there is."""
    return "".join(f"#if __has_include(<{h}>)\n#include <{h}>\n#endif\n" for h in sorted(headers))


def standard_headers(root):
    done, files = compile_text(include(STANDARD), root, "-E", "-o", os.devnull, "-w")
    if done.returncode != 0 or not files:
        sys.exit(f"{' '.join(COMPILER)} cannot even read the standard library:\n{done.stderr}")
    return files


def complaints(header, root, allowed):
    name = header.relative_to(root / "include")
    done, files = compile_text(f'#include "{name}"\n#include "{name}"\n', root, "-fsyntax-only")
    if done.returncode != 0:
        yield f"does not compile alone:\n{done.stderr.rstrip()}"
        return
    tree = str((root / "include").resolve()) + os.sep
    foreign = sorted(file for file in files - allowed if not file.startswith(tree))
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        yield f"pulls in {', '.join(foreign[:3])}{more}, which [public] of tools/layers.toml does not let it have"


def complaints_together(headers, root):
    text = "".join(f'#include "{header.relative_to(root / "include")}"\n' for header in headers)
    done, _ = compile_text(text, root, "-fsyntax-only")
    if done.returncode != 0:
        yield f"the public headers do not compile together:\n{done.stderr.rstrip()}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1]).resolve()
    rules = tomllib.loads((root / "tools/layers.toml").read_text(encoding="utf-8"))["public"]
    headers = list(sources(root, ["include"], [".hpp"]))
    standard = standard_headers(root)
    with_foreign = standard | compile_text(include(rules["foreign"]), root, "-E", "-o", os.devnull, "-w")[1]
    users = rules["foreign_users"]
    bad = 0

    def name_of(header):
        return str(header.relative_to(root / "include/culmen"))

    def judge(header):
        return header, list(complaints(header, root, with_foreign if listed(name_of(header), users) else standard))

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, texts in pool.map(judge, headers):
            for text in texts:
                print(f"{header.relative_to(root)}:1: {text}")
                bad += 1
    if headers and not bad:
        for text in complaints_together(headers, root):
            print(f"include:1: {text}")
            bad += 1
    if not headers:
        print(f"{root}: no public header found: nothing was checked")
    elif not bad:
        print(f"{len(headers)} public headers stand alone, and together")
    return 1 if bad or not headers else 0


if __name__ == "__main__":
    sys.exit(main())
