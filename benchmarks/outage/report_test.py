"""The tables of benchmarks/failover."""

import unittest

from benchmarks.outage import report


def run(proxy, errors, gap_ms):
    return {"fault": "kill", "proxy": proxy, "requests": 1000, "errors": errors, "gap_ms": gap_ms, "slowest_ms": 20,
            "full_ms": 0}


class ReportTest(unittest.TestCase):
    def setUp(self):
        self.data = {"facts": {"Clients": 9}, "faults": {"kill": "SIGKILL of a primary", "stop": "nothing"},
                     "proxies": ["one", "other"],
                     "runs": [run("one", {"ERR x": 2}, 100), run("one", {"ERR x": 4}, 300)]}

    def test_a_row_per_proxy_with_all_rounds(self):
        text = report.render(self.data)
        self.assertIn("### SIGKILL of a primary\n", text)
        self.assertIn("| one | 1,000 | 3 (2-4) | 200 (100-300) | 20 | 0 |", text)
        self.assertNotIn("| other |", text, "it has no run")
        self.assertIn("- Clients: 9\n", text)

    def test_errors_are_added_up_by_text(self):
        self.assertIn("- one: 6 × `ERR x`\n", report.render(self.data))

    def test_a_fault_without_runs_says_so(self):
        self.assertIn("### Nothing\n\nNo usable run.\n", report.render(self.data))


if __name__ == "__main__":
    unittest.main()
