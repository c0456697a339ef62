"""Publish and subscribe through rcproxy on a real cluster: as on one server, while slots move and nodes fail."""

import threading
import time
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import Disconnected, RespClient, RespError, encode


class Subscribing(IntegrationTest):
    def subscribed(self, *command):
        """A new client that has said `command` and taken its confirmations."""
        client = self.proxy.client(timeout_s=10)
        self.addCleanup(client.close)
        client.send(encode(*command))
        for number, name in enumerate(command[1:], 1):
            self.assertEqual(client.read_reply(), [command[0].lower().encode(), name.encode(), number])
        return client

    def assert_silent(self, client, seconds=0.3):
        client.socket.settimeout(seconds)
        with self.assertRaises(TimeoutError):
            reply = client.read_reply()
            self.fail(f"unexpected: {reply}")
        client.socket.settimeout(10)


class PubSubTest(Subscribing):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 5000}
    proxy_flags = {"workers": 2, "subscriptions_per_client_max": 50}

    def test_the_texts_are_the_servers(self):
        node = self.cluster.nodes[0]
        for commands in (
            [("UNSUBSCRIBE",)], [("PUNSUBSCRIBE",)], [("SUNSUBSCRIBE",)], [("UNSUBSCRIBE", "none")],
            [("SUBSCRIBE", "a"), ("SUBSCRIBE", "a"), ("PSUBSCRIBE", "a*"), ("ECHO", "x"), ("ECHO",), ("NOSUCH",),
             ("PING",), ("PING", "hi"), ("HELLO", 3), ("CONFIG", "GET", "x"), ("UNSUBSCRIBE", "b"),
             ("UNSUBSCRIBE", "a"), ("PUNSUBSCRIBE",), ("PING",), ("SUBSCRIBE", ""), ("RESET",), ("PING",)],
            [("SUBSCRIBE",)],
            [("SUBSCRIBE", "q"), ("QUIT",)],
        ):  # fmt: skip
            with self.proxy.client() as client:
                expected = node.pipeline(commands)
                self.assertEqual(client.pipeline(commands), expected, commands)
            node.disconnect()

    def test_messages_reach_every_subscriber_of_every_worker_once(self):
        subscribers = [self.subscribed("SUBSCRIBE", "news") for _ in range(8)]
        patterns = [self.subscribed("PSUBSCRIBE", "n?ws*") for _ in range(4)]
        wide = self.subscribed("PSUBSCRIBE", "*")
        for number in range(200):
            self.client.ok("PUBLISH", "news", f"message {number}")
        self.client.ok("PUBLISH", "newspaper", "x" * 100_000)
        for client in subscribers:
            for number in range(200):
                self.assertEqual(client.read_reply(), [b"message", b"news", b"message %d" % number])
            self.assert_silent(client)
        for client, pattern in [(client, b"n?ws*") for client in patterns] + [(wide, b"*")]:
            for number in range(200):
                self.assertEqual(client.read_reply(), [b"pmessage", pattern, b"news", b"message %d" % number])
            self.assertEqual(client.read_reply(), [b"pmessage", pattern, b"newspaper", b"x" * 100_000])
            self.assert_silent(client)

    def test_one_subscription_at_the_nodes_is_shared(self):
        clients = [self.subscribed("SUBSCRIBE", "shared") for _ in range(20)]
        numbers = [node.command("PUBSUB", "NUMSUB", "shared")[1] for node in self.cluster.primaries()]
        self.assertTrue(1 <= sum(numbers) <= 2, numbers)  # One for each worker.
        self.assertEqual(self.counter("subscriptions"), 20)
        for client in clients:
            client.close()
        self.eventually(lambda: self.counter("subscriptions") == 0 and self.counter("channels") == 0)
        self.eventually(
            lambda: not any(node.command("PUBSUB", "NUMSUB", "shared")[1] for node in self.cluster.primaries())
        )

    def test_subscribers_are_counted_one_by_one(self):
        clients = [self.subscribed("SUBSCRIBE", "counted", "other") for _ in range(5)]
        clients += [self.subscribed("PSUBSCRIBE", "coun*") for _ in range(3)]
        clients += [self.subscribed("PSUBSCRIBE", "*", "coun*")]
        clients += [self.subscribed("SSUBSCRIBE", "counted") for _ in range(4)]
        plain = self.cluster.primaries()[1]
        with RespClient(plain.address) as foreign:
            foreign.ok("SUBSCRIBE", "counted")
            foreign.ok("PSUBSCRIBE", "of its own")
            self.assertEqual(self.client.ok("PUBSUB", "NUMSUB", "counted", "none", "other"),
                             [b"counted", 6, b"none", 0, b"other", 5])
            self.assertEqual(self.client.ok("PUBSUB", "NUMPAT"), 3)
            self.assertEqual(self.client.ok("PUBSUB", "SHARDNUMSUB", "counted", "other"), [b"counted", 4, b"other", 0])
            self.assertEqual(sorted(self.client.ok("PUBSUB", "CHANNELS", "*t*")), [b"counted", b"other"])
            self.assertEqual(self.client.ok("PUBSUB", "SHARDCHANNELS"), [b"counted"])
        for client in clients:
            client.close()
        self.eventually(lambda: self.client.ok("PUBSUB", "NUMSUB", "counted") == [b"counted", 0])
        self.eventually(lambda: self.client.ok("PUBSUB", "NUMPAT") == 0)
        self.assertEqual(self.client.ok("PUBSUB", "NUMSUB"), [])

    def test_a_confirmation_can_be_relied_on(self):
        for number in range(100):
            client = self.subscribed("SUBSCRIBE", f"new:{number}")
            self.client.ok("PUBLISH", f"new:{number}", "first")
            self.assertEqual(client.read_reply(), [b"message", b"new:%d" % number, b"first"])
            client.close()

    def test_resp3_pushes_between_replies(self):
        with self.proxy.client() as client:
            client.command("HELLO", 3)
            self.assertEqual(client.command("SUBSCRIBE", "mixed"), [b"subscribe", b"mixed", 1])
            stop = threading.Event()

            def publish():
                with self.proxy.client() as publisher:
                    while not stop.is_set():
                        publisher.ok("PUBLISH", "mixed", "x" * 2000)

            self.client.ok("SET", "long", "y" * 3_000_000)
            publisher = threading.Thread(target=publish)
            publisher.start()
            try:
                messages = 0
                for number in range(30):
                    client.send(encode("GET", "long") + encode("SET", f"k{number}", number) + encode("GET", "none"))
                    expected = [b"y" * 3_000_000, "OK", None]
                    while expected:
                        reply = client.read_reply()
                        if isinstance(reply, list):
                            self.assertEqual(reply, [b"message", b"mixed", b"x" * 2000])
                            messages += 1
                        else:
                            self.assertEqual(reply, expected.pop(0))
                self.assertGreater(messages, 0)
            finally:
                stop.set()
                publisher.join()
            client.send(encode("UNSUBSCRIBE", "mixed"))
            while client.read_reply() != [b"unsubscribe", b"mixed", 0]:
                pass
            self.assertEqual(client.command("GET", "none"), None)

    def test_what_follows_in_a_pipeline_waits(self):
        with self.proxy.client() as client:
            client.send(encode("SET", "before", 1) + encode("SUBSCRIBE", "p1", "p2") + encode("UNSUBSCRIBE")
                        + encode("GET", "before"))  # fmt: skip
            self.assertEqual(client.read_reply(), "OK")
            self.assertEqual(client.read_reply(), [b"subscribe", b"p1", 1])
            self.assertEqual(client.read_reply(), [b"subscribe", b"p2", 2])
            left = sorted(client.read_reply()[1] for _ in range(2))
            self.assertEqual(left, [b"p1", b"p2"])
            self.assertEqual(client.read_reply(), b"1")

    def test_clients_are_listed_with_what_they_hear(self):
        client = self.subscribed("SUBSCRIBE", "l1", "l2")
        client.send(encode("PSUBSCRIBE", "l*"))
        client.read_reply()
        lines = self.client.ok("CLIENT", "LIST", "TYPE", "pubsub").decode()
        self.assertIn(" flags=P ", lines)
        self.assertIn(" sub=2 psub=1 ssub=0 ", lines)
        self.assertEqual(self.client.ok("CLIENT", "KILL", "TYPE", "pubsub"), 1)

    def test_too_many_subscriptions_are_refused(self):
        client = self.subscribed("SUBSCRIBE", *(f"c{i}" for i in range(49)))
        client.send(encode("PSUBSCRIBE", "a*", "b*"))
        self.assert_error(client.read_reply(), "ERR too many subscriptions")
        client.send(encode("SUBSCRIBE", "last"))
        self.assertEqual(client.read_reply(), [b"subscribe", b"last", 50])
        self.assertEqual(self.counter("errors_subscriptions"), 1)

    def test_shard_channels_of_many_slots(self):
        names = [f"shard:{i}" for i in range(20)]
        with self.proxy.client() as client:
            for number, name in enumerate(names, 1):
                self.assertEqual(client.command("SSUBSCRIBE", name), [b"ssubscribe", name.encode(), number])
            for name in names:
                self.assertEqual(self.client.command("SPUBLISH", name, "hi"), 1)
            heard = sorted(client.read_reply()[1].decode() for _ in names)
            self.assertEqual(heard, sorted(names))
            self.assertEqual(client.command("SUNSUBSCRIBE", names[0]), [b"sunsubscribe", names[0].encode(), 19])

    def test_shard_channels_follow_their_slot(self):
        client = self.subscribed("SSUBSCRIBE", "{moves}a", "{moves}b")
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{moves}")
        for number in range(6):
            source, target = self.owner_and_another("{moves}")
            self.cluster.migrate_slot(slot, source, target)
            self.eventually(lambda: self.client.command("SPUBLISH", "{moves}a", "now") == 1)
            while client.read_reply() != [b"smessage", b"{moves}a", b"now"]:
                pass
            self.eventually(lambda: self.client.command("SPUBLISH", "{moves}b", "then") == 1)
            while client.read_reply() != [b"smessage", b"{moves}b", b"then"]:
                pass
        self.assertGreater(self.counter("subscriptions_interrupted"), 0)

    def test_a_shard_channel_whose_old_owner_learns_of_the_move_last(self):
        node = self.cluster.nodes[0]
        slot = node.command("CLUSTER", "KEYSLOT", "{late}")
        source, target = self.owner_and_another("{late}")
        stays = next(name for name in map(str, range(1000)) if self.node_of(name) is source)
        client = self.subscribed("SSUBSCRIBE", "{late}", stays)
        interrupted = self.counter("subscriptions_interrupted")
        self.cluster.begin_migration(slot, source, target)
        self.cluster.wait_for_epochs(target)
        self.cluster.pause(source)
        target.command("CLUSTER", "SETSLOT", slot, "NODE", target.id)
        self.client.ok("PROXY", "REFRESH")
        self.eventually(lambda: target.command("PUBSUB", "SHARDNUMSUB", "{late}")[1] == 1)
        self.cluster.resume(source)
        self.cluster.wait_until_all_know(target)
        for name in ("{late}", stays):
            self.eventually(lambda name=name: self.client.command("SPUBLISH", name, "now") == 1)
            self.assertEqual(client.read_reply(), [b"smessage", name.encode(), b"now"])
        self.assertEqual(self.counter("subscriptions_interrupted"), interrupted)
        self.assertEqual(self.counter("upstream_protocol_errors"), 0)

    def test_events_of_keys_come_from_all_primaries(self):
        for node in self.cluster.primaries():
            node.command("CONFIG", "SET", "notify-keyspace-events", "KEA")
        client = self.subscribed("PSUBSCRIBE", "__key*__:*")
        events = self.subscribed("SUBSCRIBE", "__keyevent@0__:set")
        names = sorted(f"event:{i}" for i in range(60))
        for name in names:
            self.client.ok("SET", name, 1)
        self.assertEqual(sorted(events.read_reply()[2].decode() for _ in names), names)
        self.assert_silent(events)
        self.assertEqual(len([client.read_reply() for _ in range(2 * len(names))]), 120)
        self.assert_silent(client)

    def test_a_subscriber_that_does_not_read_is_closed(self):
        with self.with_limits() as proxy:
            with proxy.client() as slow, proxy.client() as publisher, proxy.client() as good:
                for client in (slow, good):
                    self.assertEqual(client.command("SUBSCRIBE", "flood"), [b"subscribe", b"flood", 1])
                for number in range(300):
                    publisher.ok("PUBLISH", "flood", b"%06d" % number + bytes(100_000))
                    self.assertEqual(good.read_reply()[2][:6], b"%06d" % number)
                slow.socket.settimeout(10)
                with self.assertRaises((Disconnected, ConnectionError)):
                    for _ in range(301):
                        slow.read_reply()
                info = publisher.command("INFO", "proxy")
                self.assertIn(b"rcproxy_subscribers_closed_output_limit:1", info)

    def with_limits(self):
        from testing.rcproxy_process import RcproxyProcess

        flags = {"workers": 1, "subscriber_output_hard_bytes": 2_000_000, "subscriber_output_soft_bytes": 1_000_000}
        return RcproxyProcess(self.cluster.addresses(), flags)


class PubSubFailoverTest(Subscribing):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 2000}
    proxy_flags = {"workers": 2}

    def heard_again(self, client, publish, message):
        """Publishes until a message published after the failure comes."""
        deadline = time.monotonic() + 30
        number = 0
        client.socket.settimeout(0.2)
        while time.monotonic() < deadline:
            number += 1
            self.client.command(publish, *message[:-1], f"{message[-1]}:{number}")
            try:
                client.read_reply()
                client.socket.settimeout(10)
                return
            except TimeoutError:
                continue
        self.fail("no message after the failure")

    def test_subscriptions_outlive_any_node(self):
        channel = self.subscribed("SUBSCRIBE", "alive")
        shard = self.subscribed("SSUBSCRIBE", "alive")
        for _ in range(3):
            node = self.cluster.primaries()[0]
            self.cluster.kill(node)
            self.cluster.wait_for_promotion(node)
            self.heard_again(channel, "PUBLISH", ("alive", "m"))
            self.heard_again(shard, "SPUBLISH", ("alive", "m"))
            self.cluster.restart(node)
            self.cluster.wait_until_ok()
        self.assertIsInstance(channel.command("GET", "x"), RespError)  # It is a subscriber still.

    def test_a_silent_node_is_left(self):
        channels = [self.subscribed("SUBSCRIBE", f"quiet:{i}") for i in range(4)]
        for node in self.cluster.primaries():
            self.cluster.pause(node)
            try:
                self.cluster.wait_for_promotion(node)
                for number, channel in enumerate(channels):
                    self.heard_again(channel, "PUBLISH", (f"quiet:{number}", "m"))
            finally:
                self.cluster.resume(node)
            self.cluster.wait_until_ok()


if __name__ == "__main__":
    unittest.main()
