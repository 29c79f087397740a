#!/usr/bin/env python3
"""measure_headers.py [ROOT] [--limit SECONDS]: what each public header costs to compile, alone.

The seconds are user and system time of `$CXX -fsyntax-only` on a file that includes the header and nothing else: the
median of three runs, one at a time. With --limit the exit status is 1 if a header takes longer. A measurement, and no
test: it depends on the machine.
"""
import argparse
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile

from check_headers import COMPILER
from source_text import sources

RUNS = 3


def seconds(name, root):
    """What one compilation takes."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "alone.cpp")
        source.write_text(f'#include "{name}"\n', encoding="utf-8")
        command = [*COMPILER, "-std=c++20", "-fsyntax-only", "-I", root / "include", source]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"include/{name}:1: does not compile alone:\n{done.stderr.rstrip()}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).parents[1])
    parser.add_argument("--limit", type=float, metavar="SECONDS")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    names = [header.relative_to(root / "include") for header in sources(root, ["include"], [".hpp"])]
    if not names:
        sys.exit(f"{root}: no public header found")
    taken = {name: statistics.median(seconds(name, root) for _ in range(RUNS)) for name in names}
    slow = [name for name in names if arguments.limit is not None and taken[name] > arguments.limit]
    for name in sorted(names, key=lambda name: -taken[name]):
        print(f"{taken[name]:6.2f} s  {name}{f'  over {arguments.limit:g} s' if name in slow else ''}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
