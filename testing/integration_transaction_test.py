"""MULTI and EXEC through rcproxy on a real cluster: as on one server, also while slots move."""

import threading
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import RespError


class TransactionTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 0, "node_timeout_ms": 5000}

    def test_a_transaction_is_executed_as_one(self):
        replies = self.client.pipeline([
            ("MULTI",), ("SET", "{t}a", 1), ("INCR", "{t}a"), ("LPUSH", "{t}list", "x"), ("GET", "{t}a"),
            ("PING",), ("EXEC",), ("GET", "{t}a"),
        ])  # fmt: skip
        self.assertEqual(replies, ["OK"] + ["QUEUED"] * 5 + [["OK", 2, 1, b"2", "PONG"], b"2"])

    def test_errors_inside_do_not_stop_the_rest(self):
        self.client.ok("SET", "{e}text", "x")
        replies = self.client.pipeline([("MULTI",), ("INCR", "{e}text"), ("SET", "{e}other", 1), ("EXEC",)])
        self.assertEqual(replies[3][0], RespError("ERR value is not an integer or out of range"))
        self.assertEqual(replies[3][1], "OK")

    def test_the_texts_are_the_servers(self):
        node = self.node_of("{same}")
        for commands in (
            [("EXEC",)],
            [("DISCARD",)],
            [("MULTI",), ("MULTI",), ("DISCARD",)],
            [("MULTI",), ("EXEC",)],
            [("MULTI",), ("SET", "{same}a", 1), ("DISCARD",), ("GET", "{same}a")],
            [("MULTI",), ("NOSUCH", "{same}a"), ("EXEC",)],
            [("MULTI",), ("GET",), ("SET", "{same}a", 1), ("EXEC",), ("EXISTS", "{same}a")],
            [("MULTI",), ("SET", "{same}a", 1, "NX", "XX"), ("EXEC",)],
            [("MULTI",), ("WATCH", "{same}a"), ("EXEC",)],
            [("MULTI",), ("BLPOP", "{same}none", 0), ("EXEC",)],
            [("MULTI",), ("EVAL", "return redis.call('SET', KEYS[1], 2)", 1, "{same}b"), ("GET", "{same}b"), ("EXEC",)],
        ):
            self.assertEqual(self.client.pipeline(commands), node.pipeline(commands), commands)

    def test_keys_of_another_slot_spoil_it(self):
        replies = self.client.pipeline([("MULTI",), ("SET", "one", 1), ("SET", "two", 2), ("EXEC",), ("EXISTS", "one")])
        self.assertEqual(replies[2], RespError("CROSSSLOT Keys in request don't hash to the same slot"))
        self.assertEqual(replies[3], RespError("EXECABORT Transaction discarded because of previous errors."))
        self.assertEqual(replies[4], 0)

    def test_many_in_one_pipeline(self):
        commands, expected = [], []
        for i in range(200):
            commands += [("MULTI",), ("SET", f"many:{i}", i), ("GET", f"many:{i}"), ("EXEC",)]
            expected += ["OK", "QUEUED", "QUEUED", ["OK", str(i).encode()]]
        self.assertEqual(self.client.pipeline(commands), expected)

    def test_a_client_that_leaves_in_the_middle_has_changed_nothing(self):
        with self.proxy.client() as other:
            other.pipeline([("MULTI",), ("SET", "left", 1)])
        self.assertEqual(self.client.command("EXISTS", "left"), 0)

    def test_transactions_while_their_slot_moves(self):
        stop = threading.Event()
        problems = []

        def run(number):
            with self.proxy.client() as client:
                count = 0
                while not stop.is_set():
                    replies = client.pipeline([
                        ("MULTI",), ("INCR", f"{{moving}}{number}"), ("INCR", f"{{moving}}{number}:2"), ("EXEC",),
                    ])  # fmt: skip
                    count += 1
                    if replies != ["OK", "QUEUED", "QUEUED", [count, count]]:
                        problems.append((number, count, replies))
                        return

        threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{moving}")
        for _ in range(6):
            source, target = self.owner_and_another("{moving}")
            self.cluster.begin_migration(slot, source, target)
            self.cluster.move_keys(slot, source, target, count=3)
            self.cluster.migrate_slot(slot, source, target)
        stop.set()
        for thread in threads:
            thread.join(60)
        self.assertEqual(problems, [])


if __name__ == "__main__":
    unittest.main()
