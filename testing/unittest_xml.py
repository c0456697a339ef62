"""Runs one unittest module and writes what ran to $XML_OUTPUT_FILE, as Bazel's cc_test does for GoogleTest.

    unittest_xml.py path/to/module.py [Class.method]...

So ./run_tests can count real test cases in both languages. A failure in setUpClass or tearDownClass counts as
a failed case of its own.
"""

import importlib.util
import os
import sys
import time
import unittest
from xml.sax.saxutils import escape, quoteattr


class CountingResult(unittest.TextTestResult):
    """Remembers each case: (class, name, seconds, problem or None, skipped reason or None)."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.cases = []
        self._started = {}
        self._problems = {}

    def startTest(self, test):
        self._started[test] = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        seconds = time.monotonic() - self._started.pop(test)
        skipped = next((reason for other, reason in self.skipped if other is test), None)
        self._record(test, seconds, self._problems.pop(test, None), skipped)
        # Nobody is left in doubt how far a test came that Bazel ends for its time.
        print(f"  {seconds:.1f} s", file=sys.stderr, flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self._problem(test, self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._problem(test, self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._problem(test, f"{subtest}: {err[1]}")

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self._problem(test, "unexpected success")

    def _problem(self, test, text):
        if test in self._started:
            self._problems[test] = self._problems.get(test, "") + text
        else:
            self._record(test, 0, text, None)

    def _record(self, test, seconds, problem, skipped):
        name = getattr(test, "_testMethodName", str(test))
        self.cases.append((type(test).__name__, name, seconds, problem, skipped))


def write_xml(path, module, cases):
    failed = sum(1 for case in cases if case[3])
    skipped = sum(1 for case in cases if case[4] is not None)
    with open(path, "w") as out:
        out.write('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n')
        out.write(f'<testsuite name={quoteattr(module)} tests="{len(cases)}" failures="{failed}" '
                  f'errors="0" skipped="{skipped}">\n')
        for class_name, name, seconds, problem, reason in cases:
            out.write(f'<testcase classname={quoteattr(class_name)} name={quoteattr(name)} time="{seconds:.3f}">')
            if problem:
                text = "".join(c for c in problem if c in "\n\t" or c >= " ")
                out.write(f"<failure message=\"failed\">{escape(text)}</failure>")
            if reason is not None:
                out.write(f"<skipped message={quoteattr(reason)}/>")
            out.write("</testcase>\n")
        out.write("</testsuite>\n</testsuites>\n")


def main():
    path = sys.argv[1]
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    loader = unittest.defaultTestLoader
    if sys.argv[2:]:
        suite = loader.loadTestsFromNames(sys.argv[2:], module)
    else:
        suite = loader.loadTestsFromModule(module)
    result = unittest.TextTestRunner(verbosity=2, resultclass=CountingResult).run(suite)
    if os.environ.get("XML_OUTPUT_FILE"):
        write_xml(os.environ["XML_OUTPUT_FILE"], name, result.cases)
    # A module in which nothing runs proves nothing.
    return 0 if result.wasSuccessful() and result.cases else 1


if __name__ == "__main__":
    sys.exit(main())
