#!/usr/bin/env python3
"""Counts the test cases that ran, and prints the failed ones and a last line "N passed, N failed".

Usage: count_tests.py [--bazel_code=N] BUILD_EVENTS.json... TEST.xml...

A Bazel build event file (--build_event_json_file) leads to the XML of each test, also of one that is cached.
A test that failed without a failed case (it crashed, ran out of time, or did not build) counts as one failed
case. Exit code 0 only if something passed, nothing failed and bazel itself was content.
"""

import argparse
import json
import sys
import urllib.parse
import xml.etree.ElementTree

# Bazel's code for "no test fits the filters", which is for us to judge by the counts.
_NO_TESTS_FOUND = 4


class Counts:
    def __init__(self):
        self.passed = 0
        self.skipped = 0
        self.failed = []


def count_xml(path, counts):
    """Adds the cases of one file; returns how many of them failed. Of an unreadable file none is known."""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return 0
    failed = 0
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            counts.failed.append(f"{case.get('classname', '')}.{case.get('name')}")
            failed += 1
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            counts.skipped += 1
        else:
            counts.passed += 1
    return failed


def read_events(path):
    """What the events say: label to (status, XML paths), and the labels that did not build."""
    tests, not_built = {}, []
    with open(path) as events:
        for line in events:
            event = json.loads(line)
            identity = event.get("id", {})
            if "testResult" in identity:
                result = event["testResult"]
                paths = [urllib.parse.unquote(urllib.parse.urlparse(output["uri"]).path)
                         for output in result.get("testActionOutput", []) if output["name"] == "test.xml"]
                # Of several attempts or runs each has its XML; the worst status counts.
                status, earlier = tests.get(identity["testResult"]["label"], ("PASSED", []))
                status = result.get("status", "NO_STATUS") if status == "PASSED" else status
                tests[identity["testResult"]["label"]] = (status, earlier + paths)
            elif "targetCompleted" in identity and not event.get("completed", {}).get("success"):
                not_built.append(identity["targetCompleted"]["label"])
            elif "aborted" in event and "configuredLabel" in identity:
                not_built.append(identity["configuredLabel"]["label"])
    return tests, not_built


def count_events(path, counts):
    tests, not_built = read_events(path)
    for label, (status, paths) in sorted(tests.items()):
        failed = sum(count_xml(xml_path, counts) for xml_path in paths)
        if status != "PASSED" and not failed:
            counts.failed.append(f"{label} ({status.lower()})")
    for label in sorted(set(not_built) - set(tests)):
        counts.failed.append(f"{label} (did not build)")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bazel_code", type=int, default=0)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    counts = Counts()
    for path in arguments.files:
        (count_events if path.endswith(".json") else count_xml)(path, counts)
    if arguments.bazel_code not in (0, _NO_TESTS_FOUND) and not counts.failed:
        counts.failed.append(f"bazel ended with code {arguments.bazel_code}")
    for name in counts.failed:
        print(f"FAILED {name}")
    if counts.skipped:
        print(f"{counts.skipped} skipped")
    print(f"{counts.passed} passed, {len(counts.failed)} failed")
    return 0 if counts.passed and not counts.failed else 1


if __name__ == "__main__":
    sys.exit(main())
