"""redis-benchmark, as people run it first: every default test, shallow and deep, with random keys."""

import csv
import io
import subprocess
import unittest

from testing.integration_base import IntegrationTest

DEFAULT_TESTS = 18


class RedisBenchmarkTest(IntegrationTest):
    def run_benchmark(self, *arguments):
        port = self.proxy.address.rpartition(":")[2]
        run = subprocess.run(
            ["redis-benchmark", "-p", port, "--csv", "-e", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertNotIn("Error from server", run.stdout)
        rows = [row for row in csv.DictReader(io.StringIO(run.stdout)) if row.get("rps")]
        for row in rows:
            self.assertGreater(float(row["rps"]), 0, row)
        return rows

    def test_all_default_tests(self):
        self.assertGreaterEqual(len(self.run_benchmark("-n", "1000")), DEFAULT_TESTS)

    def test_all_default_tests_in_pipelines_of_many_clients_over_many_keys(self):
        rows = self.run_benchmark("-P", "16", "-c", "200", "-r", "1000000", "-n", "20000")
        self.assertGreaterEqual(len(rows), DEFAULT_TESTS)
        self.assertTrue(all(node.command("DBSIZE") > 1000 for node in self.cluster.primaries()))

    def test_large_values(self):
        self.assertEqual(len(self.run_benchmark("-n", "200", "-d", "1000000", "-t", "set,get", "-r", "50")), 2)


if __name__ == "__main__":
    unittest.main()
