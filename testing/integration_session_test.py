"""What a client says about itself, and commands about all clients, over all workers of a real rcproxy."""

import threading
import time
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import Disconnected


class SessionTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1}
    proxy_flags = {"workers": 2, "slots_reload_interval": "300ms"}

    def connect(self, count):
        """New clients, spread over the workers."""
        clients = [self.proxy.client() for _ in range(count)]
        for client in clients:
            self.addCleanup(client.close)
        return clients

    def ids(self, clients):
        return [client.ok("CLIENT", "ID") for client in clients]

    def lines(self, *filters):
        """Of CLIENT LIST, as dicts."""
        text = self.client.ok("CLIENT", "LIST", *filters).decode()
        return [dict(field.partition("=")[::2] for field in line.split(" ")) for line in text.splitlines()]

    def assert_closed(self, client):
        with self.assertRaises((Disconnected, ConnectionError)):
            client.command("PING")
            client.command("PING")

    def test_the_clients_of_all_workers_are_listed(self):
        clients = self.connect(8)
        ids = self.ids(clients)
        for client, number in zip(clients, ids):
            client.ok("CLIENT", "SETNAME", f"name-{number}")
            client.ok("GET", "x")
        listed = self.lines()
        numbers = [int(line["id"]) for line in listed]
        self.assertEqual(numbers, sorted(numbers))
        self.assertLessEqual(set(ids), set(numbers))
        names = {int(line["id"]): line["name"] for line in listed}
        self.assertEqual([names[number] for number in ids], [f"name-{number}" for number in ids])
        self.assertEqual([int(line["id"]) for line in self.lines("ID", ids[5], ids[0], 10**9)], [ids[5], ids[0]])
        self.assertEqual(len(self.lines("TYPE", "normal")), len(listed))
        self.assertEqual(self.lines("TYPE", "pubsub"), [])
        mine = {int(line["id"]): line["cmd"] for line in listed}
        self.assertEqual(mine[self.client.ok("CLIENT", "ID")], "client|list")

    def test_clients_of_any_worker_are_closed(self):
        clients = self.connect(6)
        ids = self.ids(clients)
        addresses = {int(line["id"]): line["addr"] for line in self.lines()}
        self.assertEqual(self.client.ok("CLIENT", "KILL", addresses[ids[0]]), "OK")
        self.assertEqual(self.client.ok("CLIENT", "KILL", addresses[ids[1]]), "OK")
        self.assert_error(self.client.command("CLIENT", "KILL", addresses[ids[0]]), "ERR No such client")
        self.assertEqual(self.client.ok("CLIENT", "KILL", "ID", ids[2]), 1)
        self.assertEqual(self.client.ok("CLIENT", "KILL", "ADDR", addresses[ids[3]], "ID", ids[2]), 0)
        for client in clients[:3]:
            self.assert_closed(client)
        self.assertEqual(clients[3].ok("CLIENT", "KILL", "LADDR", self.proxy.address), 3)
        self.assert_closed(clients[4])
        self.assert_closed(clients[5])
        self.assertEqual(clients[3].ok("CLIENT", "KILL", "ID", ids[3], "SKIPME", "no"), 1)
        self.assert_closed(clients[3])

    def test_writes_of_all_clients_wait_until_the_pause_ends(self):
        clients = self.connect(4)
        self.assertEqual(self.client.ok("CLIENT", "PAUSE", 60000, "WRITE"), "OK")
        done = []

        def write(client, number):
            done.append((client.ok("SET", f"paused:{number}", number), time.monotonic()))

        threads = [threading.Thread(target=write, args=(client, i)) for i, client in enumerate(clients)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        self.assertEqual(done, [])
        with self.proxy.client() as late:
            self.assertIsNone(late.ok("GET", "paused:1"))
        begin = time.monotonic()
        self.assertEqual(self.client.ok("CLIENT", "UNPAUSE"), "OK")
        for thread in threads:
            thread.join(10)
        self.assertEqual([reply for reply, _ in done], ["OK"] * 4)
        self.assertGreaterEqual(min(at for _, at in done), begin)

    def test_a_pause_of_all_ends_by_itself(self):
        clients = self.connect(4)
        begin = time.monotonic()
        self.assertEqual(self.client.ok("CLIENT", "PAUSE", 500), "OK")
        for client in clients:
            self.assertEqual(client.ok("PING"), "PONG")
        self.assertGreaterEqual(time.monotonic() - begin, 0.45)

    def test_statistics_of_all_workers_are_reset(self):
        for client in self.connect(4):
            client.pipeline([("GET", "x")] * 100)
        self.assertEqual(self.client.ok("CONFIG", "RESETSTAT"), "OK")
        info = dict(line.split(":", 1) for line in self.client.ok("INFO", "proxy").decode().splitlines() if ":" in line)
        self.assertLess(int(info["rcproxy_commands"]), 10)
        self.assertGreaterEqual(int(info["rcproxy_clients_connected"]), 5)

    def test_reads_go_to_replicas_when_the_client_says_so(self):
        for protocol in (2, 3):
            client = self.connect(1)[0]
            client.ok("HELLO", protocol)
            client.ok("SET", "k", "v")
            self.wait_for_replicas()
            client.ok("READONLY")
            self.eventually(lambda: self.reads_a_replica(client), message="a replica serves")
            before = self.reads_of_replicas()
            self.assertEqual([client.ok("GET", "k") for _ in range(20)], [b"v"] * 20)
            self.assertEqual(self.reads_of_replicas() - before, 20)
            client.ok("READWRITE")
            self.assertEqual(client.ok("GET", "k"), b"v")
            self.assertEqual(self.reads_of_replicas() - before, 20)

    def reads_a_replica(self, client):
        before = self.reads_of_replicas()
        client.ok("GET", "k")
        return self.reads_of_replicas() > before

    def wait_for_replicas(self):
        """Until they are part of every map. A replica is when it has caught up, which the nodes tell one another; until
        all have heard it, it comes and goes with those that rcproxy asks."""
        self.assert_proxy_serves()  # Who never had anything to replicate has not caught up.
        self.eventually(lambda: all(self.calls_all_online(node) for node in self.cluster.nodes), message="all online")
        # The first to end may have begun before.
        enough = self.counter("topology_refreshes") + 2
        self.eventually(lambda: self.counter("topology_refreshes") >= enough, message="two new maps")

    @staticmethod
    def calls_all_online(node):
        shards = [dict(zip(shard[::2], shard[1::2])) for shard in node.command("CLUSTER", "SHARDS")]
        nodes = [dict(zip(each[::2], each[1::2])) for shard in shards for each in shard[b"nodes"]]
        return all(each[b"health"] == b"online" for each in nodes)

    def reads_of_replicas(self):
        reads = 0
        for node in self.cluster.replicas():
            for line in node.command("INFO", "commandstats").decode().splitlines():
                if line.startswith("cmdstat_get:"):
                    reads += int(line.split("calls=")[1].split(",")[0])
        return reads

    def test_resp3_clients_survive_a_move_of_their_slot(self):
        client = self.connect(1)[0]
        client.ok("HELLO", 3)
        keys = [f"{{moved}}{i}" for i in range(50)]
        for key in keys:
            client.ok("HSET", key, "f", key)
        source, target = self.owner_and_another("{moved}")
        stop = threading.Event()
        failures = []

        def read():
            while not stop.is_set():
                for key in keys:
                    reply = client.command("HGETALL", key)
                    if reply != {b"f": key.encode()}:
                        failures.append(reply)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            self.cluster.migrate_slot(source.command("CLUSTER", "KEYSLOT", "{moved}"), source, target, pause_s=0.01)
        finally:
            stop.set()
            reader.join(30)
        self.assertEqual(failures, [])


class MonitorTest(IntegrationTest):
    """MONITOR shows what clients of every worker say."""

    def seen(self, monitor, clients):
        for number, client in enumerate(clients):
            client.ok("SET", f"monitored:{number}", "a b\n")
        lines = [monitor.read_reply() for _ in clients]
        for number in range(len(clients)):
            self.assertTrue(any(line.endswith(f'"SET" "monitored:{number}" "a b\\n"') for line in lines), lines)
        for line in lines:
            self.assertRegex(line, r'^\d+\.\d{6} \[0 127\.0\.0\.1:\d+\] "SET"')

    def test_commands_of_all_workers_are_shown(self):
        clients = [self.proxy.client() for _ in range(6)]
        for client in clients:
            self.addCleanup(client.close)
        with self.proxy.client() as monitor:
            self.assertEqual(monitor.command("MONITOR"), "OK")
            self.seen(monitor, clients)
            clients[0].command("AUTH", "secret")
            self.assertTrue(monitor.read_reply().endswith('"AUTH" "(redacted)"'))
            clients[0].pipeline([("MULTI",), ("GET", "x"), ("EXEC",)])
            self.assertIn('"MULTI"', monitor.read_reply())
            self.assertIn('"GET" "x"', monitor.read_reply())
            self.assertIn('"EXEC"', monitor.read_reply())
            monitor.send(b"*1\r\n$5\r\nRESET\r\n")
            self.assertEqual(monitor.read_reply(), "RESET")
            clients[0].ok("GET", "x")
            self.assertEqual(monitor.command("PING"), "PONG")

    def test_some_commands_are_shown(self):
        clients = [self.proxy.client() for _ in range(4)]
        for client in clients:
            self.addCleanup(client.close)
        number = clients[1].ok("CLIENT", "ID")
        line = clients[2].ok("CLIENT", "INFO").decode()
        address = dict(field.partition("=")[::2] for field in line.split(" "))["addr"]
        for condition, shown in (
            (("MATCH", "*:1"), {0: ["get", "mget"], 1: ["get", "mget"], 2: ["get", "mget"], 3: ["get", "mget"]}),
            (("COMMAND", "ping", "client"), {i: ["ping", "client"] for i in range(4)}),
            (("ID", number), {1: ["get", "mget", "ping", "client"]}),
            (("ADDR", address, "COMMAND", "get"), {2: ["get"]}),
        ):
            with self.subTest(condition=condition), self.proxy.client() as monitor:
                self.assertEqual(monitor.command("PROXY", "MONITOR", *condition), "OK")
                for client in clients:
                    client.pipeline([("get", "key:1"), ("mget", "key:2", "key:1"), ("ping",), ("client", "id")])
                expected = sorted(word for words in shown.values() for word in words)
                lines = [monitor.read_reply() for _ in expected]
                self.assertEqual(sorted(line.split('"')[1] for line in lines), expected)
                self.assertEqual(monitor.command("PROXY", "MONITOR", "ID", 999_999_999), "OK")
                self.client.ok("GET", "key:1")
                self.assertEqual(monitor.command("PING"), "PONG", "nothing else has come")
                self.assert_error(monitor.command("PROXY", "MONITOR", "WHAT"), "ERR syntax error")


if __name__ == "__main__":
    unittest.main()
