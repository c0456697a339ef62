"""The faults of benchmarks/failover, done to a real cluster."""

import unittest

from benchmarks.comparison.servers import key_slot
from benchmarks.outage import faults
from testing.cluster import Cluster


class FaultsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(3, 1, node_timeout_ms=1000))

    def test_each_hands_over_the_affected_slots_and_is_healed(self):
        for name, fault in faults.FAULTS.items():
            with self.subTest(name):
                scene = faults.Scene(self.cluster)
                slots = faults.affected_slots(fault, scene)
                probe = next(key for key in (b"%d" % i for i in range(1 << 20)) if key_slot(key) in set(slots))
                self.assertGreater(fault(scene, probe), 0)
                faults.heal(scene)
                self.assertTrue(self.cluster.is_ok())
                self.assertFalse(set(slots) & set(self.cluster.slots_of(scene.victim)))
                self.assertEqual(len(self.cluster.replicas()), 3)


if __name__ == "__main__":
    unittest.main()
