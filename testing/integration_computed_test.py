"""What rcproxy computes over several slots is what one standalone server answers, byte for byte; and what concerns
single nodes: PROXY, scripts that nodes have lost, writes that were done in part."""

import os
import random
import unittest

from testing.integration_base import BesideOneServerTest, IntegrationTest
from testing.resp_client import RespClient

SEED = int(os.environ.get("RCPROXY_TEST_SEED", "1"))

_KEYS = [f"k{index}" for index in range(12)]


def _number(chance):
    return chance.choice(["0", "1", "-1", "0.1", "3.25", "1e300", "inf", "-inf", "-2.7", "1e-9", str(chance.random())])


def _fill(chance):
    """Commands that make sets, sorted sets, HyperLogLogs, strings and lists."""
    yield ("FLUSHALL",)
    members = [f"m{index}" for index in range(40)]
    for key in _KEYS:
        if chance.random() < 0.1:
            continue
        yield ("SADD", "s" + key, *chance.sample(members, chance.randint(1, 30)))
        yield ("ZADD", "z" + key, *(part for member in chance.sample(members, chance.randint(1, 30))
                                    for part in (_number(chance), member)))  # fmt: skip
        yield ("PFADD", "p" + key, *(chance.randint(1, 50000) for _ in range(chance.choice((1, 30, 3000)))))
        yield ("SET", "t" + key, "".join(chance.choice("abc") for _ in range(chance.randint(0, 60))))
    yield ("RPUSH", "list", 1)
    yield ("SET", "text", "no hyperloglog")


def _keys(chance, kind, least=2):
    keys = [kind + chance.choice(_KEYS) for _ in range(chance.randint(least, 5))]
    if kind == "z" and chance.random() < 0.2:
        keys.append("s" + chance.choice(_KEYS))
    if chance.random() < 0.05:
        keys.append("list")
    if chance.random() < 0.1:
        keys.append("nothing")
    chance.shuffle(keys)
    return keys


def _z_options(chance, name, keys):
    options = []
    if name in ("ZUNION", "ZINTER"):
        if chance.random() < 0.4:
            options += ["WEIGHTS"] + [_number(chance) for _ in keys]
        if chance.random() < 0.5:
            options += ["AGGREGATE", chance.choice(["sum", "MIN", "max", "average"])]
    if chance.random() < 0.7:
        options += ["WITHSCORES"]
    if chance.random() < 0.05:
        options += ["NONSENSE"]
    return options


def _command(chance):
    name = chance.choice(["SUNION", "SINTER", "SDIFF", "SINTERCARD", "ZUNION", "ZINTER", "ZDIFF", "ZINTERCARD",
                          "PFCOUNT", "LCS"])  # fmt: skip
    if name in ("SUNION", "SINTER", "SDIFF"):
        return (name, *_keys(chance, "s"))
    if name in ("SINTERCARD", "ZINTERCARD"):
        keys = _keys(chance, name[0].lower())
        limit = chance.choice([[], [], ["LIMIT", chance.choice([0, 1, 5, -1, "x"])], ["LIMIT"]])
        return (name, len(keys), *keys, *limit)
    if name == "PFCOUNT":
        return (name, *_keys(chance, "p"), *(["text"] if chance.random() < 0.1 else []))
    if name == "LCS":
        a, b = chance.choice(["list"] + ["t" + key for key in _KEYS]), "t" + chance.choice(_KEYS)
        options = chance.choice([[], ["LEN"], ["IDX"], ["IDX", "WITHMATCHLEN"], ["IDX", "MINMATCHLEN", 3],
                                 ["LEN", "IDX"], ["idx", "minmatchlen", "-4", "withmatchlen"],
                                 ["MINMATCHLEN"]])  # fmt: skip
        return (name, a, b, *options)
    keys = _keys(chance, "z")
    return (name, len(keys), *keys, *_z_options(chance, name, keys))


def _comparable(command, reply):
    if command[0] in ("SUNION", "SINTER", "SDIFF") and isinstance(reply, list):
        return sorted(reply)
    return reply


class ComputedTest(BesideOneServerTest):
    proxy_flags = {"workers": 2, "cross_slot": "compute", "compute_bytes_max": 10_000_000}

    def test_random_commands_beside_one_server(self):
        chance = random.Random(SEED)
        with RespClient(self.server.address) as server:
            for protocol in (2, 3):
                server.command("HELLO", protocol)
                self.client.command("HELLO", protocol)
                for _ in range(3):
                    for command in _fill(chance):
                        server.ok(*command)
                        self.client.ok(*command)
                    for _ in range(500):
                        command = _command(chance)
                        expected, reply = server.command(*command), self.client.command(*command)
                        self.assertEqual(
                            _comparable(command, reply), _comparable(command, expected), f"seed {SEED}: {command}")

    def test_too_much_is_refused(self):
        self.client.ok("FLUSHALL")
        self.client.ok("SET", "a", "x" * 3000)
        self.client.ok("SET", "b", "x" * 3000)
        self.assert_error(self.client.command("LCS", "a", "b"), "ERR cross-slot: LCS of 3000 and 3000 bytes")

    def test_writes_are_not_computed(self):
        self.assert_error(self.client.command("SUNIONSTORE", "a", "b", "c"), "CROSSSLOT")
        self.assert_error(self.client.command("PFMERGE", "a", "b"), "CROSSSLOT")


class StrictTest(IntegrationTest):
    proxy_flags = {"workers": 1, "cross_slot": "strict"}

    def test_keys_of_several_slots_are_refused(self):
        for command in (("MGET", "a", "b"), ("MSET", "a", 1, "b", 2), ("DEL", "a", "b"), ("SUNION", "a", "b")):
            self.assert_error(self.client.command(*command), "CROSSSLOT")
        self.assertEqual(self.client.command("MSET", "{t}a", 1, "{t}b", 2), "OK")

    def tearDown(self):
        self.assertTrue(self.proxy.is_running())


class NodesTest(IntegrationTest):
    def test_commands_for_one_node_and_for_all(self):
        node = self.cluster.primaries()[1]
        for name in (node.address, node.id, node.id[:12]):
            self.assertEqual(self.client.ok("PROXY", "NODE", name, "CLUSTER", "MYID").decode(), node.id)
        self.assert_error(self.client.command("PROXY", "NODE", "127.0.0.1:1", "DBSIZE"), "ERR no node")
        self.assert_error(self.client.command("PROXY", "NODE", node.address, "SUBSCRIBE", "x"), "ERR SUBSCRIBE would")
        replies = self.client.ok("PROXY", "NODES", "CLUSTER", "MYID")
        self.assertEqual(dict(zip(replies[::2], replies[1::2])),
                         {n.address.encode(): n.id.encode() for n in self.cluster.nodes})
        self.assertEqual(self.client.command("PROXY", "REFRESH"), "OK")

    def test_what_rcproxy_thinks(self):
        rows = self.client.ok("PROXY", "TOPOLOGY")
        self.assertEqual([row[:2] for row in rows], [[0, 5460], [5461, 10921], [10922, 16383]])
        fields = self.client.ok("PROXY", "EXPLAIN", "MGET", "a", "b")
        explained = dict(zip(fields[::2], fields[1::2]))
        self.assertEqual(explained[b"slots"], [15495, 3300])
        self.assertEqual(explained[b"plan"], b"2 requests, one for each slot")
        self.assertIn("EXPLAIN", self.client.ok("PROXY", "HELP"))

    def test_all_primaries(self):
        ok = self.client.ok
        with RespClient(self.cluster.primaries()[2].address) as direct:
            direct.ok("SUBSCRIBE", "news")
            self.assertEqual(ok("PUBSUB", "CHANNELS"), [b"news"])
            self.assertEqual(ok("PUBSUB", "NUMSUB", "news", "none"), [b"news", 1, b"none", 0])
            self.assertEqual(ok("PUBSUB", "NUMPAT"), 0)
        self.assert_error(self.client.command("SCRIPT", "KILL"), "NOTBUSY")
        self.assert_error(self.client.command("FUNCTION", "KILL"), "NOTBUSY")
        self.assertIsNone(dict(zip(*[iter(ok("FUNCTION", "STATS"))] * 2))[b"running_script"])
        stats = dict(zip(*[iter(ok("MEMORY", "STATS"))] * 2))
        self.assertGreater(stats[b"total.allocated"], 3_000_000)
        self.assertTrue(ok("MEMORY", "DOCTOR"))
        self.assertTrue(ok("MEMORY", "MALLOC-STATS"))

    def test_scripts_that_nodes_have_lost(self):
        body = "return redis.call('INCR', KEYS[1])"
        self.client.ok("DEL", "counter")
        self.assertEqual(self.client.ok("EVAL", body, 1, "counter"), 1)
        sha = self.client.ok("SCRIPT", "LOAD", body)
        for round_ in range(3):
            for node in self.cluster.primaries():
                node.command("SCRIPT", "FLUSH")
            self.assertEqual(self.client.command("EVALSHA", sha, 1, "counter"), round_ + 2)
        self.client.ok("SCRIPT", "FLUSH")
        self.assert_error(self.client.command("EVALSHA", sha, 1, "counter"), "NOSCRIPT")

    def test_a_write_that_was_done_in_part(self):
        node = self.node_of("b")
        self.client.ok("MSET", "a", 0, "b", 0)
        node.command("CONFIG", "SET", "maxmemory", 1)
        try:
            self.assert_error(self.client.command("MSET", "a", 1, "b", 2), "OOM command not allowed")
            reply = self.client.command("MSET", "a", 1, "b", 2)
            self.assertTrue(reply.text.endswith("(a part: of 2 parts 1 done, 1 failed, 0 unknown)"), reply.text)
        finally:
            node.command("CONFIG", "SET", "maxmemory", 0)
        self.assertEqual(self.client.command("MGET", "a", "b"), [b"1", b"0"])


if __name__ == "__main__":
    unittest.main()
