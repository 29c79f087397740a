"""Tests of tools/summarize_tests.py."""
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
import summarize_tests  # noqa: E402

GOOD = '<testcase name="good" status="run"><system-out></system-out></testcase>'
BAD = '<testcase name="bad" status="fail"><failure message=""/></testcase>'
SKIP = '<testcase name="skip" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>'
DISABLED = '<testcase name="disabled" status="disabled"></testcase>'
MISSING = '<testcase name="missing" status="notrun"><skipped message="Unable to find executable"/></testcase>'
FIXTURE = '<testcase name="fixture" status="notrun"><skipped message="Fixture dependency failed"/></testcase>'


class SummarizeTests(unittest.TestCase):
    def summary(self, *reports, left_out=(), wrong=()):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, cases in enumerate(reports):
                paths.append(pathlib.Path(folder, f"{number}.xml"))
                paths[-1].write_text(cases if cases.startswith("!") else f"<testsuite>{cases}</testsuite>")
            out = io.StringIO()
            well = summarize_tests.summarize(paths, left_out, out, wrong)
            return well, out.getvalue().splitlines()

    def test_all_passed(self):
        well, lines = self.summary(GOOD + GOOD)
        self.assertTrue(well)
        self.assertEqual(lines, ["2 passed, 0 failed, 0 skipped"])

    def test_a_failure_is_named_and_is_not_well(self):
        well, lines = self.summary(GOOD + BAD)
        self.assertFalse(well)
        self.assertEqual(lines, ["failed: bad", "1 passed, 1 failed, 0 skipped"])

    def test_skipped_and_disabled_are_counted(self):
        well, lines = self.summary(GOOD + SKIP + DISABLED)
        self.assertTrue(well)
        self.assertEqual(lines[-1], "1 passed, 0 failed, 2 skipped")

    def test_a_test_that_could_not_run_is_a_failure(self):
        well, lines = self.summary(GOOD + MISSING + FIXTURE)
        self.assertFalse(well)
        self.assertEqual(lines[-1], "1 passed, 2 failed, 0 skipped")

    def test_nothing_run_is_a_failure(self):
        self.assertFalse(self.summary("")[0])
        self.assertFalse(self.summary()[0])
        self.assertFalse(self.summary(SKIP)[0])
        self.assertEqual(self.summary(GOOD, "")[1][-1], "1 passed, 1 failed, 0 skipped")

    def test_what_was_found_wrong_beside_ctest_is_a_failure(self):
        well, lines = self.summary(GOOD, wrong=["the page"])
        self.assertFalse(well)
        self.assertEqual(lines, ["failed: the page", "1 passed, 1 failed, 0 skipped"])

    def test_an_unreadable_report_is_a_failure(self):
        well, lines = self.summary(GOOD, "!not xml")
        self.assertFalse(well)
        self.assertEqual(lines[-1], "1 passed, 1 failed, 0 skipped")

    def test_reports_are_added_up(self):
        self.assertEqual(self.summary(GOOD, GOOD + SKIP)[1][-1], "2 passed, 0 failed, 1 skipped")

    def test_what_was_left_out_is_counted(self):
        well, lines = self.summary(GOOD, left_out=["ML-DSA"])
        self.assertTrue(well)
        self.assertEqual(lines, ["skipped: ML-DSA", "1 passed, 0 failed, 1 skipped"])


if __name__ == "__main__":
    unittest.main()
