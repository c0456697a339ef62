"""Who serves reads: --read_prefer, --replica_addr, --read_your_writes, and what happens when a replica goes."""

import os
import tempfile
import time
import unittest

from testing.integration_base import IntegrationTest, counter
from testing.rcproxy_process import RcproxyProcess
from testing.resp_client import RespClient, encode


class ReplicaTest(IntegrationTest):
    cluster_options = {"primaries": 1, "replicas_per_primary": 2, "node_timeout_ms": 2000}
    proxy_flags = {"workers": 1}

    def setUp(self):
        super().setUp()
        self.primary = self.cluster.primaries()[0]
        self.client.ok("SET", "k", "v")
        self.assertEqual(self.primary.command("WAIT", 2, 10000), 2)

    def start_proxy(self, **flags):
        """Another rcproxy, whose map has both replicas."""
        proxy = RcproxyProcess(self.cluster.addresses(), {"workers": 1, "slots_reload_interval": "100ms", **flags})
        proxy.start()
        self.addCleanup(proxy.remove)
        self.addCleanup(proxy.stop)
        return proxy

    def connect(self, address):
        client = RespClient(address)
        self.addCleanup(client.close)
        return client

    def gets(self):
        """How many GETs each node has executed."""
        counts = {}
        for node in self.cluster.running():
            statistics = node.info("commandstats", "cmdstat_get")
            counts[node.port] = int(statistics.split("calls=")[1].split(",")[0]) if statistics else 0
        return counts

    def served(self, client, times=30):
        """Which share of its reads the primary and the replicas serve."""
        before = self.gets()
        for _ in range(times):
            self.assertEqual(client.ok("GET", "k"), b"v")
        after = self.gets()
        by_node = {port: after[port] - before[port] for port in after}
        self.assertEqual(sum(by_node.values()), times, by_node)
        by_primary = by_node.pop(self.primary.port)
        return by_primary, sorted(by_node.values())

    def wait_for_copies(self, client, condition):
        """Replicas are in the map when they have caught up, which nodes tell one another first."""
        self.eventually(lambda: condition(*self.served(client)), message="all copies serve that may")

    def test_preferences(self):
        cases = {
            "primary": lambda primary, replicas: (primary, replicas) == (30, [0, 0]),
            "prefer_primary": lambda primary, replicas: (primary, replicas) == (30, [0, 0]),
            "replica": lambda primary, replicas: (primary, replicas) == (0, [15, 15]),
            "prefer_replica": lambda primary, replicas: (primary, replicas) == (0, [15, 15]),
            "1": lambda primary, replicas: (primary, replicas) == (0, [15, 15]),
            "any": lambda primary, replicas: (primary, replicas) == (10, [10, 10]),
            "nearest": lambda primary, replicas: primary + sum(replicas) == 30,
        }
        for preference, condition in cases.items():
            with self.subTest(preference):
                client = self.connect(self.start_proxy(read_prefer=preference).address)
                self.wait_for_copies(client, condition)
                client.ok("READWRITE")
                self.assertEqual(self.served(client), (30, [0, 0]))

    def test_clients_of_replica_addr_read_from_replicas(self):
        with tempfile.TemporaryDirectory(prefix="rcproxy-replica-") as directory:
            path = os.path.join(directory, "readers.sock")
            proxy = self.start_proxy(replica_addr=path)
            reader = self.connect(path)
            self.wait_for_copies(reader, lambda primary, replicas: (primary, replicas) == (0, [15, 15]))
            self.assertEqual(self.served(self.connect(proxy.address)), (30, [0, 0]))
            reader.ok("READWRITE")
            self.assertEqual(self.served(reader), (30, [0, 0]))
            self.assertEqual(reader.ok("RESET"), "RESET")
            by_primary, by_replicas = self.served(reader)
            self.assertEqual(by_primary, 0)
            self.assertGreater(by_replicas[0], 10, f"turns start anew with each map: {by_replicas}")
            self.assertEqual(reader.ok("SET", "k", "v"), "OK")
            proxy.stop()

    def test_clients_of_replica_addr_may_have_a_policy_of_their_own(self):
        cases = {
            "any": lambda primary, replicas: (primary, replicas) == (10, [10, 10]),
            "primary": lambda primary, replicas: (primary, replicas) == (30, [0, 0]),
        }
        for preference, condition in cases.items():
            with self.subTest(preference), tempfile.TemporaryDirectory(prefix="rcproxy-replica-") as directory:
                path = os.path.join(directory, "readers.sock")
                flags = {"read_prefer": "prefer_replica", "replica_addr": path, "replica_read_prefer": preference}
                proxy = self.start_proxy(**flags)
                self.wait_for_copies(self.connect(path), condition)
                self.wait_for_copies(self.connect(proxy.address), lambda primary, replicas: primary == 0)
                proxy.stop()

    def test_a_client_reads_its_writes(self):
        client = self.connect(self.start_proxy(read_prefer="replica", read_your_writes="10s").address)
        self.wait_for_copies(client, lambda primary, replicas: (primary, replicas) == (0, [15, 15]))
        for index in range(200):
            replies = client.pipeline([("SET", f"own:{index}", index), ("GET", f"own:{index}")])
            self.assertEqual(replies, ["OK", str(index).encode()])
        self.assertEqual(self.served(client), (30, [0, 0]))

    def freeze(self, replica):
        """The replica goes on serving what it has, and gets nothing new: its primary refuses its password."""
        self.assertEqual(replica.command("CONFIG", "SET", "masterauth", "unknown"), "OK")
        self.assertEqual(replica.command("CLIENT", "KILL", "TYPE", "master"), 1)
        self.addCleanup(self.thaw, replica)

    def thaw(self, replica):
        self.assertEqual(replica.command("CONFIG", "SET", "masterauth", ""), "OK")

    def assert_reads_its_writes(self, client, times):
        for index in range(times):
            self.assertEqual(client.ok("SET", "k", f"{times}:{index}"), "OK")
            self.assertEqual(client.ok("GET", "k"), f"{times}:{index}".encode())
            replies = client.pipeline([("SET", "k", index), ("GET", "k"), ("MGET", "k", "other")])
            self.assertEqual(replies, ["OK", str(index).encode(), [str(index).encode(), None]])

    def test_a_client_reads_its_writes_by_offset(self):
        proxy = self.start_proxy(read_prefer="replica", read_your_writes="offset")
        client, reader = self.connect(proxy.address), self.connect(proxy.address)
        self.wait_for_copies(client, lambda primary, replicas: (primary, replicas) == (0, [15, 15]))
        self.assert_reads_its_writes(client, 1500)
        # Each round ends with replicas that serve the client, from where the next write has to take it away.
        for _ in range(20):
            client.ok("SET", "k", "v")
            self.wait_for_copies(client, lambda primary, replicas: (primary, replicas) == (0, [15, 15]))
            self.assert_reads_its_writes(client, 5)
        # Replicas that are behind and do not know it.
        client.ok("SET", "k", "v")
        self.assertEqual(self.primary.command("WAIT", 2, 10000), 2)
        for replica in self.cluster.replicas():
            self.freeze(replica)
        self.assert_reads_its_writes(client, 100)
        client.ok("SET", "k", "new")
        self.assertEqual(reader.ok("GET", "k"), b"v", "who has written nothing reads from a replica")
        # For as long as several questions take, which the replicas answer.
        asked = counter(client, "replication_questions")
        while counter(client, "replication_questions") < asked + 5:
            self.assertEqual(client.ok("GET", "k"), b"new")
        self.assertGreater(counter(client, "reads_kept_from_replicas"), 0)
        client.ok("SET", "k", "v")
        for replica in self.cluster.replicas():
            self.thaw(replica)
        self.wait_for_copies(client, lambda primary, replicas: (primary, replicas) == (0, [15, 15]))
        self.assertEqual(counter(client, "replication_questions_failed"), 0)

    def test_a_hanging_replica_is_not_waited_for(self):
        proxy = self.start_proxy(read_prefer="replica", hedge_reads_after="20ms", request_timeout="30s")
        clients = [self.connect(proxy.address) for _ in range(8)]
        self.wait_for_copies(clients[0], lambda primary, replicas: (primary, replicas) == (0, [15, 15]))
        victim, other = self.cluster.replicas()
        counts = {name: counter(clients[0], name) for name in ("hedges_won", "reads_hedged")}
        before = self.gets()
        self.cluster.pause(victim)
        try:
            for _ in range(5):
                for client in clients:
                    client.send(encode("GET", "k"))
                # Without the second copy half of them would wait for --request_timeout.
                self.assertEqual([client.read_reply() for client in clients], [b"v"] * len(clients))
            won = counter(clients[0], "hedges_won") - counts["hedges_won"]
            self.assertGreater(won, 0)
            self.assertLessEqual(won, counter(clients[0], "reads_hedged") - counts["reads_hedged"])
            self.assertEqual(self.gets()[self.primary.port], before[self.primary.port], "it never serves")
        finally:
            self.cluster.resume(victim)
        # What the replica owes comes now, and is nobody's.
        self.wait_for_copies(clients[0], lambda primary, replicas: (primary, replicas) == (0, [15, 15]))
        self.eventually(lambda: counter(clients[0], "replies_discarded") >= won, message="late replies are dropped")

    def test_reads_of_the_primary_are_not_hedged(self):
        proxy = self.start_proxy(read_prefer="primary", hedge_reads_after="20ms")
        client = self.connect(proxy.address)
        self.cluster.pause(self.primary)
        try:
            client.send(encode("GET", "k"))
            time.sleep(0.3)
        finally:
            self.cluster.resume(self.primary)
        self.assertEqual(client.read_reply(), b"v")
        self.assertEqual(counter(client, "reads_hedged"), 0)
        self.assertEqual(counter(client, "hedges_over_budget"), 0)

    def test_a_killed_replica_is_not_noticed(self):
        client = self.connect(self.start_proxy(read_prefer="prefer_replica").address)
        self.wait_for_copies(client, lambda primary, replicas: (primary, replicas) == (0, [15, 15]))
        victim, other = self.cluster.replicas()
        self.cluster.kill(victim)
        try:
            self.assertEqual(self.served(client), (0, [30]))
            self.cluster.kill(other)
            try:
                self.assertEqual(self.served(client), (30, []))
            finally:
                self.cluster.restart(other)
        finally:
            self.cluster.restart(victim)
            self.cluster.wait_until_ok(60)
        # Long before --slots_reload_interval.
        self.wait_for_copies(client, lambda primary, replicas: (primary, replicas) == (0, [15, 15]))


if __name__ == "__main__":
    unittest.main()
