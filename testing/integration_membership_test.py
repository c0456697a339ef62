"""Nodes join and leave until none of those that rcproxy was started with is left."""

import os
import time
import unittest

from testing.harness_load import Load
from testing.integration_base import IntegrationTest

SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))


class MembershipTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 5000}
    proxy_flags = {"slots_reload_interval": "1s"}

    def test_every_seed_is_replaced_under_load(self):
        load = Load(self.proxy.address, threads=3, seed=SEED, prefix="member").start()
        for old in list(self.cluster.nodes):
            new = self.cluster.add_node()
            self.cluster.move_all_slots(old, [new])
            self.cluster.wait_until_ok()
            # One refresh by timer, so that rcproxy has learnt of the new node before the old one goes.
            time.sleep(1.5)
            self.cluster.remove_node(old)
            self.cluster.wait_until_ok()
        report = load.stop()
        print(f"seed {SEED}: {report}")
        self.assertEqual(report.problems(), [], f"seed {SEED}")
        self.assertEqual(self.proxy.pid, self.pid)

    def test_a_node_joins_and_takes_its_share(self):
        load = Load(self.proxy.address, threads=2, seed=SEED, prefix="join").start()
        new = self.cluster.add_node()
        for node in self.cluster.primaries():
            self.cluster.migrate_slots(self.cluster.slots_of(node)[::4], node, new)
        report = load.stop()
        self.assertEqual(report.problems(), [], f"seed {SEED}")
        self.assertGreater(new.command("DBSIZE"), 0)


if __name__ == "__main__":
    unittest.main()
