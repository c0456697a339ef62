"""Primaries go, planned and unplanned, under load. rcproxy is never restarted and never gives a wrong reply.

A planned failover loses nothing and shows no error. A crash may lose acknowledged writes, since replication is
asynchronous, and gives errors until a replica is promoted; but no reply belongs to another request, and soon
after the cluster is ok again everything succeeds.
"""

import contextlib
import os
import re
import time
import unittest

from testing.harness_load import Load
from testing.integration_base import IntegrationTest
from testing.rcproxy_process import RcproxyProcess
from testing.resp_client import encode

SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))

# What clients may see while a part of the cluster has no primary.
DOCUMENTED_ERRORS = re.compile(r"CLUSTERDOWN |LOADING |ERR upstream ")


class FailoverTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 1000}
    proxy_flags = {"request_timeout": "2s"}

    def tearDown(self):
        # The next case starts with a cluster in which every primary has its replica.
        for node in self.cluster.nodes:
            if node.paused:
                self.cluster.resume(node)
            if not node.is_running():
                self.cluster.restart(node)
        self.cluster.wait_until_ok(60)
        super().tearDown()

    def assert_clean(self, report):
        print(f"seed {SEED}: {report}")
        self.assertEqual(report.problems(allow_errors=True), [], f"seed {SEED}")

    def check_recovery(self, lost, load, window):
        """After the cluster is ok, no error may come later than one second on, and nothing is lost any more."""
        self.cluster.wait_for_promotion(lost)
        window.end()
        ok_at = time.monotonic()
        time.sleep(4)
        report = load.stop()
        self.assert_clean(report)
        for text in report.errors:
            self.assertRegex(text, DOCUMENTED_ERRORS)
        self.assertLess(report.last_error_at - ok_at, 1.0, "errors after the recovery")
        with_new_client = Load(self.proxy.address, seed=SEED, prefix="after").start()
        time.sleep(1)
        after = with_new_client.stop()
        self.assert_clean(after)
        self.assertEqual(dict(after.errors), {})

    def test_planned_failover_loses_nothing(self):
        load = Load(self.proxy.address, seed=SEED, prefix="planned").start()
        time.sleep(0.5)
        for primary in self.cluster.primaries():
            self.cluster.failover(self.cluster.replicas(primary)[0])
            self.cluster.wait_until_ok()
            time.sleep(0.3)
        report = load.stop()
        self.assert_clean(report)
        self.assertEqual((dict(report.errors), report.lost_writes), ({}, 0))

    def test_killed_primary(self):
        load = Load(self.proxy.address, seed=SEED, prefix="killed").start()
        time.sleep(1)
        victim = self.cluster.primaries()[0]
        window = load.may_lose(self.cluster.slots_of(victim))
        self.cluster.kill(victim)
        self.check_recovery(victim, load, window)

    def test_hung_primary_comes_back_as_replica(self):
        load = Load(self.proxy.address, seed=SEED, prefix="hung").start()
        time.sleep(1)
        victim = self.cluster.primaries()[0]
        window = load.may_lose(self.cluster.slots_of(victim))
        self.cluster.pause(victim)
        self.cluster.wait_for_promotion(victim)
        # Its late answers must find nobody: they belong to requests that were given up.
        self.cluster.resume(victim)
        self.check_recovery(victim, load, window)

    def test_killed_replica_disturbs_nobody(self):
        load = Load(self.proxy.address, seed=SEED, prefix="replica").start()
        time.sleep(0.5)
        self.cluster.kill(self.cluster.replicas()[0])
        time.sleep(3)
        report = load.stop()
        self.assert_clean(report)
        self.assertEqual(dict(report.errors), {})

    def test_idempotent_writes_that_were_lost_are_sent_again(self):
        victim = self.cluster.primaries()[0]
        key = next(key for key in (f"again:{i}" for i in range(100)) if self.node_of(key) is victim)
        flags = {"workers": 1, "request_timeout": "30s", "retry_idempotent_writes": "true"}
        with RcproxyProcess(self.cluster.addresses(), flags) as proxy, proxy.client() as client:
            client.ok("SET", key, 0)
            self.cluster.pause(victim)
            client.send(encode("SET", key, 1, "EX", 100) + encode("INCR", key + ":other{" + key + "}"))
            with proxy.client() as other:
                in_flight = re.compile(rb"rcproxy_requests_in_flight:(\d+)")
                self.eventually(lambda: int(in_flight.search(other.command("PROXY", "INFO"))[1]) >= 2)
            # It has both commands, and executes neither.
            self.cluster.kill(victim)
            victim.paused = False
            self.assertEqual(client.read_reply(), "OK")
            self.assert_error(client.read_reply(), "ERR upstream lost")
            self.assertEqual(client.command("GET", key), b"1")

    def test_who_blocks_waits_on_where_nothing_can_be_lost_or_the_flag_says_so(self):
        victim = next(node for node in self.cluster.primaries() if node is not self.cluster.nodes[0])
        tag = next(tag for tag in (f"{{waits:{i}}}" for i in range(100)) if self.node_of(tag) is victim)
        pop = encode("BLPOP", tag, 0)
        read = encode("XREAD", "BLOCK", 0, "STREAMS", tag + "stream", "$")
        flags = {"workers": 1, "request_timeout": "30s"}
        with contextlib.ExitStack() as stack:
            plain, flagged = (
                stack.enter_context(RcproxyProcess(self.cluster.addresses(), {**flags, "retry_blocking_pops": value}))
                for value in ("false", "true")
            )
            told, reading, waiting = (stack.enter_context(proxy.client()) for proxy in (plain, plain, flagged))
            for client, command in ((told, pop), (reading, read), (waiting, pop)):
                client.send(command)
            self.eventually(lambda: victim.info("clients", "blocked_clients") == "3")
            self.cluster.kill(victim)
            self.assert_error(told.read_reply(), "ERR upstream lost")
            self.cluster.wait_for_promotion(victim)
            self.eventually(lambda: self.node_of(tag).info("clients", "blocked_clients") == "2")
            self.client.ok("RPUSH", tag, "element")
            self.client.ok("XADD", tag + "stream", "1-1", "field", "value")
            self.assertEqual(waiting.read_reply(), [tag.encode(), b"element"])
            self.assertEqual(reading.read_reply(), [[tag.encode() + b"stream", [[b"1-1", [b"field", b"value"]]]]])
        self.cluster.restart(victim)
        self.cluster.wait_until_ok(60)

    def test_restarted_primary(self):
        self.client.ok("SET", "restart", "before")
        victim = self.node_of("restart")
        self.cluster.kill(victim)
        self.cluster.wait_for_promotion(victim)
        self.assertEqual(self.client.command("SET", "restart", "after"), "OK")
        self.cluster.restart(victim)
        self.cluster.wait_until_ok(60)
        self.assertEqual(self.client.command("GET", "restart"), b"after")


if __name__ == "__main__":
    unittest.main()
