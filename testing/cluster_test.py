"""The cluster that the integration tests rely on: it forms, moves slots, fails over, grows and shrinks."""

import os
import unittest

from testing.cluster import Cluster, ClusterError
from testing.resp_client import RespError


class ClusterTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(primaries=3, replicas_per_primary=1, node_timeout_ms=1000)
        cls.addClassCleanup(cls.cluster.stop)
        cls.cluster.start()

    def setUp(self):
        self.cluster.wait_until_ok()

    def test_slots_are_covered_once(self):
        slots = sorted(slot for node in self.cluster.primaries() for slot in self.cluster.slots_of(node))
        self.assertEqual(slots, list(range(16384)))

    def test_a_slot_moves_with_its_keys(self):
        source, target = self.cluster.primaries()[:2]
        slot = self.cluster.slots_of(source)[7]
        key = next(f"k{i}" for i in range(200_000) if _slot(f"k{i}") == slot)
        source.command("SET", key, "v")
        self.cluster.begin_migration(slot, source, target)
        with self.assertRaisesRegex(RespError, f"ASK {slot} {target.address}"):
            source.command("GET", f"{{{key}}}missing")
        self.assertEqual(self.cluster.move_keys(slot, source, target), 1)
        self.cluster.migrate_slot(slot, source, target)
        with self.assertRaisesRegex(RespError, f"MOVED {slot} {target.address}"):
            source.command("GET", key)
        self.assertEqual(target.command("GET", key), b"v")
        self.cluster.migrate_slots([slot], target, source)
        self.assertEqual(source.command("GET", key), b"v")

    def test_planned_failover_swaps_roles(self):
        primary = self.cluster.primaries()[0]
        replica = self.cluster.replicas(primary)[0]
        self.cluster.failover(replica)
        self.cluster.wait_until_ok()
        self.assertIn(replica, self.cluster.primaries())
        self.assertIn(primary, self.cluster.replicas(replica))

    def test_killed_primary_is_replaced_and_comes_back_as_replica(self):
        victim = self.cluster.primaries()[0]
        heir = self.cluster.replicas(victim)[0]
        self.cluster.kill(victim)
        self.cluster.wait_for_promotion(victim)
        self.assertIn(heir, self.cluster.primaries())
        self.cluster.restart(victim)
        self.cluster.wait_until_ok()
        self.assertIn(victim, self.cluster.replicas(heir))

    def test_nodes_join_and_leave(self):
        joined = self.cluster.add_node()
        source = self.cluster.primaries()[0]
        self.cluster.migrate_slots(self.cluster.slots_of(source)[:300], source, joined)
        self.assertEqual(len(self.cluster.slots_of(joined)), 300)
        with self.assertRaises(ClusterError):
            self.cluster.remove_node(joined)
        self.cluster.move_all_slots(joined, [source])
        self.cluster.remove_node(joined)
        self.cluster.wait_until_ok()
        self.assertNotIn(joined.id, self.cluster.view())

    def test_stop_leaves_no_process_and_no_folder(self):
        with Cluster(primaries=1, replicas_per_primary=0) as other:
            process = other.nodes[0].process
            self.assertTrue(os.path.isdir(other.directory))
        self.assertIsNotNone(process.poll())
        self.assertFalse(os.path.exists(other.directory))


def _slot(key):
    crc = 0
    for byte in key.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc % 16384


if __name__ == "__main__":
    unittest.main()
