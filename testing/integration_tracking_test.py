"""CLIENT TRACKING through rcproxy on a real cluster: as on one server, and nobody keeps a stale value."""

import random
import select
import threading
import time
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import Disconnected, RespClient, RespError, encode
from testing.standalone_server import StandaloneServer

_KEYS = [f"cached:{number}" for number in range(60)]

# What is there, and what a client with NOLOOP does, which changes it or not.
_OWN_CHANGES = [
    ("", "SET {n}k 1"), ("SET {n}k 1", "SET {n}k 1 XX"), ("SET {n}k 1", "SET {n}k 2 NX"),
    ("", "SETEX {n}k 100 1"), ("", "PSETEX {n}k 100000 1"), ("", "MSET {n}k 1 {n}j 1"),
    ("", "SETNX {n}k 1"), ("SET {n}k 1", "SETNX {n}k 2"), ("", "MSETNX {n}k 1 {n}j 1"),
    ("SET {n}j 1", "MSETNX {n}k 1 {n}j 1"), ("SET {n}k 1", "GETSET {n}k 2"), ("SET {n}k 1", "GETDEL {n}k"),
    ("", "GETDEL {n}k"), ("", "APPEND {n}k a"), ("SET {n}k a", "APPEND {n}k "), ("", "INCR {n}k"),
    ("SET {n}k x", "INCR {n}k"), ("", "DECR {n}k"), ("", "INCRBY {n}k 0"), ("", "DECRBY {n}k 0"),
    ("", "INCRBYFLOAT {n}k 0"), ("SET {n}k 1", "DEL {n}k"), ("SET {n}j 1", "DEL {n}k {n}j"), ("", "DEL {n}k"),
    ("SET {n}k 1", "UNLINK {n}k"), ("SET {n}k 1", "EXPIRE {n}k 100"), ("", "EXPIRE {n}k 100"),
    ("SET {n}k 1", "PEXPIRE {n}k -1"), ("SET {n}k 1", "EXPIREAT {n}k 9999999999"),
    ("SET {n}k 1", "PEXPIREAT {n}k 9999999999999"), ("", "HSET {n}k f 1"), ("HSET {n}k f 1", "HSET {n}k f 1"),
    ("HSET {n}k f 1", "HMSET {n}k f 1"), ("", "HSETNX {n}k f 1"), ("HSET {n}k f 1", "HSETNX {n}k f 2"),
    ("", "HINCRBY {n}k f 0"), ("", "HINCRBYFLOAT {n}k f 0"), ("HSET {n}k f 1", "HDEL {n}k f"),
    ("HSET {n}k f 1", "HDEL {n}k g"), ("", "LPUSH {n}k a"), ("", "RPUSH {n}k a"), ("", "LPUSHX {n}k a"),
    ("LPUSH {n}k a", "LPUSHX {n}k a"), ("LPUSH {n}k a", "RPUSHX {n}k a"), ("LPUSH {n}k a", "LREM {n}k 0 a"),
    ("LPUSH {n}k a", "LREM {n}k 0 b"), ("LPUSH {n}k a", "LSET {n}k 0 a"), ("", "SADD {n}k a"),
    ("SADD {n}k a", "SADD {n}k a"), ("SADD {n}k a", "SREM {n}k a"), ("SADD {n}k a", "SREM {n}k b"),
    ("", "ZADD {n}k 1 a"), ("ZADD {n}k 1 a", "ZADD {n}k 1 a"), ("ZADD {n}k 1 a", "ZREM {n}k a"),
    ("", "GET {n}k"), ("", "NOSUCH {n}k"),
]  # fmt: skip


class Tracking(IntegrationTest):
    def connected(self, address, *commands):
        """A new client that has said `commands` and taken their replies."""
        client = RespClient(address, timeout_s=10)
        self.addCleanup(client.close)
        for command in commands:
            client.ok(*command)
        return client

    def standalone_server(self):
        server = StandaloneServer()
        self.addCleanup(server.stop)
        return server

    def tracker(self, *options):
        return self.connected(self.proxy.address, ("HELLO", 3), ("CLIENT", "TRACKING", "ON", *options))

    def assert_silent(self, client, seconds=0.3):
        ready, _, _ = select.select([client.socket], [], [], seconds)
        if ready:
            self.fail(f"unexpected: {client.read_reply()}")


class TrackingTest(Tracking):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 5000}
    proxy_flags = {"workers": 2}

    def test_the_texts_are_the_servers(self):
        tracking = ("CLIENT", "TRACKING")
        info = ("CLIENT", "TRACKINGINFO")
        conversations = (
            [info, (*tracking, "ON"), info, ("CLIENT", "GETREDIR"), (*tracking, "OFF"), ("CLIENT", "GETREDIR")],
            [(*tracking, "maybe"), (*tracking,), (*tracking, "ON", "X"), (*tracking, "ON", "REDIRECT"),
             (*tracking, "ON", "REDIRECT", "x"), (*tracking, "ON", "REDIRECT", "0"),
             (*tracking, "ON", "REDIRECT", "99999"), (*tracking, "maybe", "REDIRECT", "99999"),
             (*tracking, "ON", "X", "REDIRECT", "99999"), (*tracking, "ON", "REDIRECT", "99999", "X"),
             (*tracking, "ON", "PREFIX"), (*tracking, "OFF", "BCAST", "OPTIN"), info],
            [(*tracking, "ON", "PREFIX", "a"), (*tracking, "ON", "BCAST", "OPTIN"),
             (*tracking, "ON", "BCAST", "OPTIN", "OPTOUT"), (*tracking, "ON", "OPTIN", "OPTOUT"),
             (*tracking, "ON", "BCAST", "PREFIX", "foo", "PREFIX", "fo"), info],
            [(*tracking, "ON", "BCAST", "PREFIX", "foo"), (*tracking, "ON", "BCAST", "PREFIX", "f"),
             (*tracking, "ON"), (*tracking, "ON", "OPTIN"), (*tracking, "ON", "BCAST", "PREFIX", "bar"), info,
             (*tracking, "ON", "BCAST"), info, ("CLIENT", "CACHING", "YES"), ("RESET",), info],
            [("CLIENT", "CACHING", "YES"), (*tracking, "ON", "OPTIN"), (*tracking, "ON", "OPTOUT"),
             ("CLIENT", "CACHING", "NO"), ("CLIENT", "CACHING", "x"), ("CLIENT", "CACHING"),
             ("CLIENT", "CACHING", "YES"), info, ("PING",), info, (*tracking, "ON"), ("CLIENT", "CACHING", "YES")],
            [(*tracking, "ON", "OPTOUT", "NOLOOP"), ("CLIENT", "CACHING", "NO"), info, ("MULTI",), ("GET", "x"),
             ("EXEC",), info],
        )  # fmt: skip
        server = self.standalone_server()
        for commands in conversations:
            expected = self.connected(server.address).pipeline(commands)
            self.assertEqual(self.connected(self.proxy.address).pipeline(commands), expected, commands)

    def test_what_is_told_is_what_a_server_tells(self):
        """The same reads and writes, and everything that the reader hears."""
        expected = self.heard_of_a_conversation(self.standalone_server().address)
        self.assertEqual(self.heard_of_a_conversation(self.proxy.address), expected)

    def heard_of_a_conversation(self, address):
        reader = self.connected(address, ("HELLO", 3), ("CLIENT", "TRACKING", "ON"))
        writer = self.connected(address)
        writer.ok("MSET", "{t}a", 1, "{t}b", 2, "other", 3)
        heard = []

        def say(client, *command):
            client.ok(*command)
            time.sleep(0.05)
            while select.select([reader.socket], [], [], 0)[0]:
                heard.append(reader.read_reply())
            heard.append(command)

        say(reader, "GET", "{t}a")
        say(writer, "SET", "{t}a", 2)
        say(writer, "SET", "{t}a", 3)
        say(reader, "MGET", "{t}a", "other", "none")
        say(writer, "DEL", "other")
        say(writer, "SET", "none", 1)
        say(writer, "EXPIRE", "{t}a", 100)
        say(reader, "EVAL", "return redis.call('get', KEYS[1])", 1, "{t}b")
        say(writer, "INCR", "{t}b")
        for command in (("MULTI",), ("GET", "{t}a"), ("STRLEN", "{t}b"), ("EXEC",)):
            say(reader, *command)
        say(writer, "MSET", "{t}a", 1, "{t}b", 1)
        say(reader, "HGETALL", "hash")
        say(writer, "HSET", "hash", "f", 1)
        say(reader, "SET", "{t}a", 5)
        say(writer, "SET", "{t}a", 6)
        return heard

    def test_with_noloop_what_is_told_is_what_a_server_tells(self):
        """Each command of a client that does not want to hear of itself; then another client's."""
        server = self.standalone_server()
        for preparation, command in _OWN_CHANGES:
            expected = self.heard_with_noloop(server.address, preparation, command)
            self.assertEqual(self.heard_with_noloop(self.proxy.address, preparation, command), expected, command)

    def heard_with_noloop(self, address, preparation, command):
        client = self.connected(address, ("HELLO", 3), ("CLIENT", "TRACKING", "ON", "NOLOOP"))
        other = self.connected(address, ("HELLO", 3), ("CLIENT", "TRACKING", "ON"))
        other.ok("DEL", "{n}k", "{n}j")
        if preparation:
            other.ok(*preparation.split(" "))
        for reader in (client, other):
            reader.ok("EXISTS", "{n}k")
        conversation = [client.command(*command.split(" "))]
        for writer in (None, self.client if address == self.proxy.address else self.connected(address)):
            if writer is not None:
                writer.ok("DEL", "{n}k")
            conversation.append([self.all_heard(reader) for reader in (client, other)])
        client.close()
        other.close()
        return conversation

    def all_heard(self, client):
        """Until nothing more can come: a command is answered, for which everybody waits."""
        heard = []
        for number in range(2):
            time.sleep(0.01)
            client.send(encode("ECHO", f"end {number}"))
            while (reply := client.read_reply()) != f"end {number}".encode():
                heard.append(reply)
        return heard

    def test_each_worker_and_every_node(self):
        readers = [self.tracker() for _ in range(6)]
        for key in _KEYS:
            for reader in readers:
                self.assertIsNone(reader.command("GET", key))
        for key in _KEYS:
            self.client.ok("SET", key, 1)
            for reader in readers:
                self.assertEqual(reader.read_reply(), [b"invalidate", [key.encode()]])
        for reader in readers:
            self.assert_silent(reader, 0.05)
        self.assertEqual(self.counter("tracking_items"), 0)
        self.assertEqual(self.counter("tracking_clients"), 6)

    def test_clients_are_listed_as_a_server_lists_them(self):
        reader = self.tracker("BCAST", "PREFIX", "x")
        line = reader.ok("CLIENT", "INFO")
        self.assertIn(b" flags=tB ", line)
        self.assertIn(b" redir=0 ", line)
        fields = self.client.ok("INFO").split(b"\r\n")
        self.assertIn(b"tracking_clients:1", fields)
        self.assertIn(b"tracking_total_keys:0", fields)

    def test_a_watched_transaction_is_not_relied_on(self):
        reader = self.tracker()
        self.client.ok("SET", "{w}", 1)
        self.assertEqual(reader.pipeline([("WATCH", "{w}"), ("MULTI",), ("GET", "{w}")]), ["OK", "OK", "QUEUED"])
        self.assertEqual(reader.command("EXEC"), [b"1"])
        self.assertEqual(reader.read_reply(), [b"invalidate", [b"{w}"]])

    def test_who_opts_in_hears_of_what_it_caches(self):
        reader = self.tracker("OPTIN")
        self.assertEqual(reader.pipeline([("GET", "o1"), ("CLIENT", "CACHING", "YES"), ("GET", "o2"), ("GET", "o3")]),
                         [None, "OK", None, None])  # fmt: skip
        unit = [("CLIENT", "CACHING", "YES"), ("MULTI",), ("GET", "{u}1"), ("GET", "{u}2"), ("EXEC",), ("GET", "{u}3")]
        self.assertEqual(reader.pipeline(unit)[4], [None, None])
        for key in ("o1", "o2", "o3", "{u}1", "{u}2", "{u}3"):
            self.client.ok("SET", key, 1)
        heard = sorted(reader.read_reply()[1][0] for _ in range(3))
        self.assertEqual(heard, [b"o2", b"{u}1", b"{u}2"])
        self.assert_silent(reader)

    def test_broadcasts(self):
        reader = self.tracker("BCAST", "PREFIX", "p:", "PREFIX", "q:")
        everything = self.tracker("BCAST")
        keys = [f"p:{number}" for number in range(30)] + ["q:1", "z:1"]
        for key in keys:
            self.client.ok("SET", key, 1)
            self.assertEqual(everything.read_reply(), [b"invalidate", [key.encode()]])
            if not key.startswith("z"):
                self.assertEqual(reader.read_reply(), [b"invalidate", [key.encode()]])
        self.assert_silent(reader)
        self.assertEqual(reader.command("GET", "p:1"), b"1")

    def test_another_client_is_told(self):
        for target_protocol in (2, 3):
            target = self.connected(self.proxy.address, ("HELLO", target_protocol))
            target_id = target.ok("CLIENT", "ID")
            target.ok("SUBSCRIBE", "__redis__:invalidate")
            told = {2: [b"message", b"__redis__:invalidate", [b"{r}"]], 3: [b"invalidate", [b"{r}"]]}[target_protocol]
            for options in ((), ("BCAST", "PREFIX", "{r}")):
                for protocol in (2, 3):
                    reader = self.connected(self.proxy.address, ("HELLO", protocol),
                                            ("CLIENT", "TRACKING", "ON", "REDIRECT", target_id, *options))  # fmt: skip
                    self.assertEqual(reader.command("CLIENT", "GETREDIR"), target_id)
                    reader.ok("GET", "{r}")
                    self.client.ok("INCR", "{r}")
                    self.assertEqual(target.read_reply(), told)
                    self.assert_silent(reader, 0.05)
                    reader.ok("CLIENT", "TRACKING", "OFF")

    def test_a_target_that_has_gone(self):
        target = self.connected(self.proxy.address)
        target_id = target.ok("CLIENT", "ID")
        reader = self.tracker("REDIRECT", target_id)
        reader.ok("GET", "gone")
        target.close()
        self.eventually(lambda: b"id=%d " % target_id not in self.client.ok("CLIENT", "LIST"))
        self.client.ok("SET", "gone", 1)
        self.assertEqual(reader.read_reply(), [b"tracking-redir-broken", target_id])
        self.assertIn(b"broken_redirect", reader.ok("CLIENT", "TRACKINGINFO")[b"flags"])
        self.assertIn(b" flags=tR ", reader.ok("CLIENT", "INFO"))

    def test_flushall_means_all_keys(self):
        reader = self.tracker()
        reader.ok("MGET", *_KEYS)
        self.client.ok("FLUSHALL")
        self.assertEqual(reader.read_reply(), [b"invalidate", None])
        self.assert_silent(reader)

    def test_a_slot_that_moves(self):
        reader = self.tracker()
        self.client.ok("SET", "{m}there", 1)
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{m}")
        for _ in range(3):
            self.assertEqual(reader.command("MGET", "{m}there", "{m}none"), [b"1", None])
            source, target = self.owner_and_another("{m}")
            self.cluster.migrate_slot(slot, source, target)
            self.client.ok("SET", "{m}none", 1)
            told = set()
            while told != {b"{m}there", b"{m}none"}:
                told.update(reader.read_reply()[1])
            self.client.ok("DEL", "{m}none")


    def test_a_slot_that_begins_to_move(self):
        readers = [self.tracker() for _ in range(6)]
        for reader in readers:
            self.assertIsNone(reader.command("GET", "{begins}none"))
        source, target = self.owner_and_another("{begins}")
        slot = source.command("CLUSTER", "KEYSLOT", "{begins}")
        self.cluster.begin_migration(slot, source, target)
        self.client.ok("SET", "{begins}none", 1)
        for reader in readers:
            self.assertEqual(reader.read_reply(), [b"invalidate", [b"{begins}none"]])
        self.cluster.finish_migration(slot, source, target)


class Cache:
    """A client that caches what it reads, as the documentation of client-side caching tells it to."""

    def __init__(self, address, connect, options, redirects, seed):
        self.values = {}
        self.random = random.Random(seed)
        self.opts_in = "OPTIN" in options
        self.writes = "NOLOOP" in options
        self.teller = connect(address) if redirects else None
        if redirects:
            target = self.teller.ok("CLIENT", "ID")
            self.teller.ok("SUBSCRIBE", "__redis__:invalidate")
            options = (*options, "REDIRECT", target)
        hello = [] if redirects else [("HELLO", 3)]
        self.client = connect(address, *hello, ("CLIENT", "TRACKING", "ON", *options))
        self.replies = 0
        self.changes = 0

    def is_told(self, message):
        """Whether `message` is no reply but tells of changes."""
        if not isinstance(message, list) or message[0] not in (b"invalidate", b"message"):
            return False
        self.changes += 1
        if message[-1] is None:
            self.values.clear()
        else:
            for key in message[-1]:
                self.values.pop(key.decode(), None)
        return True

    def reply(self):
        while True:
            message = self.client.read_reply()
            if not self.is_told(message):
                return message

    def hear(self):
        """What has come without being asked for."""
        for client in filter(None, (self.client, self.teller)):
            while client._buffer[client._start :] or select.select([client.socket], [], [], 0)[0]:
                self.is_told(client.read_reply())

    def read_some(self):
        keys = self.random.sample(_KEYS, 8)
        caching = encode("CLIENT", "CACHING", "YES") if self.opts_in else b""
        for key in keys:
            self.values[key] = self  # It is being asked for: dropped when it changes meanwhile.
        self.client.send(b"".join(caching + encode("GET", key) for key in keys))
        for key in keys:
            if self.opts_in:
                self.reply()
            value = self.reply()
            self.replies += 1
            if self.values.get(key) is not self and self.teller is not None:
                continue
            if isinstance(value, RespError):
                self.values.pop(key, None)
            else:
                self.values[key] = value
        if self.writes:
            self.write_one()
        self.hear()

    def write_one(self):
        """Its own change: it is not told of it, nor of what happens to the key then, until it reads it again."""
        key = self.random.choice(_KEYS)
        value = f"own:{self.replies}"
        self.client.send(encode(*self.random.choice((
            ("SET", key, value), ("SET", key, value, "NX"), ("SETNX", key, value), ("DEL", key), ("APPEND", key, "."),
        ))))  # fmt: skip
        if self.reply() not in (None, 0):
            self.values.pop(key, None)


class StaleValuesTest(Tracking):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 2000}
    proxy_flags = {"workers": 2}

    # Options, and whether it redirects.
    modes = (((), False), (("NOLOOP",), False), (("OPTIN",), False), (("OPTIN", "NOLOOP"), False), (("BCAST",), False),
             (("BCAST", "PREFIX", "cached:"), False), ((), True), (("BCAST",), True))  # fmt: skip

    def write(self, seed):
        chance = random.Random(seed)
        with self.proxy.client(timeout_s=30) as writer:
            number = 0
            while not self.stop.is_set():
                number += 1
                key = chance.choice(_KEYS)
                writer.command(*(("SET", key, f"{seed}:{number}") if chance.random() < 0.8 else ("DEL", key)))
                time.sleep(chance.random() * 0.004)

    def cache(self, cache):
        try:
            while not self.stop.is_set():
                cache.read_some()
                time.sleep(cache.random.random() * 0.01)
        except (Disconnected, OSError) as error:
            self.problems.append(f"a reader was closed: {error!r}")

    def move_slots(self, seconds):
        chance = random.Random(7)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            key = chance.choice(_KEYS)
            source, target = self.owner_and_another(key)
            self.cluster.migrate_slot(self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", key), source, target)
            self.cluster.wait_until_all_know(target)

    def assert_nothing_is_stale(self, caches):
        """Everybody has heard what there is to hear; what is cached is what is stored."""
        for key in _KEYS:
            self.client.ok("GET", key)  # Whoever does not know of the last slot that has moved learns of it.
        time.sleep(3)
        for cache in caches:
            cache.hear()
            stored = {key: self.client.ok("GET", key) for key in _KEYS}
            for key, value in cache.values.items():
                self.assertEqual(value, stored[key], (key, cache.client, cache.teller))
            self.assertGreater(cache.replies, 50)
            self.assertGreater(cache.changes, 10)

    def test_nobody_keeps_a_stale_value(self):
        self.stop = threading.Event()
        self.problems = []
        caches = [Cache(self.proxy.address, self.connected, options, redirects, seed)
                  for seed, (options, redirects) in enumerate(self.modes)]  # fmt: skip
        threads = [threading.Thread(target=self.write, args=(seed,)) for seed in range(3)]
        threads += [threading.Thread(target=self.cache, args=(cache,)) for cache in caches]
        for thread in threads:
            thread.start()
        try:
            self.move_slots(6)
            lost = self.cluster.primaries()[0]
            self.cluster.kill(lost)
            self.cluster.wait_for_promotion(lost)
            self.cluster.restart(lost)
            self.cluster.wait_until_ok()
            self.cluster.failover(self.cluster.replicas()[0])
            self.cluster.wait_until_ok()
            self.move_slots(3)
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(self.problems, [])
        self.assert_nothing_is_stale(caches)
        self.assertGreater(self.counter("tracking_interrupted"), 0)


if __name__ == "__main__":
    unittest.main()
