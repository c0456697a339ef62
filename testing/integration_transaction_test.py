"""MULTI and EXEC through rcproxy on a real cluster: as on one server, also while slots move."""

import threading
import unittest

from testing.integration_base import IntegrationTest
from testing.rcproxy_process import RcproxyProcess
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


class HalfMovedSlotTest(IntegrationTest):
    cluster_options = {"primaries": 2, "replicas_per_primary": 0, "node_timeout_ms": 5000}
    proxy_flags = {"request_timeout": "500ms"}

    def test_the_reason_is_named(self):
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{half}")
        source, target = self.owner_and_another("{half}")
        self.client.pipeline([("SET", "{half}1", 1), ("SET", "{half}2", 2)])
        self.cluster.begin_migration(slot, source, target)
        self.cluster.move_keys(slot, source, target, count=1)
        transaction = [("MULTI",), ("GET", "{half}1"), ("GET", "{half}2"), ("EXEC",)]
        self.assert_error(self.client.pipeline(transaction)[-1], "TRYAGAIN")
        self.cluster.move_keys(slot, source, target)
        self.cluster.finish_migration(slot, source, target)
        self.eventually(lambda: self.client.pipeline(transaction)[-1] == [b"1", b"2"])


class RightsTest(IntegrationTest):
    """The nodes' user of rcproxy may do everything but begin transactions."""

    cluster_options = {"primaries": 2, "replicas_per_primary": 0, "node_timeout_ms": 5000}
    proxy_flags = {"upstream_username": "limited", "upstream_password": "pw"}

    @classmethod
    def allow(cls, rule):
        for node in cls.cluster.nodes:
            node.command("ACL", "SETUSER", "limited", "on", ">pw", "~*", "&*", "+@all", rule)

    @classmethod
    def flags(cls):
        cls.allow("-multi")
        return super().flags()

    def test_nothing_of_a_transaction_is_executed_without_multi(self):
        transaction = [("MULTI",), ("INCR", "{r}n"), ("INCR", "{r}n"), ("EXEC",)]
        for _ in range(3):
            with self.proxy.client() as client:
                self.assert_error(client.pipeline(transaction)[-1], "NOPERM")
                client.ok("WATCH", "{r}n")
                self.assert_error(client.pipeline(transaction)[-1], "NOPERM")
        self.assertIsNone(self.client.command("GET", "{r}n"))
        self.allow("+multi")
        self.eventually(lambda: self.client.pipeline(transaction)[-1] == [1, 2])
        self.allow("-multi")


class OneSlotTest(IntegrationTest):
    """--transactions=slot, the default."""

    def test_keys_of_another_slot_spoil_it(self):
        replies = self.client.pipeline([("MULTI",), ("SET", "one", 1), ("SET", "two", 2), ("EXEC",), ("EXISTS", "one")])
        self.assertEqual(replies[2], RespError("CROSSSLOT Keys in request don't hash to the same slot"))
        self.assertEqual(replies[3], RespError("EXECABORT Transaction discarded because of previous errors."))
        self.assertEqual(replies[4], 0)


class TransactionWithSplitTest(TransactionTest):
    """What has its keys in one slot is the same with --transactions=split."""

    proxy_flags = {"transactions": "split"}


class SplitTransactionTest(IntegrationTest):
    """--transactions=split: one transaction for each slot."""

    proxy_flags = {"workers": 2, "transactions": "split", "transaction_commands_max": 50}

    def test_replies_are_in_the_order_of_the_queue(self):
        commands = [("PING",), ("SET", "a", 1), ("SET", "b", "x"), ("INCR", "a"), ("ECHO", "hi"), ("INCR", "b"),
                    ("GET", "c"), ("MGET", "{a}1", "{a}2"), ("GET", "b")]  # fmt: skip
        for hello in (2, 3):
            self.client.command("HELLO", hello)
            replies = self.client.pipeline([("MULTI",), *commands, ("EXEC",)])
            self.assertEqual(replies[:-1], ["OK"] + ["QUEUED"] * len(commands))
            not_a_number = RespError("ERR value is not an integer or out of range")
            self.assertEqual(replies[-1], ["PONG", "OK", "OK", 2, b"hi", not_a_number, None, [None, None], b"x"])

    def test_what_is_refused(self):
        crossslot = RespError("CROSSSLOT Keys in request don't hash to the same slot")
        replies = self.client.pipeline([("MULTI",), ("SET", "a", 1), ("MSET", "a", 1, "b", 2), ("EXEC",)])
        self.assertEqual(replies[2], crossslot)
        self.assert_error(replies[3], "EXECABORT")
        replies = self.client.pipeline([("WATCH", "a"), ("WATCH", "a", "b"), ("MULTI",), ("GET", "b"), ("EXEC",)])
        self.assertEqual([replies[1], replies[3]], [crossslot, crossslot])
        self.assert_error(replies[4], "EXECABORT")

    def test_too_many_commands_are_refused(self):
        replies = self.client.pipeline([("MULTI",), *[("SET", f"many:{i}", i) for i in range(51)], ("EXEC",)])
        self.assertEqual(replies[:51], ["OK"] + ["QUEUED"] * 50)
        self.assert_error(replies[51], "ERR transaction too big")
        self.assert_error(replies[52], "EXECABORT")
        self.assertEqual(self.client.command("EXISTS", *[f"many:{i}" for i in range(51)]), 0)
        self.assertIn(b"rcproxy_errors_transaction_limit:1\r\n", self.client.command("INFO", "proxy"))
        replies = self.client.pipeline([("MULTI",), *[("SET", f"many:{i}", i) for i in range(50)], ("EXEC",)])
        self.assertEqual(replies[-1], ["OK"] * 50)

    def test_each_part_is_atomic_while_slots_move(self):
        stop = threading.Event()
        problems = []

        def run(number):
            tags = ["{x}", "{y}", "{z}"]
            with self.proxy.client() as client:
                count = 0
                while not stop.is_set():
                    count += 1
                    commands = [("INCR", f"{tag}{number}:{part}") for part in (1, 2) for tag in tags]
                    reply = client.pipeline([("MULTI",), *commands, ("EXEC",)])[-1]
                    if reply != [count] * 6:
                        problems.append((number, count, reply))
                        return

        threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{x}")
        for _ in range(4):
            source, target = self.owner_and_another("{x}")
            self.cluster.migrate_slot(slot, source, target)
        stop.set()
        for thread in threads:
            thread.join(60)
        self.assertEqual(problems, [])


class WatchTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 2000}
    proxy_flags = {"workers": 2}

    def test_the_texts_are_the_servers(self):
        node = self.node_of("{same}")
        key, other = "{same}a", "{same}b"
        for commands in (
            [("WATCH", key), ("MULTI",), ("SET", key, 1), ("EXEC",), ("GET", key)],
            [("WATCH", key), ("SET", key, 2), ("MULTI",), ("SET", key, 3), ("EXEC",), ("GET", key)],
            [("WATCH", key), ("SET", key, 2), ("UNWATCH",), ("MULTI",), ("SET", key, 3), ("EXEC",), ("GET", key)],
            [("WATCH", key), ("SET", key, 2), ("MULTI",), ("DISCARD",), ("MULTI",), ("SET", key, 4), ("EXEC",)],
            [("WATCH", key, other), ("WATCH", other), ("SET", other, 2), ("MULTI",), ("PING",), ("EXEC",)],
            [("WATCH", key), ("SET", key, 2), ("MULTI",), ("EXEC",)],
            [("WATCH", key), ("MULTI",), ("EXEC",)],
            [("WATCH", key), ("MULTI",), ("NOSUCH",), ("EXEC",), ("MULTI",), ("GET", key), ("EXEC",)],
            [("WATCH", key), ("SET", key, 9), ("MULTI",), ("UNWATCH",), ("EXEC",)],
            [("WATCH", key), ("SET", key, 9), ("RESET",), ("MULTI",), ("GET", key), ("EXEC",)],
            [("UNWATCH",)],
            [("WATCH",)],
        ):
            with self.proxy.client() as client:
                expected = node.pipeline(commands)
                self.assertEqual(client.pipeline(commands), expected, commands)
            node.disconnect()
        self.eventually(lambda: self.counter("own_connections") == 0)

    def test_another_slot_is_refused(self):
        replies = self.client.pipeline([
            ("WATCH", "one", "two"), ("WATCH", "one"), ("WATCH", "two"), ("MULTI",), ("GET", "two"), ("EXEC",),
        ])  # fmt: skip
        crossslot = RespError("CROSSSLOT Keys in request don't hash to the same slot")
        self.assertEqual(replies[:5], [crossslot, "OK", crossslot, "OK", crossslot])
        self.assert_error(replies[5], "EXECABORT")

    def test_in_resp3(self):
        with self.proxy.client() as client:
            client.command("HELLO", 3)
            replies = client.pipeline([("WATCH", "r3"), ("SET", "r3", 1), ("MULTI",), ("GET", "r3"), ("EXEC",)])
            self.assertEqual(replies, ["OK", "OK", "OK", "QUEUED", None])
            replies = client.pipeline([("WATCH", "r3"), ("MULTI",), ("GET", "r3"), ("EXEC",)])
            self.assertEqual(replies, ["OK", "OK", "QUEUED", [b"1"]])
            client.command("WATCH", "r3")
            client.command("HELLO", 2)
            self.assertEqual(client.pipeline([("MULTI",), ("GET", "r3"), ("EXEC",)])[2], None)

    def test_a_slot_that_moves_ends_the_watch(self):
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{moved}")
        for _ in range(4):
            self.client.ok("SET", "{moved}a", 1)
            self.assertEqual(self.client.ok("WATCH", "{moved}a"), "OK")
            source, target = self.owner_and_another("{moved}")
            self.cluster.migrate_slot(slot, source, target)
            replies = self.client.pipeline([("MULTI",), ("INCR", "{moved}a"), ("EXEC",)])
            self.assertEqual(replies, ["OK", "QUEUED", None])
            self.assertEqual(self.client.ok("GET", "{moved}a"), b"1")

    def test_at_the_limit_of_connections_there_is_an_error(self):
        flags = {"workers": 1, "own_connections_max": 64, "request_timeout": "1s"}
        with RcproxyProcess(self.cluster.addresses(), flags) as proxy:
            clients = [proxy.client() for _ in range(65)]
            try:
                replies = [client.command("WATCH", "{limit}") for client in clients]
                self.assertEqual(replies[:64], ["OK"] * 64)
                self.assert_error(replies[64], "ERR too many blocked clients")
                clients[0].close()
                self.eventually(lambda: clients[64].command("WATCH", "{limit}") == "OK")
            finally:
                for client in clients:
                    client.close()

    def test_at_the_limit_of_connections_to_all_nodes_there_is_an_error(self):
        flags = {"workers": 1, "own_connections_total_max": 3, "request_timeout": "500ms"}
        with RcproxyProcess(self.cluster.addresses(), flags) as proxy:
            clients = [proxy.client() for _ in range(4)]
            try:
                replies = [client.command("WATCH", f"limit:{i}") for i, client in enumerate(clients)]
                self.assertEqual(replies[:3], ["OK"] * 3)
                self.assert_error(replies[3], "ERR too many blocked clients")
                self.assertIn(b"rcproxy_errors_own_connections:1\r\n", clients[3].command("INFO", "proxy"))
                self.assertEqual(clients[0].command("UNWATCH"), "OK")
                self.assertEqual(clients[3].command("WATCH", "limit:3"), "OK")
            finally:
                for client in clients:
                    client.close()

    def test_a_connection_that_is_lost_ends_the_watch(self):
        node = self.node_of("{lost}")
        self.client.ok("WATCH", "{lost}")
        node.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.assertEqual(self.client.pipeline([("MULTI",), ("SET", "{lost}", 1), ("EXEC",)])[2], None)
        self.assertEqual(self.client.command("EXISTS", "{lost}"), 0)


class WatchWithSplitTest(WatchTest):
    """A watched transaction has its keys in one slot, also with --transactions=split."""

    proxy_flags = {**WatchTest.proxy_flags, "transactions": "split"}


if __name__ == "__main__":
    unittest.main()
