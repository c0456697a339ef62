"""SCAN over the cluster: nothing that was there all the time is missed, also while slots move, primaries fail over, and
each page is asked of another rcproxy."""

import itertools
import os
import random
import threading
import time
import unittest

from testing.integration_base import IntegrationTest
from testing.rcproxy_process import RcproxyProcess
from testing.resp_client import Disconnected, RespError

SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))
KEYS = 3000
SECONDS = 8


def scan(clients, *options):
    """All keys that a whole scan gives, as a list; each page is asked of the next client."""
    found, cursor = [], b"0"
    for client in itertools.cycle(clients):
        cursor, keys = client.ok("SCAN", cursor, *options)
        found += keys
        if cursor == b"0":
            return found


def fill(client, prefix):
    names = [f"{prefix}:{index}".encode() for index in range(KEYS)]
    for first in range(0, KEYS, 500):
        client.ok("MSET", *(part for name in names[first : first + 500] for part in (name, 1)))
    return set(names)


class Noise(threading.Thread):
    """Writes and deletes keys that no scan has to find."""

    def __init__(self, proxy):
        super().__init__(daemon=True)
        self.proxy, self.stopping = proxy, False
        self.start()

    def run(self):
        index = 0
        while not self.stopping:
            try:
                with self.proxy.client() as client:
                    while not self.stopping:
                        index += 1
                        old = (index + 250) % 500
                        client.pipeline([("SET", f"noise:{index % 500}", index), ("DEL", f"noise:{old}")])
            except (OSError, Disconnected):
                pass

    def stop(self):
        self.stopping = True
        self.join()


class ScanTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 5000}

    def test_every_key_once_while_nothing_moves(self):
        self.client.ok("FLUSHALL")
        names = fill(self.client, "still")
        for options in ((), ("COUNT", 1), ("COUNT", 700), ("COUNT", 100000)):
            self.assertEqual(sorted(scan([self.client], *options)), sorted(names), options)

    def test_options(self):
        self.client.ok("FLUSHALL")
        self.client.ok("RPUSH", "list", 1)
        self.client.ok("SADD", "set", 1)
        self.client.ok("SET", "Other", 1)
        self.assertEqual(scan([self.client], "TYPE", "list"), [b"list"])
        self.assertEqual(scan([self.client], "MATCH", "[ls]*t", "TYPE", "SET"), [b"set"])
        self.assertEqual(scan([self.client], "MATCH", "o*"), [])
        self.assertEqual(scan([self.client], "TYPE", "stream"), [])
        with self.proxy.client() as client:
            client.ok("HELLO", 3)
            self.assertEqual(sorted(scan([client])), [b"Other", b"list", b"set"])
            self.assertEqual(scan([client], "TYPE", "list"), [b"list"])

    def test_errors_are_the_servers(self):
        node = self.cluster.nodes[0]
        for command in (("x",), ("0x",), ("-",), ("99999999999999999999999",), (0, "COUNT", 0), (0, "COUNT", "x"),
                        (0, "COUNT"), (0, "NONSENSE", 1), (0, "MATCH"), (0, "COUNT", 1, 2), (), (0, "TYPE")):
            with self.assertRaises(RespError) as theirs:
                node.command("SCAN", *command)
            self.assertEqual(self.client.command("SCAN", *command), theirs.exception, command)

    def test_a_cursor_is_valid_on_any_rcproxy(self):
        self.client.ok("FLUSHALL")
        names = fill(self.client, "fleet")
        other = RcproxyProcess(self.cluster.addresses(), {"workers": 1})
        other.start()
        try:
            with other.client() as second:
                self.assertEqual(sorted(scan([self.client, second])), sorted(names))
        finally:
            other.stop()
            other.end()
            other.remove()

    def test_random_key_finds_the_only_one(self):
        self.client.ok("FLUSHALL")
        self.assertIsNone(self.client.command("RANDOMKEY"))
        for name in (b"a", b"b", b"c"):
            self.client.ok("SET", name, 1)
            for _ in range(20):
                self.assertEqual(self.client.command("RANDOMKEY"), name)
            self.client.ok("DEL", name)

    def test_nothing_is_missed_while_slots_move(self):
        generator = random.Random(SEED)
        self.client.ok("FLUSHALL")
        names = fill(self.client, "move")
        noise, moves, scans = Noise(self.proxy), [0], 0
        stop = threading.Event()

        def move():
            while not stop.is_set():
                self.cluster.migrate_random_slot(generator, pause_s=0.001)
                moves[0] += 1

        mover = threading.Thread(target=move)
        mover.start()
        clients = [self.proxy.client() for _ in range(4)]
        try:
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                found = set(scan(clients, "COUNT", generator.choice((10, 100, 1000))))
                self.assertEqual(sorted(names - found), [], f"seed {SEED}, scan {scans}")
                scans += 1
        finally:
            stop.set()
            mover.join()
            noise.stop()
            for client in clients:
                client.close()
        print(f"seed {SEED}: {scans} scans, {moves[0]} slots moved")
        self.assertGreater(scans, 1)
        self.assertGreater(moves[0], 20)

    def test_slots_that_stay_half_moved(self):
        self.client.ok("FLUSHALL")
        names = {b"{b}%d" % index for index in range(50)} | {b"{c}1"}
        self.client.ok("MSET", *(part for name in names for part in (name, 1)))
        slot = self.client.ok("CLUSTER", "KEYSLOT", "b")
        source, target = self.owner_and_another("b")
        self.cluster.begin_migration(slot, source, target)
        self.cluster.move_keys(slot, source, target, count=20)
        self.assertEqual(sorted(set(scan([self.client]))), sorted(names))
        self.cluster.move_keys(slot, source, target)
        self.assertEqual(sorted(set(scan([self.client]))), sorted(names))
        self.cluster.finish_migration(slot, source, target)
        self.assertEqual(sorted(set(scan([self.client]))), sorted(names))


class ScanFailoverTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1}
    proxy_flags = {"request_timeout": "15s"}

    def test_nothing_is_missed_while_primaries_change(self):
        names = fill(self.client, "fail")
        time.sleep(1.5)  # The replicas have everything.
        stop, scans = threading.Event(), 0

        def trouble():
            for replica in self.cluster.replicas():
                self.cluster.failover(replica)
            lost = self.cluster.primaries()[0]
            self.cluster.kill(lost)
            self.cluster.wait_for_promotion(lost)
            stop.set()

        troubled = threading.Thread(target=trouble)
        troubled.start()
        while not stop.is_set() or scans < 3:
            found = set(scan([self.client], "COUNT", 100))
            self.assertEqual(sorted(names - found), [], f"scan {scans}")
            scans += 1
        troubled.join()
        print(f"{scans} scans")


if __name__ == "__main__":
    unittest.main()
