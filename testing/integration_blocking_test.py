"""Commands that block, through rcproxy on a real cluster: for thousands of clients, while slots move."""

import random
import threading
import time
import unittest

from testing.integration_base import IntegrationTest
from testing.resp_client import RespError, encode


class BlockingTest(IntegrationTest):
    cluster_options = {"primaries": 3, "replicas_per_primary": 1, "node_timeout_ms": 2000}

    def later(self, delay_s, *command):
        def run():
            time.sleep(delay_s)
            with self.proxy.client() as client:
                client.command(*command)

        thread = threading.Thread(target=run)
        thread.start()
        self.addCleanup(thread.join)

    def test_an_element_that_is_there_comes_at_once(self):
        self.client.command("RPUSH", "{there}", "a", "b")
        self.assertEqual(self.client.command("BLPOP", "{there}", 0), [b"{there}", b"a"])
        self.assertEqual(self.client.command("BLMOVE", "{there}", "{there}2", "LEFT", "RIGHT", 0), b"b")
        self.assertEqual(self.client.command("BRPOP", "{there}", "{there}2", 0), [b"{there}2", b"b"])

    def test_an_element_that_comes_later(self):
        self.later(0.3, "RPUSH", "later", "x")
        begin = time.monotonic()
        self.assertEqual(self.client.command("BLPOP", "later", 10), [b"later", b"x"])
        self.assertGreater(time.monotonic() - begin, 0.2)

    def test_timeouts_are_the_servers(self):
        begin = time.monotonic()
        self.assertIsNone(self.client.command("BLPOP", "never", 0.4))
        self.assertTrue(0.3 < time.monotonic() - begin < 2, time.monotonic() - begin)
        node = self.node_of("never")
        for command in (("BLPOP", "never", "x"), ("BLPOP", "never", -1), ("BLMPOP", 1, 0, "never", "LEFT"),
                        ("BZPOPMIN", "never", ""), ("XREAD", "BLOCK", "x", "STREAMS", "never", "$")):  # fmt: skip
            with self.assertRaises(RespError) as raised:
                node.command(*command)
            self.assertEqual(self.client.command(*command), raised.exception, command)
        self.assert_error(self.client.command("BLPOP", "one", "two", 1), "CROSSSLOT")

    def test_streams(self):
        self.assertIsNone(self.client.command("XREAD", "BLOCK", 100, "STREAMS", "stream", "$"))
        self.later(0.3, "XADD", "late", "*", "field", "value")
        self.assertEqual(self.client.command("XREAD", "BLOCK", 10000, "STREAMS", "late", "$")[0][0], b"late")
        self.client.command("XADD", "late", "*", "passed", "over")
        self.assertIsNone(self.client.command("XREAD", "BLOCK", 100, "STREAMS", "late", "$"))
        self.later(0.3, "XADD", "stream", "1-1", "field", "value")
        self.assertEqual(self.client.command("XREAD", "BLOCK", 10000, "STREAMS", "stream", "0"),
                         [[b"stream", [[b"1-1", [b"field", b"value"]]]]])

    def test_what_is_pipelined_behind_waits(self):
        self.later(0.3, "RPUSH", "pipelined", "x")
        self.assertEqual(self.client.pipeline([("SET", "p", 1), ("BLPOP", "pipelined", 10), ("INCR", "p")]),
                         ["OK", [b"pipelined", b"x"], 2])

    def test_a_client_that_leaves_takes_nothing(self):
        with self.proxy.client() as leaving:
            leaving.send(b"*3\r\n$5\r\nBLPOP\r\n$4\r\nleft\r\n$1\r\n0\r\n")
            time.sleep(0.2)
        node = self.node_of("left")
        self.eventually(lambda: b" flags=b " not in node.command("CLIENT", "LIST"))
        self.client.command("RPUSH", "left", "x")
        self.assertEqual(self.client.command("LLEN", "left"), 1)

    def test_consumers_that_leave_lose_and_double_nothing(self):
        """50 consumers take 10,000 elements; all the time some of them stop sending, and others come."""
        total = 10_000
        taken = []
        producing = threading.Event()
        producing.set()
        lock = threading.Lock()

        def consume(generator):
            while producing.is_set():
                leaves_after = generator.random() * 0.05
                with self.proxy.client() as client:
                    client.socket.settimeout(leaves_after)
                    begin = time.monotonic()
                    try:
                        while time.monotonic() - begin < leaves_after:
                            client.send(encode("BLPOP", "{work}", 0))
                            with_reply = client.read_reply()
                            with lock:
                                taken.append(with_reply[1])
                    except TimeoutError:
                        pass
                    else:
                        continue
                    client.half_close()
                    client.socket.settimeout(30)
                    rest = client.last_reply()
                    if rest is not None:
                        with lock:
                            taken.append(rest[1])

        threads = [threading.Thread(target=consume, args=(random.Random(number),)) for number in range(50)]
        for thread in threads:
            thread.start()
        for begin in range(0, total, 10):
            self.client.ok("RPUSH", "{work}", *range(begin, begin + 10))
            if begin % 100 == 0:
                time.sleep(0.02)
        self.eventually(lambda: self.client.ok("LLEN", "{work}") == 0, timeout_s=60)
        producing.clear()
        for thread in threads:
            thread.join()
        self.assertEqual(len(taken), len(set(taken)), "an element was given to two consumers")
        self.assertEqual(sorted(map(int, taken)), list(range(total)))

    def test_client_unblock(self):
        for reason, expected in (((), None), (("TIMEOUT",), None),
                                 (("ERROR",), "UNBLOCKED client unblocked via CLIENT UNBLOCK")):  # fmt: skip
            for command in (("BLPOP", "unblock", 0), ("XREAD", "BLOCK", 0, "STREAMS", "unblock", "$"),
                            ("BLMOVE", "{unblock}", "{unblock}2", "LEFT", "RIGHT", 0)):  # fmt: skip
                with self.proxy.client() as blocked:
                    number = blocked.command("CLIENT", "ID")
                    self.assertEqual(self.client.command("CLIENT", "UNBLOCK", number, *reason), 0)
                    blocked.send(encode(*command))
                    self.eventually(lambda: self.client.command("CLIENT", "UNBLOCK", number, *reason) == 1)
                    reply = blocked.read_reply()
                    if expected is None:
                        self.assertIsNone(reply)
                    else:
                        self.assert_error(reply, expected)
                    self.assertEqual(blocked.command("PING"), "PONG")

    def test_hundreds_wait_and_none_holds_up_others(self):
        waiting = [self.proxy.client() for _ in range(300)]
        for number, client in enumerate(waiting):
            client.send(b"*3\r\n$5\r\nBLPOP\r\n$%d\r\nmany:%d\r\n$1\r\n0\r\n" % (len(f"many:{number}"), number))
        self.client.ok("SET", "other", 1)
        for number in range(300):
            self.assertEqual(self.client.command("RPUSH", f"many:{number}", number), 1)
        for number, client in enumerate(waiting):
            self.assertEqual(client.read_reply(), [b"many:%d" % number, b"%d" % number])
            client.close()

    def test_several_keys_of_a_half_moved_slot(self):
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{half}")
        source, target = self.owner_and_another("{half}")
        self.cluster.begin_migration(slot, source, target)
        for command in (
            ("BLPOP", "{half}1", "{half}2", "0.3"), ("BLMOVE", "{half}1", "{half}2", "LEFT", "RIGHT", "0.3"),
            ("BZMPOP", "0.3", "2", "{half}1", "{half}2", "MIN"),
            ("XREAD", "BLOCK", "300", "STREAMS", "{half}1", "{half}2", "$", "$"),
        ):  # fmt: skip
            begin = time.monotonic()
            self.assert_error(self.client.command(*command), "TRYAGAIN ")
            self.assertTrue(0.99 < time.monotonic() - begin < 4, command)
        with self.proxy.client() as client:
            number = client.command("CLIENT", "ID")
            client.send(encode("BLPOP", "{half}1", "{half}2", "0"))
            self.eventually(lambda: self.client.command("CLIENT", "UNBLOCK", number) == 1)
            self.assertIsNone(client.read_reply())
            client.send(encode("BLPOP", "{half}1", "{half}2", "0"))
            self.cluster.finish_migration(slot, source, target)
            self.client.ok("RPUSH", "{half}2", "element")
            self.assertEqual(client.read_reply(), [b"{half}2", b"element"])

    def test_while_the_slot_moves(self):
        slot = self.cluster.nodes[0].command("CLUSTER", "KEYSLOT", "{moves}")
        source, target = self.owner_and_another("{moves}")
        with self.proxy.client() as waiting:
            waiting.send(b"*3\r\n$5\r\nBLPOP\r\n$7\r\n{moves}\r\n$2\r\n30\r\n")
            time.sleep(0.2)
            self.cluster.migrate_slot(slot, source, target)
            time.sleep(0.2)
            self.client.command("RPUSH", "{moves}", "x")
            self.assertEqual(waiting.read_reply(), [b"{moves}", b"x"])


if __name__ == "__main__":
    unittest.main()
