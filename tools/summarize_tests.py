#!/usr/bin/env python3
"""summarize_tests.py [--skipped WHY]… [--failed WHY]… REPORT.xml…: sums up ctest's JUnit reports.

The last line is "N passed, N failed, N skipped"; the exit status is 0 only when something passed and nothing failed.
A test that ctest could not run (no such program, a fixture that failed) counts as failed, not as skipped.
--skipped counts something that was left out before ctest, --failed something that was found wrong beside it.
"""
import argparse
import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    """("passed"|"failed"|"skipped", why) of one <testcase>."""
    status = case.get("status")
    skipped = case.find("skipped")
    why = skipped.get("message", "") if skipped is not None else ""
    if status == "run":
        return "passed", ""
    if status == "disabled":
        return "skipped", "disabled"
    if status == "notrun" and why.startswith("SKIP_"):
        return "skipped", (case.findtext("system-out") or "").strip() or why
    return "failed", why


def summarize(paths, left_out=(), out=sys.stdout, wrong=()):
    """Prints the summary; returns whether all is well."""
    counts = {"passed": 0, "failed": len(wrong), "skipped": len(left_out)}
    for why in left_out:
        print(f"skipped: {why}", file=out)
    for why in wrong:
        print(f"failed: {why}", file=out)
    for path in paths:
        try:
            cases = list(ElementTree.parse(path).iter("testcase"))
        except (OSError, ElementTree.ParseError) as error:
            print(f"failed: {path}: no readable report: {error}", file=out)
            counts["failed"] += 1
            continue
        if not cases:
            print(f"failed: {path}: no test was run", file=out)
            counts["failed"] += 1
        for case in cases:
            what, why = outcome(case)
            counts[what] += 1
            if what != "passed":
                print(f"{what}: {case.get('name')}" + (f" ({why.splitlines()[-1]})" if why else ""), file=out)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts), file=out)
    return counts["passed"] > 0 and counts["failed"] == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--skipped", action="append", default=[])
    parser.add_argument("--failed", action="append", default=[])
    parser.add_argument("reports", nargs="*")
    arguments = parser.parse_args()
    sys.exit(0 if summarize(arguments.reports, arguments.skipped, wrong=arguments.failed) else 1)
