"""The cluster map is what its nodes agree on: a stranger among the first nodes, or one that hangs, changes nothing."""

import os
import time
import unittest

from testing.cluster import Cluster
from testing.harness_load import Load
from testing.integration_base import IntegrationTest, counter
from testing.rcproxy_process import RcproxyProcess

SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))


class AgreementTest(IntegrationTest):
    # A failover by timeout is not to be: a node hangs for longer than any test takes.
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 60000}
    proxy_flags = {"slots_reload_interval": "200ms"}

    def tearDown(self):
        for node in self.cluster.nodes:
            if node.paused:
                self.cluster.resume(node)
        self.cluster.wait_until_ok(60)
        super().tearDown()

    def test_a_node_of_another_cluster_among_the_first_nodes(self):
        with Cluster(primaries=1, replicas_per_primary=0) as other:
            other.nodes[0].command("CLUSTER", "BUMPEPOCH")
            first_nodes = other.addresses() + self.cluster.addresses()[:3]
            # Whose answer comes first differs from start to start.
            for start in range(5):
                proxy = RcproxyProcess(first_nodes, {"workers": 1, "slots_reload_interval": "100ms"})
                with proxy, proxy.client() as client:
                    for index in range(100):
                        self.assertEqual(client.command("SET", f"stranger:{start}:{index}", index), "OK")
                        time.sleep(0.002)
                self.assertEqual(other.nodes[0].command("DBSIZE"), 0)

    def test_a_hanging_primary_delays_no_news_of_others(self):
        first, second = self.cluster.primaries()[:2]
        keys = [f"news:{index}" for index in range(2000)]
        hung_slots = set(self.cluster.slots_of(first))
        keys = [key for key in keys if second.command("CLUSTER", "KEYSLOT", key) not in hung_slots][:50]
        replica = self.cluster.replicas(second)[0]
        self.cluster.pause(first)
        self.cluster.failover(replica, "TAKEOVER")
        refreshes = counter(self.client, "topology_refreshes")
        for key in keys:
            self.assertEqual(self.client.command("SET", key, "1"), "OK")
        self.eventually(
            lambda: counter(self.client, "topology_refreshes") >= refreshes + 3,
            timeout_s=20,
            message="the map is read on while a node hangs",
        )
        self.assertIn(f"{replica.address}".encode(), self.client.command("INFO", "nodes"))

    def test_failovers_one_after_another_lose_nothing(self):
        load = Load(self.proxy.address, seed=SEED, prefix="agree").start()
        for primary in self.cluster.primaries():
            self.cluster.failover(self.cluster.replicas(primary)[0])
            self.cluster.wait_until_ok()
        report = load.stop()
        print(f"seed {SEED}: {report}")
        self.assertEqual(report.problems(), [], f"seed {SEED}")


if __name__ == "__main__":
    unittest.main()
