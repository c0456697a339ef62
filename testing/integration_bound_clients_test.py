"""Clients in every state that binds them, while slots move and nodes are killed: a transaction queued, keys watched,
waiting for an element, subscribed. Each gets what one server would give it, and nobody else is disturbed.

The end of rcproxy while clients are in these states.
"""

import threading
import time
import unittest

from testing.background import Background
from testing.integration_base import IntegrationTest, counter
from testing.rcproxy_process import RcproxyProcess
from testing.resp_client import Disconnected, RespClient, encode


class Bystanders(Background):
    """Clients that have to do with other slots only. What goes wrong for them is in `problems`."""

    def __init__(self, proxy, keys):
        super().__init__([(proxy, key) for key in keys])
        self.problems = []
        self.count = 0

    def work(self, proxy, key):
        with proxy.client() as client:
            number = 0
            while not self.is_over.is_set():
                number += 1
                expected = ["OK", str(number).encode(), "OK", "QUEUED", [number + 1]]
                replies = client.pipeline([("SET", key, number), ("GET", key), ("MULTI",), ("INCR", key), ("EXEC",)])
                if replies != expected:
                    self.problems.append((key, number, replies))
                self.count += 1
                time.sleep(0.002)


class Bound(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 1500}
    proxy_flags = {"workers": 2}

    def setUp(self):
        super().setUp()
        self.client.ok("FLUSHALL")

    def connected(self):
        client = self.proxy.client()
        self.addCleanup(client.close)
        return client

    def saying(self, *commands):
        """A client that has sent the commands and waits for their replies."""
        client = self.connected()
        client.send(b"".join(encode(*command) for command in commands))
        return client

    def blocked_at(self, node, count):
        self.eventually(lambda: int(node.info("clients", "blocked_clients")) == count, message=f"{count} blocked")

    def keys_of_others(self, tag):
        """One for each primary that does not have the tag's slot."""
        owner = self.node_of(tag)
        found = {}
        for index in range(100):
            node = self.node_of(f"other:{index}")
            if node is not owner:
                found.setdefault(node.id, f"other:{index}")
        return list(found.values())

    def bind_all(self, tag, timeout_s):
        """A client in each state, on keys of the tag; `timeout_s` of one that waits in vain."""
        self.client.ok("SET", f"{tag}counter", 5)
        self.queued = self.connected()
        replies = self.queued.pipeline([("MULTI",), ("INCR", f"{tag}counter"), ("GET", f"{tag}counter")])
        self.assertEqual(replies, ["OK", "QUEUED", "QUEUED"])
        self.watching = self.connected()
        replies = self.watching.pipeline([("WATCH", f"{tag}watched"), ("MULTI",), ("SET", f"{tag}watched", 1)])
        self.assertEqual(replies, ["OK", "OK", "QUEUED"])
        owner = self.node_of(tag)
        self.patient = self.saying(("BLPOP", f"{tag}list", 0), ("PING",))
        self.blocked_at(owner, 1)
        self.timed = self.saying(("BLPOP", f"{tag}nothing", timeout_s), ("PING",))
        self.timed_began, self.timeout_s = time.monotonic(), timeout_s
        self.blocked_at(owner, 2)
        self.subscriber = self.saying(("SUBSCRIBE", "news"))
        self.assertEqual(self.subscriber.read_reply(), [b"subscribe", b"news", 1])
        self.shard_subscriber = self.saying(("SSUBSCRIBE", f"{tag}news"))
        self.assertEqual(self.shard_subscriber.read_reply(), [b"ssubscribe", f"{tag}news".encode(), 1])

    def check_all(self, tag, is_lost=False):
        """After the slot has gone elsewhere, with its node when it `is_lost`: what each of them is told."""
        self.assertEqual(self.queued.command("EXEC"), [6, b"6"])
        self.assertIsNone(self.watching.command("EXEC"))
        self.assertEqual(self.watching.pipeline([("MULTI",), ("EXISTS", f"{tag}watched"), ("EXEC",)])[2], [0])
        self.check_blocked_and_lost() if is_lost else self.check_blocked(tag)
        self.assert_hears(self.subscriber, "PUBLISH", b"message", "news")
        self.assert_hears(self.shard_subscriber, "SPUBLISH", b"smessage", f"{tag}news")
        if not is_lost:
            self.assertIsNone(self.timed.read_reply())
            waited_s = time.monotonic() - self.timed_began
            self.assertTrue(-0.1 < waited_s - self.timeout_s < 6, f"{self.timeout_s} s took {waited_s:.1f} s")
        self.assertEqual(self.timed.read_reply(), "PONG")

    def check_blocked(self, tag):
        """They wait on at the new owner."""
        self.blocked_at(self.node_of(tag), 2)
        self.assertEqual(self.client.ok("RPUSH", f"{tag}list", "element"), 1)
        self.assertEqual(self.patient.read_reply(), [f"{tag}list".encode(), b"element"])
        self.assertEqual(self.patient.read_reply(), "PONG")
        self.assertEqual(self.client.ok("LLEN", f"{tag}list"), 0)

    def check_blocked_and_lost(self):
        """The node may have taken an element for them."""
        self.assert_error(self.patient.read_reply(), "ERR upstream lost")
        self.assertEqual(self.patient.read_reply(), "PONG")
        self.assert_error(self.timed.read_reply(), "ERR upstream lost")
        self.assertEqual(self.counter("errors_outcome_unknown"), 2)

    def assert_hears(self, subscriber, publish, word, channel):
        """Messages come again, and nothing else: no confirmation that the client has not asked for."""
        subscriber.socket.settimeout(0.2)
        for number in range(100):
            self.client.ok(publish, channel, f"text {number}")
            try:
                reply = subscriber.read_reply()
            except TimeoutError:
                continue
            self.assertEqual(reply[:2], [word, channel.encode()])
            self.assertEqual(reply[2][:5], b"text ")
            subscriber.socket.settimeout(20)
            return
        self.fail(f"nothing is heard on {channel}")


def proxy_gauge(address, name):
    with RespClient(address) as client:
        return counter(client, name)


def accepts(address):
    try:
        with RespClient(address, timeout_s=1) as client:
            return client.command("PING") == "PONG"
    except (OSError, Disconnected):
        return False


class MovingSlotTest(Bound):
    def test_the_slot_moves_in_every_state(self):
        source, target = self.owner_and_another("{b}")
        slot = source.command("CLUSTER", "KEYSLOT", "{b}")
        self.bind_all("{b}", timeout_s=4)
        with Bystanders(self.proxy, self.keys_of_others("{b}") + ["{c}near"]) as bystanders:
            self.cluster.migrate_slot(slot, source, target)
            self.cluster.wait_until_all_know(target)
            self.check_all("{b}")
        self.assertEqual(bystanders.problems, [])
        self.assertGreater(bystanders.count, 10)

    def test_a_transaction_waits_until_its_half_moved_slot_has_moved(self):
        source, target = self.owner_and_another("{h}")
        slot = source.command("CLUSTER", "KEYSLOT", "{h}")
        self.client.ok("MSET", "{h}a", 1, "{h}b", 2)
        queued = self.connected()
        self.assertEqual(queued.pipeline([("MULTI",), ("INCR", "{h}a"), ("INCR", "{h}b")]), ["OK", "QUEUED", "QUEUED"])
        self.cluster.begin_migration(slot, source, target)
        self.cluster.move_keys(slot, source, target, count=1)
        queued.send(encode("EXEC"))
        queued.socket.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            queued.read_reply()
        queued.socket.settimeout(20)
        self.cluster.move_keys(slot, source, target)
        self.cluster.finish_migration(slot, source, target)
        self.assertEqual(queued.read_reply(), [2, 3])


class KilledNodeTest(Bound):
    def test_the_node_is_killed_in_every_state(self):
        node = self.node_of("{k}")
        self.eventually(lambda: node.info("replication", "connected_slaves") == "1")
        others = self.keys_of_others("{k}")
        self.bind_all("{k}", timeout_s=10)
        self.eventually(lambda: self.cluster.replicas(node)[0].command("DBSIZE") == node.command("DBSIZE"))
        with Bystanders(self.proxy, others) as bystanders:
            self.cluster.kill(node)
            self.cluster.wait_for_promotion(node)
            self.check_all("{k}", is_lost=True)
        self.assertEqual(bystanders.problems, [])
        self.assertGreater(bystanders.count, 100)
        self.cluster.restart(node)
        self.cluster.wait_until_ok()


class LeavingTest(Bound):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0}

    def test_at_the_end_of_rcproxy_everybody_is_answered_or_closed(self):
        with RcproxyProcess(self.cluster.addresses(), {"workers": 2, "drain_timeout_s": 20}) as proxy:
            self.proxy, main = proxy, self.proxy
            try:
                waiting = [self.saying((*command, 0)) for command in (("BLPOP", "w1"), ("BZPOPMIN", "w2"))]
                waiting.append(self.saying(("XREAD", "BLOCK", 0, "STREAMS", "w3", "$")))
                subscribed = [self.saying((word, "c")) for word in ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE")]
                for client in subscribed:
                    client.read_reply()
                monitoring = self.saying(("MONITOR",))
                self.assertEqual(monitoring.read_reply(), "OK")
                queued = self.saying(("WATCH", "x"), ("MULTI",), ("SET", "x", 1))
                self.assertEqual([queued.read_reply() for _ in range(3)], ["OK", "OK", "QUEUED"])
                self.eventually(lambda: self.blocked_at_nodes() == 3)
            finally:
                self.proxy = main
            begin = time.monotonic()
            proxy.stop()
            self.assertLess(time.monotonic() - begin, 15, "nobody's patience was waited for")
            for client in waiting:
                self.assertIsNone(client.read_reply())
            for client in [*waiting, *subscribed, queued]:
                with self.assertRaises((Disconnected, ConnectionError)):
                    client.read_reply()
        self.assertEqual(self.client.ok("EXISTS", "x"), 0)
        self.client.ok("RPUSH", "w1", "a")
        self.assertEqual(self.client.ok("LLEN", "w1"), 1)

    def test_at_the_end_of_rcproxy_clients_whose_connection_is_not_there_yet_are_answered(self):
        """Their node hangs: as after their time when it comes back, else that nothing has been executed."""
        for comes_back in (True, False):
            with self.subTest(comes_back=comes_back):
                self.end_while_connections_open(comes_back)
                self.cluster.wait_until_ok()
                self.assertEqual(self.client.ok("EXISTS", "{w}list", "{w}other"), 0)

    def end_while_connections_open(self, comes_back):
        flags = {"workers": 1, "drain_timeout_s": 20, "request_timeout": "10s" if comes_back else "1s"}
        node = self.node_of("{w}")
        with RcproxyProcess(self.cluster.addresses(), flags) as proxy:
            clients = [proxy.client() for _ in range(4)]
            for client in clients:
                self.addCleanup(client.close)
            self.assertEqual(clients[0].ok("EXISTS", "{w}list"), 0)
            self.cluster.pause(node)
            for client, command in zip(clients, (
                ("BLPOP", "{w}list", 0), ("BRPOPLPUSH", "{w}list", "{w}other", 100),
                ("XREAD", "BLOCK", 0, "STREAMS", "{w}stream", 0), ("BZPOPMIN", "{w}set", 100),
            )):  # fmt: skip
                client.send(encode(*command))
            self.eventually(lambda: proxy_gauge(clients[0].address, "own_connections") == 4)
            stopping = threading.Thread(target=proxy.stop)
            stopping.start()
            try:
                self.eventually(lambda: not accepts(proxy.address))
                if comes_back:
                    self.cluster.resume(node)
                replies = [client.read_reply() for client in clients]
            finally:
                if node.paused:
                    self.cluster.resume(node)
                stopping.join()
        if comes_back:
            return self.assertEqual(replies, [None] * 4)
        for reply in replies:
            self.assert_error(reply, "ERR upstream unreachable: no node could take the command in time")

    def blocked_at_nodes(self):
        return sum(int(node.info("clients", "blocked_clients")) for node in self.cluster.primaries())

    def test_clients_in_every_state_are_killed(self):
        states = {
            "blocked": [("BLPOP", "list", 0)],
            "watching": [("WATCH", "x"), ("MULTI",)],
            "subscribed": [("SUBSCRIBE", "c")],
            "shard": [("SSUBSCRIBE", "c")],
            "monitoring": [("MONITOR",)],
        }
        for by in ("ID", "ADDR", "LADDR"):
            for state, commands in states.items():
                with self.subTest(by=by, state=state):
                    victim = self.connected()
                    number = victim.ok("CLIENT", "ID")
                    victim.send(b"".join(encode(*command) for command in commands))
                    if state == "blocked":
                        self.eventually(lambda: self.blocked_at_nodes() == 1)
                    else:
                        for _ in commands:
                            victim.read_reply()
                    line = self.client.ok("CLIENT", "LIST", "ID", number).decode()
                    fields = dict(field.partition("=")[::2] for field in line.split(" "))
                    letters = {"blocked": "b", "watching": "x", "subscribed": "P", "shard": "P", "monitoring": "O"}
                    self.assertEqual(fields["flags"], letters[state])
                    self.assertEqual(fields["multi"], "0" if state == "watching" else "-1")
                    own = ("ID", number) if by == "LADDR" else (by, {"ID": number, "ADDR": fields["addr"]}[by])
                    condition = ("LADDR", fields["laddr"]) if by == "LADDR" else ()
                    self.assertEqual(self.client.ok("CLIENT", "KILL", *own, *condition), 1)
                    self.assertEqual(victim.read_to_end(), b"")
        self.eventually(lambda: self.blocked_at_nodes() == 0)
        self.assertEqual(self.client.ok("RPUSH", "list", "a"), 1, "an element that nobody waits for any more stays")
        info = self.client.ok("INFO", "proxy").decode()
        for gauge in ("own_connections", "clients_blocked", "subscriptions"):
            self.assertIn(f"rcproxy_{gauge}:0\r\n", info)

    def test_subscribers_are_killed_by_their_type(self):
        subscribers = [self.saying((word, "c")) for word in ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE")]
        for client in subscribers:
            client.read_reply()
        normal = self.connected()
        self.assertEqual(normal.command("PING"), "PONG")
        self.assertEqual(self.client.ok("CLIENT", "KILL", "TYPE", "pubsub"), 3)
        for client in subscribers:
            self.assertEqual(client.read_to_end(), b"")
        self.assertEqual(normal.command("PING"), "PONG")
        count = len(self.client.ok("CLIENT", "LIST").splitlines())
        self.assertEqual(self.client.ok("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"), count - 1)
        self.assertEqual(self.client.command("PING"), "PONG")
        self.assertEqual(self.client.ok("CLIENT", "KILL", "ID", self.client.ok("CLIENT", "ID")), 0)
        own = self.client.ok("CLIENT", "ID")
        self.assertEqual(self.client.ok("CLIENT", "KILL", "ID", own, "SKIPME", "no"), 1)
        self.assertEqual(self.client.read_to_end(), b"")


if __name__ == "__main__":
    unittest.main()
