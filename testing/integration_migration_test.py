"""Slots move at random while writers and readers check every reply: no wrong reply, and no error at all."""

import os
import random
import time
import unittest

from testing.harness_load import Load
from testing.integration_base import IntegrationTest
from testing.resp_client import RespError

SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))
SECONDS = 10


class MigrationTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 5000}

    def check(self, load):
        report = load.stop()
        print(f"seed {SEED}: {report}")
        self.assertEqual(report.problems(), [], f"seed {SEED}")
        self.assertGreater(report.requests, 500)

    def slots_of_keys(self):
        """Slots that hold keys now, by the node that owns them."""
        found = {}
        for node in self.cluster.primaries():
            slots = self.cluster.slots_of(node)
            counts = node.pipeline([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in slots])
            found[node] = [slot for slot, count in zip(slots, counts) if count > 0]
        return found

    def test_random_slots_move_under_load(self):
        generator = random.Random(SEED)
        load = Load(self.proxy.address, seed=SEED, prefix="random").start()
        end = time.monotonic() + SECONDS
        moves = 0
        while time.monotonic() < end:
            for node, slots in self.slots_of_keys().items():
                target = generator.choice([other for other in self.cluster.primaries() if other is not node])
                for slot in generator.sample(slots, min(len(slots), 20)):
                    self.cluster.migrate_slot(slot, node, target)
                    moves += 1
        print(f"moved {moves} slots with keys")
        self.check(load)
        self.assertGreater(moves, 50)

    def test_slots_stay_half_moved_for_a_while(self):
        generator = random.Random(SEED)
        load = Load(self.proxy.address, seed=SEED, prefix="half").start()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            node, slots = max(self.slots_of_keys().items(), key=lambda item: len(item[1]))
            target = generator.choice([other for other in self.cluster.primaries() if other is not node])
            slot = generator.choice(slots)
            self.cluster.begin_migration(slot, node, target)
            time.sleep(0.02)
            self.cluster.move_keys(slot, node, target, count=1)
            time.sleep(0.02)
            self.cluster.move_keys(slot, node, target)
            time.sleep(0.02)
            self.cluster.migrate_slot(slot, node, target)
        self.check(load)

    def test_a_slot_that_stays_half_moved_is_served_by_ask(self):
        self.client.ok("SET", "{ask}1", "a")
        self.client.ok("SET", "{ask}2", "b")
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{ask}")
        source, target = self.owner_and_another("{ask}")
        self.cluster.begin_migration(slot, source, target)
        self.assertEqual(self.client.command("GET", "{ask}1"), b"a")
        self.assertIsNone(self.client.command("GET", "{ask}none"))
        self.assertEqual(self.client.command("SET", "{ask}3", "c"), "OK")
        source.command("MIGRATE", target.host, target.port, "{ask}1", 0, 10000)
        self.assertEqual(self.client.command("GET", "{ask}1"), b"a")
        self.assertEqual(self.client.command("GET", "{ask}2"), b"b")
        self.assertEqual(self.client.pipeline([("GET", f"{{ask}}{i % 3 + 1}") for i in range(300)]),
                         [b"a", b"b", b"c"] * 100)
        self.cluster.migrate_slot(slot, source, target)
        self.assertEqual(self.client.command("MGET", "{ask}3", "{ask}2", "{ask}1"), [b"c", b"b", b"a"])

    def test_a_slot_that_stays_half_moved_is_served_key_by_key(self):
        keys = [f"{{half}}{i}" for i in range(8)]
        command = self.client.command
        command("MSET", *[word for key in keys for word in (key, "old")])
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{half}")
        source, target = self.owner_and_another("{half}")
        self.cluster.begin_migration(slot, source, target)
        for key in keys[::2]:
            source.command("MIGRATE", target.host, target.port, key, 0, 10000)
        with self.assertRaisesRegex(RespError, "TRYAGAIN"):
            source.command("MGET", *keys)
        self.assertEqual(command("MGET", *keys, "{half}none", "other"), [b"old"] * 8 + [None, None])
        self.assertEqual(command("EXISTS", *keys, "{half}none", keys[0]), 9)
        self.assertEqual(command("TOUCH", keys[0], keys[1]), 2)
        self.assertEqual(command("MSET", *[word for key in keys[2:] for word in (key, "new")]), "OK")
        self.assertEqual(command("DEL", keys[6], keys[7], "{half}none"), 2)
        self.assertEqual(command("MGET", *keys), [b"old"] * 2 + [b"new"] * 4 + [None] * 2)
        self.cluster.migrate_slot(slot, source, target)
        self.assertEqual(command("MGET", *keys), [b"old"] * 2 + [b"new"] * 4 + [None] * 2)
        self.assertEqual(target.command("MGET", *keys), [b"old"] * 2 + [b"new"] * 4 + [None] * 2)

    def test_everything_moves_at_once(self):
        load = Load(self.proxy.address, seed=SEED, prefix="all").start()
        source, *targets = self.cluster.primaries()
        self.cluster.move_all_slots(source, targets)
        self.check(load)
        for target in targets:
            self.cluster.migrate_slots(self.cluster.slots_of(target)[::3], target, source)


if __name__ == "__main__":
    unittest.main()
