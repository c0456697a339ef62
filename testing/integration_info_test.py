"""INFO as one server of the cluster's size would answer it, WAIT over the primaries a client wrote to, PROXY INFO and
PROXY CLIENTS, on a real cluster with replicas."""

import threading
import time
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import encode


def fields(text):
    return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)


class InfoTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 30000}
    proxy_flags = {"request_timeout": "2s"}

    def setUp(self):
        super().setUp()
        self.cluster.wait_until_ok()

    def info(self, *sections):
        return fields(self.client.ok("INFO", *sections))

    def sum_over_primaries(self, section, field):
        return sum(int(node.info(section, field)) for node in self.cluster.primaries())

    # INFO

    def test_data_is_that_of_all_primaries(self):
        self.client.pipeline([("SET", f"data:{i}", i) for i in range(300)])
        self.client.pipeline([("SET", f"short:{i}", i, "EX", 1000) for i in range(30)])
        keys = self.client.ok("DBSIZE")
        parts = dict(part.split("=") for part in self.info("keyspace")["db0"].split(","))
        self.assertEqual(int(parts["keys"]), keys)
        self.assertEqual(int(parts["expires"]), 30)
        self.assertLessEqual(int(parts["avg_ttl"]), 1000_000)
        hits = self.sum_over_primaries("stats", "keyspace_hits")
        self.client.pipeline([("GET", f"data:{i}") for i in range(300)])
        self.assertEqual(int(self.info("stats")["keyspace_hits"]), hits + 300)
        used = self.sum_over_primaries("memory", "used_memory")
        self.assertTrue(0.7 * used < int(self.info("memory")["used_memory"]) < 1.5 * used)
        gets = sum(int(node.info("commandstats", "cmdstat_get").split(",")[0].split("=")[1])
                   for node in self.cluster.primaries())  # fmt: skip
        self.assertTrue(self.info("commandstats")["cmdstat_get"].startswith(f"calls={gets},"))

    def test_each_node_has_its_latency_and_failures(self):
        self.client.pipeline([("SET", f"latency:{i}", i) for i in range(100)])
        nodes = [dict(part.split("=", 1) for part in line.split(","))
                 for name, line in self.info("nodes").items() if name.startswith("node")]  # fmt: skip
        by_address = {node["addr"]: node for node in nodes}
        for primary in self.cluster.primaries():
            node = by_address[primary.address]
            self.assertTrue(0 < int(node["latency_usec"]) < 5_000_000, node)
            for name in ("connect_failures", "failures", "silences", "refusals"):
                self.assertGreaterEqual(int(node[name]), 0)

    def test_it_looks_like_one_server(self):
        text = self.client.ok("INFO").decode()
        titles = [line[2:] for line in text.split("\r\n") if line.startswith("# ")]
        node = self.cluster.primaries()[0].command("INFO").decode()
        theirs = [line[2:] for line in node.split("\r\n") if line.startswith("# ")]
        self.assertEqual(titles, theirs + ["Proxy", "Nodes"])
        ours = self.info()
        self.assertEqual((ours["redis_mode"], ours["role"], ours["cluster_enabled"]), ("standalone", "master", "0"))
        self.assertEqual(ours["process_id"], str(self.proxy.pid))
        self.assertEqual(ours["connected_slaves"], "3")
        self.assertNotIn("slave0", ours)
        of_node = fields(node.encode())
        # What a node says of its own process, where rcproxy has no counterpart.
        of_data = ("used_", "rdb_", "aof_", "total_", "mem_", "keyspace", "expired_", "allocator_", "instantaneous_")
        self.assertFalse([name for name in set(of_node) - set(ours) if name.startswith(of_data)])
        self.assertEqual(ours["rcproxy_cluster_primaries_answered"], "3")
        roles = [ours[f"node{i}"].split("role=")[1].split(",")[0] for i in range(6)]
        self.assertEqual(sorted(roles), ["master"] * 3 + ["slave"] * 3)

    def test_a_library_understands_it(self):
        for sections in ((), ("all",), ("everything",), ("default", "commandstats")):
            for line in self.client.ok("INFO", *sections).decode().split("\r\n"):
                self.assertTrue(line == "" or line.startswith("# ") or ":" in line, line)

    def test_a_hung_primary_is_left_out_and_sections_of_rcproxy_do_not_wait(self):
        node = self.cluster.primaries()[0]
        self.cluster.pause(node)
        try:
            begin = time.monotonic()
            for sections in (("server",), ("clients",), ("proxy",)):
                self.client.ok("INFO", *sections)
            self.client.ok("PROXY", "INFO")
            self.assertLess(time.monotonic() - begin, 1)
            # It is waited for as long as for any reply.
            info = self.info("keyspace")
            self.assertEqual(info["rcproxy_cluster_primaries_asked"], "3")
            self.assertEqual(info["rcproxy_cluster_primaries_answered"], "2")
        finally:
            self.cluster.resume(node)
        self.cluster.wait_until_ok()

    def test_proxy_info_is_of_rcproxy_alone(self):
        own = fields(self.client.ok("PROXY", "INFO"))
        self.assertEqual(own["process_id"], str(self.proxy.pid))
        self.assertNotIn("db0", own)
        self.assertIn("rcproxy_used_memory_rss", own)

    def test_proxy_clients(self):
        for i in range(4):
            other = self.proxy.client()
            self.addCleanup(other.close)
            other.ok("CLIENT", "SETNAME", "crowd")
        text = self.client.ok("PROXY", "CLIENTS").decode()
        found = fields(text.encode())
        self.assertGreaterEqual(int(found["clients"]), 5)
        names = [value for name, value in found.items() if name.startswith("name")]
        self.assertTrue(any(value.startswith("clients=4,") and value.endswith("name=crowd") for value in names), text)
        self.assertIn("worker1", found)
        self.assertIn("largest0", found)

    def test_latencies_are_those_of_all_primaries(self):
        self.client.pipeline([("HSET", f"latency:{i}", "f", i) for i in range(100)])
        calls = sum(int(node.info("commandstats", "cmdstat_hset").split(",")[0].split("=")[1])
                    for node in self.cluster.primaries())  # fmt: skip
        name, (_, counted, _, times) = self.client.ok("LATENCY", "HISTOGRAM", "hset", "nosuch")
        self.assertEqual((name, counted), (b"hset", calls))
        self.assertEqual(times[-1], calls)
        self.assertEqual(times[1::2], sorted(times[1::2]))

    # WAIT

    def test_replicas_acknowledge_what_was_written(self):
        for key in ("one", "two", "three", "four"):
            begin = time.monotonic()
            self.client.ok("SET", key, "v")
            self.assertEqual(self.client.ok("WAIT", 1, 0), 1)
            self.assertLess(time.monotonic() - begin, 0.5, "not once a second")
        self.assertIn(self.client.ok("WAIT", 0, 0), (0, 1))

    def test_what_all_nodes_are_told_is_not_waited_for(self):
        for told in (("SCRIPT", "LOAD", "return 1"), ("PROXY", "NODES", "CONFIG", "GET", "maxmemory")):
            with self.proxy.client() as client:
                client.ok("SET", "one", "v")
                client.ok(*told)
                self.assertEqual(client.ok("WAIT", 1, 5000), 1, told)

    def test_writes_are_on_the_replicas_when_wait_says_so(self):
        for round_number in range(30):
            keys = [f"{round_number}:{i}" for i in range(20)]
            self.client.pipeline([("SET", key, round_number) for key in keys])
            self.assertEqual(self.client.ok("WAIT", 1, 5000), 1)
            primaries = {key: self.node_of(key) for key in keys[:5]}
            for key, primary in primaries.items():
                replica = self.cluster.replicas(primary)[0]
                replica.command("READONLY")
                self.assertEqual(replica.command("GET", key), str(round_number).encode())

    def test_the_time_is_kept_when_there_are_too_few(self):
        self.client.ok("SET", "few", "v")
        begin = time.monotonic()
        self.assertEqual(self.client.ok("WAIT", 5, 400), 1)
        self.assertTrue(0.39 < time.monotonic() - begin < 0.8, time.monotonic() - begin)

    def test_a_replica_that_hangs_is_not_counted(self):
        primary = self.node_of("hangs")
        elsewhere = next(key for key in map(str, range(100)) if self.node_of(key) is not primary)
        replica = self.cluster.replicas(primary)[0]
        self.client.ok("SET", elsewhere, "v")
        self.cluster.pause(replica)
        try:
            self.assertEqual(self.client.ok("WAIT", 1, 1000), 1, "nothing was written there")
            self.client.ok("SET", "hangs", "v")
            begin = time.monotonic()
            self.assertEqual(self.client.ok("WAIT", 1, 500), 0)
            self.assertTrue(0.49 < time.monotonic() - begin < 1, time.monotonic() - begin)
            with self.proxy.client() as other:
                other.ok("SET", elsewhere, "w")
                self.assertEqual(other.ok("WAIT", 1, 1000), 1)
            waiting = []
            thread = threading.Thread(target=lambda: waiting.append(self.client.ok("WAIT", 1, 0)))
            thread.start()
            time.sleep(0.2)
        finally:
            self.cluster.resume(replica)
        thread.join(20)
        self.assertEqual(waiting, [1])

    def test_client_unblock_and_clients_that_leave(self):
        self.client.ok("SET", "unblock", "v")
        with self.proxy.client() as blocked:
            blocked.ok("SET", "unblock", "w")
            number = blocked.ok("CLIENT", "ID")
            blocked.send(encode("WAIT", 9, 0))
            time.sleep(0.2)
            self.assertEqual(self.client.ok("CLIENT", "UNBLOCK", number), 1)
            self.assertEqual(blocked.read_reply(), 1)
            blocked.send(encode("WAIT", 9, 0))
            time.sleep(0.2)
            self.assertEqual(self.client.ok("CLIENT", "UNBLOCK", number, "ERROR"), 1)
            self.assert_error(blocked.read_reply(), "UNBLOCKED client unblocked via CLIENT UNBLOCK")
            blocked.send(encode("WAIT", 9, 0))
            time.sleep(0.2)
        with self.proxy.client() as half:
            half.ok("SET", "unblock", "x")
            half.send(encode("WAIT", 9, 0))
            half.half_close()
            self.assertRegex(half.read_to_end(), rb"^(:[01]\r\n)?$")  # What the replicas had until then.
        self.eventually(lambda: self.info("proxy")["rcproxy_own_connections"] == "0")

    def test_errors_are_the_servers(self):
        node = self.cluster.primaries()[0]
        for command in (("WAIT",), ("WAIT", "x", 0), ("WAIT", 1, "x"), ("WAIT", 1, -1)):
            theirs = node.pipeline([command])[0]
            self.assertEqual(self.client.command(*command).text, theirs.text, command)
        self.assertEqual(self.client.ok("WAIT", -1, 0), 1)
        self.client.ok("MULTI")
        self.assert_error(self.client.command("WAIT", 1, 0), "ERR Command not allowed inside a transaction")
        self.assert_error(self.client.command("EXEC"), "EXECABORT")

    def test_after_a_failover_it_says_once_that_it_does_not_know(self):
        primary = self.node_of("failover")
        replica = self.cluster.replicas(primary)[0]
        self.client.ok("SET", "failover", "v")
        self.assertEqual(self.client.ok("WAIT", 1, 5000), 1)
        self.cluster.failover(replica, "TAKEOVER")
        self.cluster.wait_until_ok()
        self.eventually(lambda: not isinstance(self.client.command("SET", "{failover}2", "v"), Exception))
        self.assert_error(self.client.command("WAIT", 1, 1000), "ERR upstream lost")
        self.client.ok("SET", "failover", "w")
        self.assertEqual(self.client.ok("WAIT", 1, 5000), 1)


if __name__ == "__main__":
    unittest.main()
