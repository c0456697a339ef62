"""Reading what load generators and counters print."""

import json
import unittest

from benchmarks.comparison import drivers, system_calls
from benchmarks.comparison.workloads import WORKLOADS

_REDIS_BENCHMARK = """\
GET key:__rand_int__: rps=0.0 (overall: 0.0) avg_msec=nan (overall: nan)\r\
====== GET key:__rand_int__ ======
  10000 requests completed in 0.12 seconds
  50 parallel clients
  3 bytes payload
  keep alive: 1
  multi-thread: no

Latency by percentile distribution:
0.000% <= 0.119 milliseconds (cumulative count 1)
50.000% <= 0.303 milliseconds (cumulative count 5050)
99.805% <= 0.703 milliseconds (cumulative count 9982)
99.902% <= 0.735 milliseconds (cumulative count 9991)
100.000% <= 0.783 milliseconds (cumulative count 10000)

Cumulative distribution of latencies:
0.010% <= 0.103 milliseconds (cumulative count 1)
100.000% <= 0.807 milliseconds (cumulative count 10000)

Summary:
  throughput summary: 83333.33 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.312     0.112     0.303     0.439     0.591     0.783
"""


class RedisBenchmarkTest(unittest.TestCase):
    def test_reads_throughput_and_percentiles(self):
        self.assertEqual(drivers.parse_redis_benchmark(_REDIS_BENCHMARK),
                         {"requests_per_second": 83333.33, "p50_ms": 0.303, "p99_ms": 0.591,
                          "p999_ms": 0.735})

    def test_output_without_a_summary_is_an_error(self):
        with self.assertRaises(drivers.DriverError):
            drivers.parse_redis_benchmark("Could not connect to Redis\n")

    def test_commands(self):
        argv, stdin = drivers.redis_benchmark_command(WORKLOADS["mset10"], 7700, 1000)
        self.assertEqual(argv.count("v64:__rand_int__"), 10)
        self.assertEqual(argv.count("x" * 64), 10)
        self.assertIsNone(stdin)

    def test_large_values_go_through_stdin(self):
        argv, stdin = drivers.redis_benchmark_command(WORKLOADS["set_1m"], 7700, 10)
        self.assertEqual(argv[-3:], ["-x", "SET", "v1048576:__rand_int__"])
        self.assertEqual(len(stdin), 1 << 20)
        argv, stdin = drivers.redis_benchmark_command(WORKLOADS["get_1m"], 7700, 10)
        self.assertEqual(argv[-2:], ["GET", "v1048576:__rand_int__"])
        self.assertIsNone(stdin)


def _load_report(**changes):
    report = {"requests": 10, "requests_per_second": 5.0, "p50_us": 100, "p99_us": 200, "p999_us": 300,
              "wrong": 0, "errors": 0, "lost": 0, "unanswered": 0, "first_error": ""}
    return json.dumps({**report, **changes})


class LoadTest(unittest.TestCase):
    def test_reads_the_last_line(self):
        result = drivers.parse_load("a warning\n" + _load_report() + "\n")
        self.assertEqual(result["p999_ms"], 0.3)
        self.assertEqual(result["requests"], 10)

    def test_a_run_with_wrong_replies_or_errors_is_useless(self):
        for name in ("wrong", "errors", "lost", "unanswered"):
            with self.assertRaisesRegex(drivers.DriverError, name):
                drivers.parse_load(_load_report(**{name: 1}))
        with self.assertRaises(drivers.DriverError):
            drivers.parse_load("")


class SystemCallsTest(unittest.TestCase):
    def test_perf(self):
        self.assertEqual(system_calls.parse_perf("# started\n\n1234,,raw_syscalls:sys_enter,1,100,,\n"),
                         1234)
        self.assertIsNone(system_calls.parse_perf("<not supported>,,raw_syscalls:sys_enter,0,,,\n"))

    def test_strace_with_and_without_errors(self):
        head = "% time     seconds  usecs/call     calls    errors syscall\n"
        self.assertEqual(system_calls.parse_strace(head + "100.00  0.01  3  4321  12 total\n"), 4321)
        self.assertEqual(system_calls.parse_strace(head + "100.00  0.01  3  4321     total\n"), 4321)
        self.assertIsNone(system_calls.parse_strace("nothing\n"))


if __name__ == "__main__":
    unittest.main()
