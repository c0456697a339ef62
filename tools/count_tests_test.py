"""The counts of ./run_tests: real cases, and nothing that went wrong goes uncounted."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

_SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "count_tests.py")

_MIXED = """<?xml version="1.0"?><testsuites><testsuite name="S">
<testcase name="a" classname="S" status="run"/><testcase name="b" classname="S"><failure message="x"/></testcase>
<testcase name="c" classname="S"><skipped/></testcase><testcase name="DISABLED_d" classname="S" status="notrun"/>
</testsuite></testsuites>"""
_GOOD = '<testsuites><testsuite><testcase name="a"/><testcase name="b"/></testsuite></testsuites>'


class CountTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def events(self, *events):
        return self.write("events.json", "\n".join(json.dumps(event) for event in events))

    def result(self, label, status, xml=None):
        outputs = [{"name": "test.xml", "uri": "file://" + self.write(label + ".xml", xml)}] if xml else []
        return {"id": {"testResult": {"label": label}}, "testResult": {"status": status, "testActionOutput": outputs}}

    def count(self, *arguments):
        run = subprocess.run([sys.executable, _SCRIPT, *arguments], capture_output=True, text=True)
        self.assertEqual(run.stderr, "")
        return run.returncode, run.stdout.splitlines()

    def test_cases_are_counted_one_by_one(self):
        code, lines = self.count(self.events(self.result("a", "FAILED", _MIXED), self.result("b", "PASSED", _GOOD)))
        self.assertEqual((code, lines), (1, ["FAILED S.b", "2 skipped", "3 passed, 1 failed"]))

    def test_all_passed(self):
        code, lines = self.count(self.events(self.result("a", "PASSED", _GOOD)), self.write("x.xml", _GOOD))
        self.assertEqual((code, lines), (0, ["4 passed, 0 failed"]))

    def test_crash_and_timeout_count_as_failed(self):
        for status, xml in (("TIMEOUT", None), ("FAILED", _GOOD), ("FAILED", "<testsuites")):
            code, lines = self.count(self.events(self.result("a", status, xml)))
            self.assertEqual((code, lines[0]), (1, f"FAILED a ({status.lower()})"))

    def test_what_does_not_build_counts_as_failed(self):
        broken = {"id": {"targetCompleted": {"label": "c"}}, "completed": {}}
        code, lines = self.count(self.events(self.result("a", "PASSED", _GOOD), broken), "--bazel_code=1")
        self.assertEqual((code, lines), (1, ["FAILED c (did not build)", "2 passed, 1 failed"]))

    def test_unexplained_failure_of_bazel_counts(self):
        code, lines = self.count(self.events(self.result("a", "PASSED", _GOOD)), "--bazel_code=37")
        self.assertEqual((code, lines[-1]), (1, "2 passed, 1 failed"))

    def test_nothing_ran_is_no_success(self):
        code, lines = self.count(self.events({"id": {}}), "--bazel_code=4")
        self.assertEqual((code, lines), (1, ["0 passed, 0 failed"]))


if __name__ == "__main__":
    unittest.main()
