"""How proxies are named on the command line and how their configurations are filled in."""

import os
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

from benchmarks.comparison import charts, competitors, report, servers, usage

_VALUES = {"binary": "/bin/true", "port": 1, "stats_port": 2, "directory": "d", "workers": 1,
           "config": "c", "clients_max": 9}


class ProxyArgumentTest(unittest.TestCase):
    def test_an_unknown_name_is_started_like_rcproxy(self):
        competitor = competitors.parse_proxy_argument("before=some/rcproxy")
        self.assertEqual(competitor.binary, os.path.abspath("some/rcproxy"))
        argv, _ = competitors.render(competitor, _VALUES, ["h:1", "h:2"])
        self.assertIn("--startup_nodes=h:1,h:2", argv)

    def test_a_known_name_keeps_its_configuration(self):
        competitor = competitors.parse_proxy_argument("twemproxy=/x/nutcracker")
        self.assertEqual(competitor.backend, "plain")
        self.assertEqual(competitor.binary, "/x/nutcracker")

    def test_a_template_is_one_configuration_file(self):
        with tempfile.NamedTemporaryFile("w") as template:
            template.write("listen $port\nseeds $seeds\n")
            template.flush()
            competitor = competitors.parse_proxy_argument(f"other=/x/other:{template.name}")
        argv, config = competitors.render(competitor, _VALUES, ["h:1", "h:2"])
        self.assertEqual(argv, ["/bin/true", "c"])
        self.assertEqual(config, "listen 1\nseeds h:1,h:2\n")

    def test_nonsense_is_refused(self):
        for text in ("", "name", "=path", "name="):
            with self.assertRaises(ValueError):
                competitors.parse_proxy_argument(text)

    def test_every_known_proxy_can_be_rendered(self):
        for competitor in competitors.KNOWN.values():
            argv, config = competitors.render(competitor, _VALUES, ["h:1", "h:2"])
            self.assertNotIn("$", "".join(argv) + config)

    def test_select(self):
        extra = [competitors.Competitor("x", "/bin/true", ("$binary",)),
                 competitors.Competitor("y", "/no/such/file", ("$binary",))]
        usable, missing = competitors.select(["direct", "x", "y"], extra, None)
        self.assertEqual([competitor.name for competitor in usable], ["direct", "x"])
        self.assertEqual(missing, ["y"])
        with self.assertRaises(ValueError):
            competitors.select(["nobody"], [], None)


class SlotTest(unittest.TestCase):
    def test_slots_of_the_specification(self):
        self.assertEqual(servers.key_slot(b"123456789"), 0x31C3)
        self.assertEqual(servers.key_slot(b"foo"), 12182)
        self.assertEqual(servers.key_slot(b"{foo}x"), servers.key_slot(b"foo"))
        self.assertNotEqual(servers.key_slot(b"{}foo"), servers.key_slot(b"foo"))


class UsageTest(unittest.TestCase):
    def test_own_process(self):
        sample = usage.sample(os.getpid())
        self.assertGreater(sample.rss_kib, 1000)
        self.assertGreaterEqual(sample.threads, 1)

    def test_the_fine_clock_is_used_unless_threads_ended(self):
        before = usage.Sample(1.0, 0.5, 0.5)
        total, user, system = usage.cpu_seconds(before, usage.Sample(1.503, 0.9, 0.6))
        self.assertAlmostEqual(total, 0.503)
        self.assertAlmostEqual(user / system, 4)
        self.assertAlmostEqual(usage.cpu_seconds(before, usage.Sample(0.2, 1.5, 1.5))[0], 2.0)

    def test_the_command_line_names_no_folder_outside(self):
        words = ["/r/benchmarks/compare", "--proxy", "other=/opt/x/other", "--out=/r/out", "--lock", "/tmp/lock", "a/b"]
        with unittest.mock.patch("sys.argv", words):
            self.assertEqual(usage.command_line("/r"),
                             "benchmarks/compare --proxy other=other --out=out --lock lock a/b")


def _data():
    workload = {"name": "get_p1", "title": "GET", "driver": "redis-benchmark"}
    idle = {"name": "idle_1000", "title": "idle", "driver": "idle"}
    base = {"workload": "get_p1", "round": 0, "requests_per_second": 1000.0, "p50_ms": 1.0, "p99_ms": 2.0,
            "p999_ms": None, "nodes_us": 3.0, "other_busy": 0.0}
    runs = [{**base, "proxy": "a", "proxy_us": 4.0, "proxy_busy": 0.5},
            {**base, "proxy": "b", "proxy_us": 8.0, "proxy_busy": 0.5, "other_busy": 0.5},
            {"workload": "get_p1", "round": 1, "proxy": "b", "error": "it\nfailed"},
            {"workload": "idle_1000", "round": 0, "proxy": "a", "kib_per_client": 2.5, "rss_mib": 9.0,
             "start_rss_mib": 6.5, "idle_cpu_percent": 0.0}]
    return {"facts": {"Kernel": "1"}, "baseline": "a", "proxies": ["a", "b"], "workloads": [workload, idle],
            "runs": runs}


class ReportTest(unittest.TestCase):
    def test_tables(self):
        text = report.render(_data())
        self.assertIn("| get_p1 | 1.00 | 2.00 |", text)
        self.assertIn("| a | 1,000 | 1.00 | 1.000 | 2.000 |  | 4.00 |", text)
        self.assertIn("| a | 2.50 | 6.5 | 9.0 | 0.00 |", text)

    def test_failures_and_disturbed_runs_are_told(self):
        text = report.render(_data())
        self.assertIn("- b could not: it failed", text)
        self.assertIn("- b, round 1: other processes used 50% of a CPU", text)


class ChartTest(unittest.TestCase):
    def test_is_xml_with_a_bar_per_value(self):
        svg = charts.bar_chart("A & B", "us", [("get", {"a": 1.0, "b": 2000.0}), ("set", {"a": 3.0})],
                               ["a", "b"])
        root = xml.etree.ElementTree.fromstring(svg)
        bars = [element for element in root if element.tag.endswith("rect")
                and element.get("x") == "180"]
        self.assertEqual(len(bars), 3)


if __name__ == "__main__":
    unittest.main()
