"""Random faults under checking load: a short run of what testing/chaos does for as long as one likes."""

import os
import unittest

from testing.chaos_faults import Chaos, RemoteCluster
from testing.integration_base import IntegrationTest
from testing.relay import Relay

SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))
SECONDS = float(os.environ.get("RCPROXY_CHAOS_SECONDS", "12"))


class ChaosTestBase(IntegrationTest):
    proxy_flags = {"request_timeout": "3s"}

    def assert_clean(self, result):
        print(f"seed {SEED}: {result.report}")
        repeat = f"repeat: testing/chaos --seed={SEED} --seconds={SECONDS:g}"
        self.assertEqual(result.problems, [], "\n".join(result.faults + [repeat]))
        self.assertGreater(len(result.faults), 0)
        self.assertGreater(result.report.requests, 0)


class ChaosTest(ChaosTestBase):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 1000}

    @classmethod
    def flags(cls):
        cls.relay = cls.enterClassContext(Relay(cls.cluster.addresses(), SEED))
        return {"node_addresses": cls.relay.node_addresses(), **cls.proxy_flags}

    def test_every_kind_of_fault(self):
        self.assert_clean(Chaos(self.cluster, self.proxy.address, SEED, relay=self.relay).run(SECONDS))

    def test_what_can_be_done_to_a_cluster_of_somebody_else(self):
        cluster = RemoteCluster(self.cluster.addresses()[0])
        self.addCleanup(cluster.stop)
        self.assertEqual(len(cluster.nodes), 6)
        faults = ["migrate", "failover", "kill_connections"]
        # Nothing of that may lose a write.
        result = Chaos(cluster, self.proxy.address, SEED, faults).run(SECONDS / 3)
        self.assert_clean(result)
        self.assertEqual(result.report.lost_writes, 0)


class ReplacementTest(ChaosTestBase):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 1000}

    def test_until_none_of_the_first_nodes_is_left(self):
        chaos = Chaos(self.cluster, self.proxy.address, SEED, ["replace"])
        result = chaos.run(60, is_enough=lambda: not chaos.originals())
        self.assert_clean(result)
        self.assertEqual(chaos.originals(), [])
        self.assertEqual(result.report.lost_writes, 0)


if __name__ == "__main__":
    unittest.main()
